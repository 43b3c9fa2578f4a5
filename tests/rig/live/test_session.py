"""The rig's page as a browser's requests see it: its state, and what a run does."""

import json
import threading
import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import lee
from lee.devices.virtual.hardware.fault_plan import At, Faults
from lee.recording.segment_reader import SegmentReader
from tests.support.live_rig import RisingBank, ask, bright_bank, quick_bank, served, state_of, wait_for
from tests.support.recorded_scan import record


@pytest.fixture(scope="module")
def at_rest(tmp_path_factory):
    with served(tmp_path_factory.mktemp("live") / "run", bright_bank((64, 80))) as server:
        yield server


def test_at_rest_the_camera_is_seen_and_nothing_moves(at_rest):
    state = wait_for(at_rest, lambda state: state["frame"])
    assert state["frame"]["preview"]
    assert state["frame"]["z_um"] == pytest.approx(1000.0, abs=0.01)
    assert (state["scans_taken"], state["frames_taken"], state["running"]) == (0, 0, False)
    picture = Image.open(BytesIO(ask(at_rest, "/frame.jpg").body))
    assert picture.size == (80, 64)
    assert ask(at_rest, "/height.png").status == 404


def test_saturated_pixels_are_counted_warned_of_and_red(at_rest):
    frame = wait_for(at_rest, lambda state: state["frame"])["frame"]
    assert frame["saturated"] == pytest.approx(12 * 40 / (64 * 80))
    assert frame["saturation_warning"]
    picture = np.asarray(Image.open(BytesIO(ask(at_rest, "/frame.jpg").body)).convert("RGB")).astype(int)
    assert picture[:10, :36, 0].min() > 200
    assert picture[:10, :36, 1].max() < 90
    assert np.abs(picture[20:, 50:, 0] - picture[20:, 50:, 1]).max() < 40


