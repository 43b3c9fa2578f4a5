"""From frames to a surface, end to end on rendered scans of known relief, whole and streamed."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

import lee
from lee.devices.virtual import Flash, gentle, render_scan, rugged
from lee.errors import DeviceError, InputError
from lee.kernels.backend import resolve_device
from lee.reconstruction.parameters import RIG_DEPTH_OF_FIELD_UM, ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.reconstruction.refocuser import Refocuser
from lee.stacks.stack import ZStack

SHAPE, PIXEL_UM = (208, 224), 0.25
INSIDE = np.s_[16:-16, 16:-16]


def stack_of(scan):
    return ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um)


def error_of(surface, scan):
    """Height less truth where both are known, the rim left out that drift brings into the field."""
    error = (surface.height_um - scan.truth_seen_in(0))[INSIDE]
    return error[np.isfinite(error)]


def rms(error):
    return float(np.sqrt(np.mean(np.square(error))))


@pytest.fixture(scope="module")
def scan():
    return render_scan(gentle(SHAPE, PIXEL_UM, 3), seed=1)


@pytest.fixture(scope="module")
def surface(scan):
    return reconstruct(stack_of(scan))


def test_gentle_relief_is_measured_to_hundredths_of_a_micron(scan, surface):
    assert surface.valid.mean() > 0.98
    assert rms(error_of(surface, scan)) < 0.06
    assert abs(np.median(error_of(surface, scan))) < 0.02


@pytest.mark.parametrize("scene", [pytest.param(gentle, marks=pytest.mark.slow), rugged])
def test_two_thirds_of_the_heights_lie_within_one_sigma(scene):
    scan = render_scan(scene(SHAPE, PIXEL_UM, 8), seed=1)
    surface = reconstruct(stack_of(scan))
    error, sigma = (surface.height_um - scan.truth_seen_in(0))[INSIDE], surface.height_sigma_um[INSIDE]
    known = np.isfinite(error)
    assert 0.58 < np.mean(np.abs(error[known]) < sigma[known]) < 0.78


def test_what_is_not_measured_is_filled_and_distinguished(surface):
    assert surface.height_um.shape == SHAPE
    np.testing.assert_array_equal(np.isnan(surface.height_um), ~surface.valid)
    np.testing.assert_array_equal(np.isnan(surface.height_sigma_um), ~surface.valid)
    np.testing.assert_array_equal(surface.height_filled_um[surface.valid], surface.height_um[surface.valid])
    assert np.isfinite(surface.height_filled_um).all()
    assert np.isfinite(surface.refocused).all()


def test_metadata_record_how_it_was_measured(scan, surface):
    stored = surface.metadata
    assert stored["frames"] == stored["frames_used"] == len(scan.frames)
    assert stored["z_range_um"] == [scan.z_um.min(), scan.z_um.max()]
    assert stored["rejected_frames"] == []
    assert stored["depth_of_field_source"] == "measured"
    assert stored["parameters"]["depth_of_field_um"] == pytest.approx(3.4, rel=0.2)
    assert len(stored["drift_px"]) == len(scan.frames)
    assert sum(stored["not_measured_px"].values()) == (~surface.valid).sum()


def test_a_path_is_opened_as_open_stack_does(scan, surface, tmp_path):
    np.save(tmp_path / "scan.npy", scan.frames)
    step = float(scan.z_um[1] - scan.z_um[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = reconstruct(str(tmp_path / "scan.npy"), z_step_um=step, pixel_um=PIXEL_UM)
    assert found.provenance.scan.path == str(tmp_path / "scan.npy")
    assert np.array_equal(found.valid, surface.valid)
    assert np.nanmax(np.abs(found.height_um + float(scan.z_um[0]) - surface.height_um)) < 1e-3
    for options, message in (
        ({}, "scan.npy"),
        ({"z_step_um": -1, "pixel_um": 1}, "step"),
        ({"z_step_um": step, "pixel_um": 1, "time": 3}, "scan.npy"),
    ):
        with pytest.raises(InputError, match=message):
            reconstruct(tmp_path / "scan.npy", **options)
    with pytest.raises(InputError, match="absent: no such file or folder; give an existing stack"):
        reconstruct(tmp_path / "absent", z_step_um=1, pixel_um=1)


def test_an_open_stack_brings_its_own_calibration(scan):
    with pytest.raises(
        InputError, match="z_step_um is given with an open stack: give a path, or give z_step"
    ):
        reconstruct(stack_of(scan), z_step_um=0.2)
    with pytest.raises(InputError, match=r"a ndarray is no stack: give a path or .*ZStack\.from_array"):
        reconstruct(scan.frames)


def test_drift_is_corrected():
    scene = rugged(SHAPE, PIXEL_UM, 4, relief_um=8.0)
    moved = render_scan(scene, drift_px=(8.0, -3.0), seed=1)
    off = rms(error_of(reconstruct(stack_of(moved), params=ReconstructParams(drift=False)), moved))
    on = rms(error_of(reconstruct(stack_of(moved)), moved))
    assert on < 0.5 * off


@pytest.mark.slow
def test_drift_on_gentle_relief_costs_a_fifth_at_most(scan, surface):
    moved = render_scan(gentle(SHAPE, PIXEL_UM, 3), drift_px=(8.0, -3.0), seed=1)
    once = ReconstructParams(second_look=False)
    still = rms(error_of(reconstruct(stack_of(scan), params=once), scan))
    assert rms(error_of(reconstruct(stack_of(moved), params=once), moved)) < 1.2 * still
    # The second look sees what of the drift is left: a few hundredths of a pixel.
    assert (
        rms(error_of(reconstruct(stack_of(moved)), moved)) < 1.3 * rms(error_of(surface, scan)) < 0.5 * still
    )


def test_streamed_equals_whole_where_depth_and_drift_are_given(scan):
    stack = stack_of(scan)
    params = ReconstructParams(drift=False, depth_of_field_um=3.4, second_look=False)
    whole = reconstruct(stack, params=params)
    streamed = Refocuser(SHAPE, pixel_um=PIXEL_UM, params=params)
    for frame, z in zip(scan.frames, scan.z_um, strict=True):
        streamed.push(frame, z)
    result = streamed.finish()
    for name in ("height_um", "height_filled_um", "height_sigma_um", "valid", "refocused"):
        np.testing.assert_array_equal(getattr(result, name), getattr(whole, name))


def test_falling_z_finds_the_same_surface(scan, surface):
    params = ReconstructParams(drift=False, depth_of_field_um=3.4)
    down = ZStack.from_array(scan.frames[::-1], scan.z_um[::-1], PIXEL_UM)
    assert rms(error_of(reconstruct(down, params=params), scan)) < 0.06


def test_a_common_offset_of_z_is_one_of_the_surface(scan):
    params = ReconstructParams(drift=False, depth_of_field_um=3.4)
    here = reconstruct(stack_of(scan), params=params)
    there = reconstruct(ZStack.from_array(scan.frames, scan.z_um + 64.0, PIXEL_UM), params=params)
    np.testing.assert_allclose(there.height_um - 64.0, here.height_um, atol=2e-3)


def test_a_flash_is_rejected_and_does_no_harm():
    scan = render_scan(replace(gentle(SHAPE, PIXEL_UM, 3), flashes=(Flash(0.4),)), seed=1)
    flashed = reconstruct(stack_of(scan))
    assert [r["frame"] for r in flashed.metadata["rejected_frames"]] == np.flatnonzero(scan.flashed).tolist()
    assert flashed.metadata["frames_used"] == len(scan.frames) - 1
    assert rms(error_of(flashed, scan)) < 0.06


def test_preview_comes_close_while_frames_arrive(scan):
    streamed = Refocuser(SHAPE, pixel_um=PIXEL_UM)
    assert np.isnan(streamed.preview()).all()
    for frame, z in zip(scan.frames, scan.z_um, strict=True):
        streamed.push(frame, z)
    error = (streamed.preview() - scan.truth_um)[INSIDE]
    assert np.nanmedian(np.abs(error)) < 0.15
    assert streamed.state_bytes_per_pixel <= 128


def test_progress_counts_the_frames(scan):
    seen = []
    params = ReconstructParams(drift=False, depth_of_field_um=3.4)
    reconstruct(stack_of(scan), params=params, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(k + 1, len(scan.frames)) for k in range(len(scan.frames))]


def test_without_params_the_rig_s_depth_of_field_is_assumed(scan):
    streamed = Refocuser(SHAPE, pixel_um=PIXEL_UM)
    for frame, z in zip(scan.frames, scan.z_um, strict=True):
        streamed.push(frame, z)
    assert streamed.finish().metadata["parameters"]["depth_of_field_um"] == RIG_DEPTH_OF_FIELD_UM


def test_a_camera_may_reuse_its_buffer(scan):
    streamed = Refocuser(SHAPE, pixel_um=PIXEL_UM)
    whole = Refocuser(SHAPE, pixel_um=PIXEL_UM)
    buffer = np.empty(SHAPE, np.uint8)
    for frame, z in zip(scan.frames, scan.z_um, strict=True):
        buffer[:] = frame
        streamed.push(buffer, z)
        whole.push(frame, z)
        buffer[:] = 0
    np.testing.assert_array_equal(streamed.finish().height_um, whole.finish().height_um)


def test_public_names_lead_here():
    assert lee.reconstruct is reconstruct
    assert lee.Refocuser is Refocuser
    assert lee.ReconstructParams is ReconstructParams


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"focus": "tenengrad"}, "focus is 'tenengrad'; give 'variance' or 'wavelet'"),
        (
            {"depth_of_field_um": 0.0},
            "depth_of_field_um is 0.0; give a length above 0, or None to measure it",
        ),
        ({"depth_of_field_um": np.inf}, "depth_of_field_um is inf"),
        ({"threads": -1}, "threads is -1; give 0 for all cores, or a count"),
    ],
)
def test_bad_params_are_refused(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        ReconstructParams(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (0, 4)}, "refocuser: shape is (0, 4); give the frames' (height, width)"),
        ({"shape": (3, 4, 5)}, "refocuser: shape is (3, 4, 5)"),
        ({"pixel_um": 0.0}, "refocuser: pixel_um is 0.0; give the size of a pixel in µm, above 0"),
        ({"pixel_um": np.nan}, "refocuser: pixel_um is nan"),
        ({"device": "tpu"}, "device is 'tpu'; give 'auto'"),
    ],
)
def test_bad_refocusers_are_refused(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Refocuser(**{"shape": (8, 9), "pixel_um": 0.25, **arguments})


@pytest.mark.parametrize(
    ("frame", "z_um", "message"),
    [
        (np.zeros((9, 8), np.uint8), 2.0, "refocuser: frame is (9, 8), expected (8, 9)"),
        (np.zeros((8, 9), np.uint16), 2.0, "refocuser: frame is uint16, the scan began with uint8"),
        (np.full((8, 9), "a"), 2.0, "refocuser: frame holds <U1; give uint8, uint16 or float32"),
        (np.zeros((8, 9), np.uint8), np.nan, "refocuser: z_um of frame 1 is nan; give a height"),
    ],
)
def test_bad_frames_are_refused(frame, z_um, message):
    streamed = Refocuser((8, 9), pixel_um=0.25, params=ReconstructParams(reject_frames=False, drift=False))
    streamed.push(np.zeros((8, 9), np.uint8), 1.0)
    with pytest.raises(InputError, match=re.escape(message)):
        streamed.push(frame, z_um)


def test_z_that_turns_back_is_refused():
    streamed = Refocuser((8, 9), pixel_um=0.25, params=ReconstructParams(reject_frames=False, drift=False))
    for z in (1.0, 2.0):
        streamed.push(np.zeros((8, 9), np.uint8), z)
    with pytest.raises(InputError, match=r"z_um goes from 2\.0+ to 1\.50+; it must rise or fall"):
        streamed.push(np.zeros((8, 9), np.uint8), 1.5)


def test_too_few_frames_are_refused():
    streamed = Refocuser((8, 9), pixel_um=0.25)
    streamed.push(np.arange(72, dtype=np.uint8).reshape(8, 9), 1.0)
    with pytest.raises(InputError, match="1 of 1 frames can be used, but a focus needs at least 3"):
        streamed.finish()
    with pytest.raises(InputError, match="refocuser: the scan is finished; start a new Refocuser"):
        streamed.push(np.zeros((8, 9), np.uint8), 2.0)


def test_a_target_larger_than_the_frame_is_refused():
    with pytest.raises(InputError, match="target: 40×40 pixels do not fit into the frame, 8×9"):
        Refocuser((8, 9), pixel_um=0.25, target=lee.Target(shape="rectangle", size_px=(40, 40)))


def test_devices_are_resolved():
    assert resolve_device("cpu").kind == "cpu"


@pytest.mark.parametrize(
    ("focus", "reason"),
    [
        ("variance", "no CUDA device is usable: none here"),
        ("wavelet", "focus measure 'wavelet' runs on the processor only"),
    ],
)
def test_a_surface_records_why_it_was_measured_on_the_processor(monkeypatch, focus, reason):
    def none():
        raise DeviceError("none here")

    monkeypatch.setattr("lee.kernels.backend.cuda_device", none)
    scan = render_scan(gentle((48, 48), 0.25, 1), z_um=np.arange(-6, 12, 0.4))
    stack = lee.ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um)
    surface = lee.reconstruct(stack, params=lee.ReconstructParams(focus=focus))
    assert surface.provenance.device.kind == "cpu"
    assert surface.provenance.device.reason == reason
