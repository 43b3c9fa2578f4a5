"""`lee rig`: what it reports of a rig, and a run recorded from the command line."""

import os
import re

import numpy as np
import pytest

from lee.cli import run
from lee.recording.segment_reader import SegmentReader
from lee.rig.record import owned_folder
from lee.runs.run import open_run
from lee.runs.surface_store import SurfaceStore
from tests.support.rig_commands import VIRTUAL_RIG

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text(VIRTUAL_RIG)
    return path


def recording(config, folder, *more):
    given = [
        "--start-um",
        "998",
        "--end-um",
        "1023",
        "--step-um",
        "0.4",
        "--lead-um",
        "4",
        "--pixel-um",
        "0.25",
    ]
    return run(["rig", "record", str(config), "-o", str(folder), *given, *more])


def test_doctor_reports_what_is_there(config, tmp_path, capsys):
    assert run(["rig", "doctor", str(config), "-o", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"  ok  configuration: {config}: virtual camera, virtual stage" in out
    assert (
        "   -  stage scale: 2008.64563 counts/µm (nominal scale, not calibrated), backlash 5 µm; see" in out
    )
    assert "  ok  stage: lee virtual stage" in out
    assert "  ok  camera: lee virtual camera" in out
    assert "free in" in out


def test_doctor_reports_where_the_scale_is_from(config, tmp_path, capsys):
    config.write_text(
        VIRTUAL_RIG + 'counts_per_um = 2010.5\ncalibrated_by = "step of 20 µm"\nbacklash_um = 1.5\n'
    )
    assert run(["rig", "doctor", str(config), "-o", str(tmp_path)]) == 0
    assert "  ok  stage scale: 2010.5 counts/µm (step of 20 µm), backlash 1.5 µm\n" in capsys.readouterr().out


def test_doctor_needs_no_configuration(tmp_path, capsys):
    assert run(["rig", "doctor", "-o", str(tmp_path)]) == 0
    assert "configuration" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("[stage]", "[stag]"), "unknown section"),
        (('"virtual"\nsensor', '"vrtual"\nsensor'), "driver is 'vrtual'; it is one of"),
        (("highest_um", "hihgest_um"), "hihgest_um is unknown"),
    ],
)
def test_doctor_reports_what_is_wrong(config, capsys, changed, message):
    config.write_text(VIRTUAL_RIG.replace(*changed))
    assert run(["rig", "doctor", str(config)]) == 1
    out, err = capsys.readouterr()
    assert message in out
    assert err == "lee: the rig cannot be used yet: configuration\n"


def test_doctor_reports_a_missing_device(config, tmp_path, capsys):
    pytest.importorskip("thorlabs_apt_device", reason="the stage's library is missing")
    stage = 'driver = "thorlabs"\nport = "/dev/no-such-port"\nlowest_um'
    config.write_text(VIRTUAL_RIG.replace('driver = "virtual"\nlowest_um', stage))
    assert run(["rig", "doctor", str(config), "-o", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert " BAD  stage: " in out
    assert "no-such-port" in out
    assert "stage" in err


def test_a_run_is_recorded_and_continues(config, tmp_path, capsys):
    assert recording(config, tmp_path / "run", "--duration-s", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("63 frames per scan, 0.3997")
    assert lines[1].startswith("scan_000.raw: complete: 63 of 63 frames; surface")
    scans = len(lines) - 2
    assert lines[-1] == f"{tmp_path / 'run'}: {scans} of {scans} scans complete"
    assert len(open_run(tmp_path / "run")) == scans
    assert recording(config, tmp_path / "run", "--duration-s", "0.5") == 0
    assert f"scan_{scans:03d}.raw: complete" in capsys.readouterr().out


def test_surfaces_can_wait(config, tmp_path, capsys):
    assert recording(config, tmp_path / "run", "--duration-s", "0.5", "--no-surfaces") == 0
    assert "; surface" not in capsys.readouterr().out
    assert not (tmp_path / "run" / "surfaces.zarr").exists()
    scans = len(open_run(tmp_path / "run"))
    assert scans >= 1
    assert recording(config, tmp_path / "run", "--duration-s", "0.5") == 0
    store = SurfaceStore.open(tmp_path / "run" / "surfaces.zarr")
    assert store.scans == open_run(tmp_path / "run").names
    assert len(store) > scans
    assert (store.state == 1).all()  # the earlier scans too, from their recordings
    np.testing.assert_allclose(store.times_s, open_run(tmp_path / "run").times_s)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--start-um", "890"],
            "from 890.00 to 1022.72 µm with its lead of 4.00 µm reaches 886.00 µm, beyond",
        ),
        (["--step-um", "0.0001"], "less than one count of the stage"),
        (["--end-um", "998.2"], "a focus needs 3 frames or more"),
        (["--duration-s", "4000000000"], "are needed"),
    ],
)
def test_a_run_that_cannot_be_is_refused(config, tmp_path, capsys, options, message):
    assert recording(config, tmp_path / "run", "--duration-s", "1", *options) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.rglob("*.raw"))