def test_a_run_is_started_watched_by_many_and_ended(tmp_path):
    with served(tmp_path / "run", RisingBank(quick_bank((64, 80), relief_um=8.0), 150.0)) as server:
        assert ask(server, "/start", "POST").status == 200
        twice = ask(server, "/start", "POST")
        assert twice.status == 409
        assert b"a run is in progress" in twice.body
        seen, statuses = [], []

        def watch():
            for _ in range(20):
                statuses.append(ask(server, "/state").status)
                seen.append(json.loads(ask(server, "/state").body)["frames_taken"])
                time.sleep(0.05)

        clients = [threading.Thread(target=watch) for _ in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert set(statuses) == {200}
        assert len(set(seen)) > 3
        state = wait_for(server, lambda state: state["surfaces"].get("curves", {}).get("surfaces", 0) >= 5)
        assert state["running"]
        assert state["disk"]["bytes_per_s"] > 0
        assert 0 < state["disk"]["run_ends_in_s"] < 60
        assert state["disk"]["full_in_s"] > 0
        assert not state["frame"]["saturation_warning"]
        assert ask(server, "/stop", "POST").status == 200
        state = wait_for(server, lambda state: not state["running"])
        assert state["phase"] == "ended"
        assert state["said"] == f"{state['scans_taken']} of {state['scans_taken']} scans complete"
        wait_for(server, lambda now: now["surfaces"]["height"]["scan"] == state["scans"][0]["scan"])
        newest = state["scans"][0]
        assert (newest["frames"], newest["lost"], newest["missed"], newest["fault"]) == (36, 0, 0, "")
        height = state_of(server)["surfaces"]["height"]
        assert height["coverage"] == pytest.approx(newest["coverage"])
        picture = Image.open(BytesIO(ask(server, "/height.png").body))
        assert picture.size == (80, 64)
        assert len(set(np.asarray(picture).ravel().tolist())) > 50
        assert len(ask(server, "/relief.bin").body) == 64 * 80 * (4 + 3)
        rate = state_of(server)["surfaces"]["rate"]
        assert rate["low"] == -rate["high"]
        assert rate["mean_nm_per_s"] == pytest.approx(150, rel=0.3)
        curves = json.loads(ask(server, "/curves").body)
        assert curves["regions"][0]["name"] == "whole field"
        assert len(curves["times_s"]) == state["scans_taken"]
        assert curves["regions"][0]["change_um"][0] == 0
        assert curves["regions"][0]["change_um"][-1] > 0.1
        scans = len(list((tmp_path / "run" / "scans").glob("*.raw")))
        assert scans == state["scans_taken"] == len(lee.open_run(tmp_path / "run"))
    with served(tmp_path / "run") as server:
        again = wait_for(server, lambda state: state["surfaces"])
        assert again["surfaces"]["height"]["scan"] == newest["scan"]
        assert again["surfaces"]["curves"]["surfaces"] == scans


def test_the_stage_is_stopped_at_once_and_the_scan_accounted_for(tmp_path):
    with served(tmp_path / "run", frames_per_s=30.0) as server:
        ask(server, "/start", "POST")
        wait_for(server, lambda state: state["frames_taken"] > 8)
        begun = time.monotonic()
        assert ask(server, "/abort", "POST").status == 200
        state = wait_for(server, lambda state: not state["running"])
        assert time.monotonic() - begun < 2
        assert state["phase"] == "aborted"
        assert "stopped at once by the user" in state["said"]
        row = state["scans"][0]
        assert not row["complete"]
        assert 8 < row["frames"] < 36
        written = SegmentReader(tmp_path / "run" / "scans" / row["scan"])
        assert (len(written), written.verify()) == (row["frames"], [])
        stage = server.session._rig.stage
        time.sleep(0.3)
        assert not stage.status().moving
        ask(server, "/start", "POST")
        assert wait_for(server, lambda state: state["scans_taken"])["scans"][0]["scan"] == "scan_001.raw"


def test_a_fault_is_reported_and_the_page_lives_on(tmp_path):
    with served(tmp_path / "run", faults=Faults(stall=At(pulse=10))) as server:
        ask(server, "/start", "POST")
        state = wait_for(server, lambda state: not state["running"])
        assert state["phase"] == "fault"
        assert "does not turn" in state["said"]
        assert "does not turn" in state["scans"][0]["fault"]
        assert state["scans"][0]["frames"] == 11
        assert state_of(server)["phase"] == "fault"


def test_no_room_is_reported_before_anything_moves(tmp_path):
    with served(tmp_path / "run", duration_s=4e9) as server:
        ask(server, "/start", "POST")
        state = wait_for(server, lambda state: not state["running"])
        assert state["phase"] == "fault"
        assert "are needed" in state["said"]
        assert state["scans"] == []
        assert server.session._rig.stage.status().position_counts == round(1000 * 2008.64563)


def test_a_camera_that_no_pulse_reaches_is_watched_too(tmp_path):
    with served(tmp_path / "run", triggered=False, frames_per_s=60.0) as server:
        ask(server, "/start", "POST")
        frame = wait_for(server, lambda state: (state["frame"] or {}).get("number", 0))["frame"]
        assert frame["of"] is None
        assert not frame["z_of_pulse"]
        assert 990 < frame["z_um"] < 1020
        row = wait_for(server, lambda state: state["scans"])["scans"][0]
        assert row["frames"] > 30
        assert row["synchronised"]
        assert "heights from timestamps" in row["said"]


def test_a_camera_that_is_gone_is_reported_at_rest(tmp_path):
    with served(tmp_path / "run", faults=Faults(unplug_camera=At(time_s=0.5))) as server:
        state = wait_for(server, lambda state: state["no_preview"])
        assert "camera: it does not answer" in state["no_preview"]
        assert state["phase"] == "idle"


def test_scans_recorded_before_are_counted(tmp_path):
    (tmp_path / "run" / "scans").mkdir(parents=True)
    record(tmp_path / "run" / "scans" / "scan_006.raw", 3)
    with served(tmp_path / "run") as server:
        state = state_of(server)
        assert (state["scans_before"], state["scans_taken"]) == (7, 0)
