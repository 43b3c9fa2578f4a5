"""Moves that the page asks for outside runs: within limits, one at a time, stopped at once, never unasked."""

import json
import time

import pytest

from lee.devices.virtual.hardware.fault_plan import At, Faults
from tests.support.live_rig import ask, quick_bank, served, state_of, wait_for

COUNTS_PER_UM = 2008.64563


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moves") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lee.rig.live.camera_at_rest._PER_S", 100.0)
        with served(folder, quick_bank((64, 80), relief_um=10.0)) as server:
            yield server


def post(server, path, status=200):
    answer = ask(server, path, "POST")
    assert answer.status == status, answer.body
    return answer.body.decode()


def resting(server):
    return wait_for(server, lambda state: not state["moving"])


def test_the_stage_goes_where_it_is_sent_and_by_what_it_is_jogged(server):
    post(server, "/goto?um=1003.5")
    state = resting(server)
    assert (state["phase"], state["said"]) == ("idle", "the stage is at 1003.50 µm")
    post(server, "/jog?um=-1.25")
    assert resting(server)["z_um"] == pytest.approx(1002.25, abs=0.01)
    assert state_of(server)["frames_taken"] == 0
    frame = wait_for(server, lambda now: now["frame"] and abs(now["frame"]["z_um"] - 1002.25) < 0.01)["frame"]
    assert frame["contrast"] > 0
    assert sum(frame["histogram"]) == pytest.approx(1, abs=1e-3)
    assert frame["limits"][0] < 100 < frame["limits"][1]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("/goto?um=25001", "25001.00 µm is beyond its limits, 0.00 to 25000.00 µm"),
        ("/jog?um=-2000", "is beyond its limits"),
        ("/goto?um=nan", "live: um is 'nan'; give a number"),
        ("/goto?um=1e400", "live: um is '1e400'; give a number"),
        ("/goto?um=", "live: um is ''; give a number"),
        ("/goto", "live: um is ''; give a number"),
        ("/goto?um=1&um=2&speed=9", "live: 'speed' is not asked for; what may be given is um"),
        ("/start?um=1", "live: 'um' is not asked for; what may be given is nothing"),
        ("/sweep?from_um=1010&to_um=990&step_um=1", "give a lower and a higher end"),
        ("/window?start_um=24990&end_um=25000", "beyond the stage's limits"),
        ("/camera?exposure_s=0", "camera: exposure_s 0 must be in 1.4e-05 to 10"),
        ("/camera?exposure_s=0.001&gain_db=90", "camera: gain_db 90 must be in 0 to 40"),
        (
            "/camera?exposure_s=0.02",
            "with an exposure of 19.999 ms it takes 49.4 frames/s, and the scan sends 200",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_moves(server, asked, said):
    before = state_of(server)
    assert said in post(server, asked, 409)
    after = state_of(server)
    assert not after["moving"]
    for key in ("z_um", "plan", "exposure_s", "gain_db"):
        assert after[key] == before[key]


def test_a_move_needs_the_page_or_the_token(server):
    assert ask(server, "/goto?um=1001", "POST", Origin="http://elsewhere.example").status == 403
    assert ask(server, "/goto?um=1001").status == 405
    assert not state_of(server)["moving"]


def test_stop_ends_a_move_and_nothing_else_begins_meanwhile(server):
    post(server, "/goto?um=20000")
    assert "the stage moves; wait until it rests" in post(server, "/goto?um=1000", 409)
    assert "the stage moves" in post(server, "/start", 409)
    assert "the stage moves" in post(server, "/window?start_um=1000&end_um=1010", 409)
    begun = time.monotonic()
    post(server, "/abort")
    state = resting(server)
    assert time.monotonic() - begun < 3
    assert state["phase"] == "idle"
    assert state["said"] == f"the stage was stopped at {state['z_um']:.2f} µm"
    assert state["z_um"] < 19000
    time.sleep(0.3)
    assert state_of(server)["z_um"] == state["z_um"]
    post(server, "/abort")
    assert state_of(server)["said"] == "a stop was sent to the stage"


def test_a_sweep_finds_the_window_and_the_next_run_scans_it(server):
    post(server, "/camera?exposure_s=0.002&gain_db=6")
    plan = state_of(server)["plan"]
    post(server, "/sweep?from_um=985&to_um=1027&step_um=6")
    state = resting(server)
    assert "% of the field is sharp within" in state["said"]
    assert state["plan"] == plan
    found = state["sweep"]
    assert 970 < found["start_um"] < 1000
    assert 1010 < found["end_um"] < 1040
    post(server, "/window?start_um=997&end_um=1012")
    assert state_of(server)["plan"] | {"frames": 38} == state_of(server)["plan"]
    post(server, "/start")
    assert "a run is in progress" in post(server, "/jog?um=1", 409)
    assert "a run is in progress" in post(server, "/camera?exposure_s=0.001", 409)
    wait_for(server, lambda state: state["scans_taken"])
    post(server, "/stop")
    row = wait_for(server, lambda state: not state["running"])["scans"][-1]
    assert (row["frames"], row["complete"]) == (38, True)
    folder = server.session._run.folder
    header = next((folder / "scans").glob("*.raw")).read_bytes()[:4000]
    settings = json.loads(header[header.index(b"{") : header.rindex(b"}") + 1])["settings"]
    assert settings["exposure_s"] == pytest.approx(0.002, abs=1e-5)
    assert settings["gain_db"] == 6.0


def test_a_stage_that_stalls_or_is_gone_is_reported(tmp_path):
    with served(tmp_path / "run", faults=Faults(unplug_stage=At(time_s=1.5))) as server:
        post(server, "/goto?um=9000")
        state = resting(server)
        assert state["phase"] == "fault"
        assert "stage: it has reported no status" in state["said"]
        assert "the stop did not reach the stage: stage: it accepts no command" in post(server, "/abort", 409)
        server.session._rig.stage._unplugged_s = float("inf")


def test_a_stage_whose_counter_may_be_wrong_is_not_moved(tmp_path):
    with served(tmp_path / "run") as server:
        server.session._rig.stage.switch_off_and_on()
        post(server, "/goto?um=5")
        state = resting(server)
        assert state["phase"] == "fault"
        assert "nothing moves before it is homed" in state["said"]
        # It began to count at 0 where it stood, and stays there; the page shows that a moment later.
        wait_for(server, lambda now: abs(now["z_um"]) < 0.01)