def test_the_disk_is_measured(tmp_path, capsys):
    assert run(["rig", "probe-disk", str(tmp_path), "--mb", "32", "--frame-px", "256", "256"]) == 0
    out = capsys.readouterr().out
    assert "frames/s" in out
    assert "MB/s" in out
    assert not list(tmp_path.iterdir())
    assert run(["rig", "probe-disk", str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["doctor", "probe-disk", "record"])
def test_help_has_an_example(command, capsys):
    assert run(["rig", command, "--help"]) == 0
    assert f"lee rig {command}" in capsys.readouterr().out.split("Example:")[1]


def test_a_converted_run_continues_and_keeps_its_surfaces(config, tmp_path, capsys):
    run_folder = tmp_path / "run"
    assert recording(config, run_folder, "--duration-s", "1.4") == 0
    scans = len(open_run(run_folder))
    assert run(["rig", "convert", str(run_folder), "--remove-raw"]) == 0
    out = capsys.readouterr().out
    assert "scan_000.raw: scan_000.zarr; its recording was removed" in out
    assert f"{scans} of {scans} recordings converted" in out
    assert recording(config, run_folder, "--duration-s", "0.3") == 0
    assert f"scan_{scans:03d}.raw: complete" in capsys.readouterr().out
    assert run(["series", str(run_folder)]) == 0
    assert len(open_run(run_folder)) == scans + 1
    assert not list((run_folder / "scans").glob("scan_000.raw"))


def test_a_recording_stores_its_rig(config, tmp_path):
    assert recording(config, tmp_path / "run", "--duration-s", "0.3", "--no-surfaces") == 0
    with SegmentReader(tmp_path / "run" / "scans" / "scan_000.raw") as reader:
        stored = reader.header.notes["rig"]
    assert stored["file"] == str(config)
    assert stored["stage"]["calibrated_by"] == "nominal scale, not calibrated"
    assert stored["stage"]["counts_per_um"] == pytest.approx(2008.64563)
    assert stored["camera"]["sensor_px"] == [64, 80]


def test_what_was_converted_already_is_skipped(config, tmp_path, capsys):
    run_folder = tmp_path / "run"
    assert recording(config, run_folder, "--duration-s", "0.3", "--no-surfaces") == 0
    assert run(["rig", "convert", str(run_folder)]) == 0
    assert run(["rig", "convert", str(run_folder)]) == 0
    assert "scan_000.raw: already converted" in capsys.readouterr().out
    one = run_folder / "scans" / "scan_000.raw"
    assert run(["rig", "convert", str(one)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert run(["rig", "convert", str(tmp_path)]) == 1
    assert "holds no recorded scan (.raw)" in capsys.readouterr().err


def test_a_stage_that_is_not_homed_moves_only_when_its_height_is_stated(config, tmp_path, capsys):
    config.write_text(VIRTUAL_RIG + "homed = false\nposition_um = 1000.0\n")
    folder = tmp_path / "run"
    short = ["--duration-s", "0.3", "--no-surfaces"]
    assert recording(config, folder, *short) == 1
    err = capsys.readouterr().err
    assert "nothing moves before it is homed (lee rig home" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.rglob("*.raw"))
    assert recording(config, folder, *short, "--reference-um", "1000") == 0
    assert "counter showed 0.00 µm and is set to 1000.00 µm" in capsys.readouterr().out
    with SegmentReader(folder / "scans" / "scan_000.raw") as reader:
        reference = reader.header.notes["reference"]
        assert reader.header.plan.z_um[0] == pytest.approx(998, abs=1e-3)
    assert reference["source"] == "operator"
    assert reference["stated_um"] == pytest.approx(1000, abs=1e-3)
    assert reference["counter_set"] is True


def test_homing_is_asked_for(config, capsys):
    config.write_text(
        VIRTUAL_RIG.replace("lowest_um = 900.0", "lowest_um = 0.0\nhomed = false\nposition_um = 40.0")
    )
    assert run(["rig", "home", str(config)]) == 1
    assert "clear the objective, then give --objective-is-clear" in capsys.readouterr().err
    assert run(["rig", "home", str(config), "--objective-is-clear"]) == 0
    assert capsys.readouterr().out == "the stage is homed and stands at 0.00 µm\n"


def test_a_folder_has_one_owner_from_the_first_moment(config, tmp_path, capsys):
    folder = tmp_path / "run"
    with owned_folder(folder):
        assert recording(config, folder, "--duration-s", "1") == 1
        refused = (
            f"lee: {folder}: process {os.getpid()} on .* is working on this run; wait for it, or stop it\n"
        )
        assert re.fullmatch(refused, capsys.readouterr().err)
        live = ["rig", "live", str(config), "-o", str(folder), "--port", "0", "--start-um", "998"]
        assert run([*live, "--end-um", "1023", "--pixel-um", "0.25", "--duration-s", "1"]) == 1
        assert "is working on this run" in capsys.readouterr().err
    assert not (folder / "scans").exists()


def test_a_window_that_missed_the_sample_is_reported(config, tmp_path, capsys):
    folder = tmp_path / "run"
    window = ["--start-um", "1090", "--end-um", "1080", "--duration-s", "0.3"]
    assert recording(config, folder, *window) == 0
    out = capsys.readouterr().out
    assert "--start-um 1090 is above --end-um 1080: it scans downwards\n" in out
    assert "WARNING: the scan window missed the sample; find the height at which it is sharp" in out
    assert run(["series", str(folder)]) == 1
    err = capsys.readouterr().err
    assert "less than 5 % of the field was measured in each of its 1 scans; they missed the sample" in err
    assert err.count("\n") == 1
    assert not (folder / "series").exists()
