"""Programs at the rig end as asked, stop the stage, and leave each other alone: real processes and a port."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from lee.cli import run
from lee.recording.segment_reader import SegmentReader

pytest.importorskip("thorlabs_apt_device")
pytest.importorskip("pty")
from tests.support.apt_controller import MOVE_STOP, AptController
from tests.support.rig_commands import ROUND, recording, rig_file, wait_until

UM = 2008.64563


@pytest.fixture
def controller():
    with AptController(position=round(945 * UM)) as one:
        yield one


def scanning(controller):
    wait_until(lambda: controller.moving and controller.place > 952 * UM)


def left_in_order(folder):
    """Every recording can be read, and nothing half-written is left."""
    assert not list(folder.rglob("*.part"))
    for path in (folder / "scans").glob("*.raw"):
        with SegmentReader(path) as reader:
            assert reader.ledger is not None
            assert reader.verify() == []


def ended(one, within_s=10.0):
    out, err = one.communicate(timeout=within_s)
    assert one.returncode == 1
    assert "Traceback" not in err
    return out, err


def test_ctrl_c_stops_the_stage_and_a_second_program_does_not(controller, tmp_path, capsys):
    config = rig_file(tmp_path, controller)
    with recording(config, tmp_path / "run") as one:
        scanning(controller)
        for words in (["doctor", config], ["record", config, "-o", tmp_path / "other", *ROUND]):
            assert run(["rig", *map(str, words)]) == 1
            said = "".join(capsys.readouterr())
            assert f"{controller.port} is used by another program, which goes on undisturbed" in said
        assert MOVE_STOP not in controller.received
        scanning(controller)
        one.send_signal(signal.SIGINT)
        wait_until(lambda: not controller.moving, 1.0)
        out, err = ended(one)
    assert err.startswith("lee: Ctrl-C: the stage stands at 9")
    complete, taken = map(int, re.search(r"run: (\d+) of (\d+) scans complete$", out).groups())
    assert complete < taken  # the one that was stopped; a busy computer may lose frames of others
    left_in_order(tmp_path / "run")


def close_stdout(one):
    one.stdout.close()
    one.stdout = None


ENDS = {
    "SIGTERM": lambda one: one.send_signal(signal.SIGTERM),
    "the terminal was lost (SIGHUP)": lambda one: one.send_signal(signal.SIGHUP),
    "its output was closed": close_stdout,
}


@pytest.mark.slow
@pytest.mark.parametrize("reason", ENDS)
def test_whatever_ends_it_stops_the_stage(controller, tmp_path, reason):
    with recording(rig_file(tmp_path, controller), tmp_path / "run") as one:
        scanning(controller)
        ENDS[reason](one)
        wait_until(lambda: not controller.moving, 2.0)
        _, err = ended(one)
    assert err.startswith(f"lee: {reason}: the stage stands at 9")
    left_in_order(tmp_path / "run")


PARENT = """
import subprocess, sys, time
one = subprocess.Popen([sys.executable, "-m", "lee", *sys.argv[1:]], stderr=open(sys.argv[-1] + ".err", "w"))
print(one.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("nohup", [False, True])
def test_the_end_of_its_parent_stops_the_stage_but_not_under_nohup(controller, tmp_path, nohup):
    config, folder = rig_file(tmp_path, controller), tmp_path / "run"
    words = ["rig", "record", config, *ROUND, "-o", folder]
    before = ["nohup"] if nohup else []
    with subprocess.Popen(
        [*before, sys.executable, "-c", PARENT, *words], stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        child = int(parent.stdout.readline())
        scanning(controller)
        parent.kill()
        parent.wait()
        if nohup:
            wait_until(lambda: len(list((folder / "scans").glob("*.raw"))) > 2)
            scanning(controller)
            os.kill(child, signal.SIGTERM)
        wait_until(lambda: not controller.moving, 2.0)
    error = tmp_path / "run.err"
    wait_until(lambda: error.read_text().endswith("\n"))
    reason = "SIGTERM" if nohup else "the program that started it has ended"
    assert error.read_text().startswith(f"lee: {reason}: the stage stands at 9")
    left_in_order(folder)


@pytest.mark.slow
def test_a_second_signal_leaves_nothing_half_written(controller, tmp_path):
    for k in range(4):
        with recording(rig_file(tmp_path, controller), tmp_path / f"run{k}") as one:
            scanning(controller)
            one.send_signal(signal.SIGINT)
            time.sleep(0.05 * k)
            one.send_signal(signal.SIGINT)
            time.sleep(0.02)
            one.send_signal(signal.SIGTERM)
            wait_until(lambda: not controller.moving, 2.0)
            _, err = ended(one)
        assert err.startswith("lee: Ctrl-C: the stage stands at 9")
        left_in_order(tmp_path / f"run{k}")
