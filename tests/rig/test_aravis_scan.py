"""A GenICam camera over the network and a virtual stage: whole scans of a camera that runs freely."""

import shutil

import pytest

import lee
from lee.devices.aravis import library as aravis_library
from lee.devices.protocols import CameraSettings, Rig
from lee.devices.scan_plan import ScanPlan
from lee.devices.virtual.hardware.rig import virtual_rig
from lee.errors import MissingDependency
from lee.recording.segment_reader import SegmentReader
from lee.rig.acquire import take_scan
from tests.devices.test_aravis import PROGRAM, network_camera

try:
    aravis_library.library()
    MISSING = ""
except MissingDependency as error:
    MISSING = str(error)
pytestmark = pytest.mark.skipif(
    bool(MISSING) or shutil.which(PROGRAM) is None, reason=MISSING or f"{PROGRAM} is not installed"
)


def scanned(path, *options, serial, size=512):
    asked = CameraSettings(
        exposure_s=0.003, triggered=False, region=(0, 0, size, size), frames_per_s=80.0, buffers=160
    )
    with network_camera(*options, serial=serial) as (camera, _):
        rig = Rig(camera, virtual_rig().stage)
        plan = ScanPlan.of_um(
            980.0, 1020.0, step_um=0.2, counts_per_um=rig.stage.counts_per_um, frames_per_s=80.0
        )
        applied = camera.configure(asked)
        taken = take_scan(rig, plan, path, settings=applied, pixel_um=0.2, reconstruct=False)
        rig.stage.close()
    assert taken.fault is None
    return taken, plan


@pytest.mark.parametrize("size", [512, pytest.param(1024, marks=pytest.mark.slow)])
def test_no_frame_is_lost_between_camera_and_disk(tmp_path, size):
    taken, plan = scanned(tmp_path / "a.raw", serial="GVSCAN", size=size)
    ledger = taken.ledger
    assert (ledger.lost_frames, ledger.dropped, ledger.frames_incomplete, ledger.unplaced) == (0, 0, 0, 0)
    # Where the machine is busy, the made-up camera itself makes a frame later than its frame rate.
    assert ledger.pulses_planned == ledger.frames_written + ledger.missed_triggers
    assert ledger.pulses_planned == pytest.approx(plan.pulses, abs=6)
    assert taken.synchronisation.method == "timestamps"
    assert taken.synchronisation.z_offset_sigma_um < 0.15
    with SegmentReader(taken.path) as reader:
        assert reader.verify() == []
        assert abs(reader.z_um[0] - plan.z_um[0]) < 0.5
        assert abs(reader.z_um[-1] - plan.z_um[-1]) < 0.5
    assert len(lee.open_stack(taken.path)) == ledger.frames_written


@pytest.mark.slow
def test_whatever_the_network_loses_is_in_the_ledger(tmp_path):
    taken, _ = scanned(tmp_path / "a.raw", "-r", "5", serial="GVLOSS")
    ledger = taken.ledger
    assert ledger.frames_incomplete > 10
    assert not ledger.complete
    assert ledger.unexplained <= 4
    accounted_for = ledger.frames_received + ledger.lost_frames + ledger.missed_triggers + ledger.unexplained
    assert ledger.pulses_planned == accounted_for
    with SegmentReader(taken.path) as reader:
        assert reader.verify() == []
        assert (~reader.complete).sum() == ledger.frames_incomplete
