"""The refocuser on a CUDA device against the processor's, and how frames and results pass to and from it."""

import warnings

import numpy as np
import pytest

import lee
from lee import _core
from lee.cli import run
from lee.devices.virtual import gentle, render_scan
from lee.errors import DeviceError, DeviceMemoryError, InputError
from lee.kernels.backend import resolve_device
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.refocuser import Refocuser

OPTIONS = {"depth_of_field_um": 3.0, "window_y_px": 5, "window_x_px": 5, "detail_px": 5, "threads": 1}
PLAIN = ReconstructParams(drift=False, reject_frames=False, depth_of_field_um=3.0)


def scan_of(dtype=np.uint8, shape=(37, 66), count=24):
    rng = np.random.default_rng(3)
    z = np.cumsum(rng.uniform(0.2, 0.8, count))
    plane = z.mean() + np.linspace(-1, 1, shape[1])
    contrast = np.exp(-(((z[:, None, None] - plane) / 1.5) ** 2))
    frames = 110 + 40 * rng.normal(size=shape) * contrast + rng.normal(size=(count, *shape))
    return frames.clip(0, 255).astype(dtype), z


def assert_same(got, want):
    for name, a, b in zip(("height", "sigma", "sharp"), got, want, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_whole_scan_equals_the_processors_bit_for_bit(cuda, dtype):
    frames, z = scan_of(dtype)
    drift = np.cumsum(np.random.default_rng(0).normal(0, 0.3, (len(z), 2)), axis=0)
    want, got = _core.Refocuser(37, 66, **OPTIONS), _core.DeviceRefocuser(37, 66, **OPTIONS, stream=0)
    for frame, height, (dy, dx) in zip(frames, z, drift, strict=True):
        want.push(frame, height, dy, dx)
        got.push(frame, height, dy, dx)
        if got.frames == 12:
            np.testing.assert_array_equal(got.preview(), want.preview())
    assert_same(got.finish(), want.finish())
    assert got.noise == want.noise


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_frames_on_the_device_are_taken_where_they_lie(cuda, dtype):
    frames, z = scan_of(dtype)
    drift = np.cumsum(np.random.default_rng(0).normal(0, 0.3, (len(z), 2)), axis=0)
    host, one_by_one, at_once = (_core.DeviceRefocuser(37, 66, **OPTIONS, stream=0) for _ in range(3))
    resident = cuda.array(frames)
    for k, height in enumerate(z):
        host.push(frames[k], height, *drift[k])
        one_by_one.push(resident[k], height, *drift[k])
    at_once.push_stack(resident[:5], z[:5], drift[:5])
    at_once.push_stack(resident[5:], z[5:], drift[5:])
    want = host.finish()
    assert_same(one_by_one.finish(), want)
    out = [cuda.cupy.empty((37, 66), np.float32) for _ in range(3)]
    at_once.finish_into(*out)
    assert_same([cuda.numpy(values) for values in out], want)
    preview = cuda.cupy.empty((37, 66), np.float32)
    at_once.preview_into(preview)
    np.testing.assert_array_equal(cuda.numpy(preview), host.preview())


def test_a_frame_may_be_reused_when_push_returns(cuda):
    frames, z = scan_of()
    kept, reused = (_core.DeviceRefocuser(37, 66, **OPTIONS, stream=0) for _ in range(2))
    buffer = np.empty_like(frames[0])
    for frame, height in zip(frames, z, strict=True):
        kept.push(frame, height)
        buffer[:] = frame
        reused.push(buffer, height)
        buffer.fill(0)
    assert_same(reused.finish(), kept.finish())


def test_bad_stacks_are_refused_and_change_nothing(cuda):
    frames, z = scan_of()
    resident = cuda.array(frames)
    core = _core.DeviceRefocuser(37, 66, **OPTIONS, stream=0)
    for arguments, message in [
        ((resident, z[:-1]), "refocuser: 24 frames but 23 heights; give one for each"),
        ((resident, z, [(0.0, 0.0)]), "refocuser: 24 frames but 1 drifts; give one for each, or none"),
        ((resident, z[::-1][:3]), "refocuser: 24 frames but 3 heights"),
        ((resident[:3], z[[0, 2, 1]]), "it must rise or fall from frame to frame throughout a scan"),
        ((cuda.array(frames[:2, :5].copy()), z[:2]), r"frame is \(5, 66\) but the refocuser was made for"),
    ]:
        with pytest.raises(ValueError, match=message):
            core.push_stack(*arguments)
    assert core.frames == 0
    with pytest.raises(TypeError, match="incompatible function arguments"):
        core.push_stack(resident[:, :, ::2], z)
    wide = dict.fromkeys(("depth_of_field_um",), 3.0) | {"window_y_px": 5, "window_x_px": 5, "detail_px": 5}
    with pytest.raises(ValueError, match="frames have at most 65535 rows"):
        _core.DeviceRefocuser(65536, 5, **wide, threads=1, stream=0)


def surface_on(device, frames, z, params=PLAIN):
    refocuser = Refocuser(frames[0].shape, pixel_um=0.25, params=params, device=device)
    for frame, height in zip(frames, z, strict=True):
        refocuser.push(frame, height)
    return refocuser.finish()


def test_a_surface_is_the_same_wherever_it_was_made(cuda):
    frames, z = scan_of(shape=(70, 80))
    want = surface_on("cpu", frames, z)
    params = ReconstructParams(depth_of_field_um=3.0)
    for device in ("cuda", "auto"):
        got = surface_on(device, frames, z)
        np.testing.assert_array_equal(got.height_um, want.height_um)
        np.testing.assert_array_equal(got.height_sigma_um, want.height_sigma_um)
        assert got.metadata["device"]["kind"] == "cuda"
    judged = surface_on("cuda", frames, z, params)
    np.testing.assert_array_equal(judged.height_um, surface_on("cpu", frames, z, params).height_um)
    resident = surface_on("cuda", cuda.array(frames), z)
    np.testing.assert_array_equal(resident.height_um, want.height_um)


def test_frames_on_the_device_need_a_refocuser_there(cuda):
    frame = cuda.array(np.zeros((8, 9), np.uint8))
    with pytest.raises(InputError, match="frame is on a CUDA device, this refocuser works on the processor"):
        Refocuser((8, 9), pixel_um=0.25, params=PLAIN).push(frame, 0.0)
    with pytest.raises(InputError, match="frames on a CUDA device are not judged, nor is their drift"):
        Refocuser((8, 9), pixel_um=0.25, device="cuda").push(frame, 0.0)
    with pytest.raises(InputError, match="frame on the CUDA device holds float64; convert it to uint8"):
        Refocuser((8, 9), pixel_um=0.25, params=PLAIN, device="cuda").push(
            cuda.array(np.zeros((8, 9), np.float64)), 0.0
        )


def test_a_stack_is_reconstructed_on_the_device(cuda):
    scan = render_scan(gentle((64, 64), 0.25, 1), z_um=np.arange(-6, 12, 0.3))
    stack = lee.ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um)
    want, got = lee.reconstruct(stack, device="cpu"), lee.reconstruct(stack, device="cuda")
    np.testing.assert_array_equal(got.height_filled_um, want.height_filled_um)
    assert got.metadata["device"]["name"] == cuda.device["name"]
    with pytest.raises(
        InputError, match="focus is 'wavelet', which runs on the processor; give device='cpu'"
    ):
        lee.reconstruct(stack, device="cuda", params=ReconstructParams(focus="wavelet"))


@pytest.mark.parametrize("pixels_of_state", [0, 60], ids=["at the start", "at the first frame"])
def test_auto_works_on_the_processor_where_memory_does_not_suffice(cuda, monkeypatch, pixels_of_state):
    if not cuda.emulated:
        pytest.skip("a card's memory cannot be made small")
    frames, z = scan_of()
    monkeypatch.setenv("LEE_EMULATED_MEMORY_BYTES", str(37 * 66 * pixels_of_state))
    with pytest.warns(
        UserWarning, match="the CUDA device's memory did not suffice.*working on the processor"
    ):
        surface = surface_on("auto", frames, z)
    assert surface.metadata["device"]["kind"] == "cpu"
    assert "memory did not suffice" in surface.metadata["device"]["reason"]
    np.testing.assert_array_equal(surface.height_um, surface_on("cpu", frames, z).height_um)
    with pytest.raises(DeviceMemoryError, match="the CUDA device has too little free memory"):
        surface_on("cuda", frames, z)


def test_reconstruct_begins_again_where_memory_runs_out_at_the_end(cuda, monkeypatch):
    if not cuda.emulated:
        pytest.skip("a card's memory cannot be made small")
    scan = render_scan(gentle((64, 64), 0.25, 1), z_um=np.arange(-6, 12, 0.3))
    stack = lee.ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um)
    monkeypatch.setenv("LEE_EMULATED_MEMORY_BYTES", str(64 * 64 * 68))
    with pytest.warns(UserWarning, match="the CUDA device's memory did not suffice"):
        surface = lee.reconstruct(stack, device="auto")
    assert surface.metadata["device"]["kind"] == "cpu"
    with pytest.raises(DeviceMemoryError, match="refocuser: the CUDA device has too little free memory"):
        lee.reconstruct(stack, device="cuda")


def test_the_command_line_states_where_it_worked(cuda, tmp_path, capsys):
    scan = render_scan(gentle((64, 64), 0.25, 1), z_um=np.arange(-6, 12, 0.3))
    np.save(tmp_path / "scan.npy", scan.frames)
    line = ["reconstruct", str(tmp_path / "scan.npy"), "--z-step-um", "0.3", "--pixel-um", "0.25"]
    assert run([*line, "-o", str(tmp_path / "a")]) == 0
    assert f", on the CUDA device {cuda.device['name']}" in capsys.readouterr().out
    assert run([*line, "-o", str(tmp_path / "b"), "--device", "cpu"]) == 0
    assert f", on the processor ({_core.instruction_set()})" in capsys.readouterr().out


def test_without_a_device_auto_takes_the_processor_and_states_why(monkeypatch):
    def none():
        raise DeviceError("device_info: no NVIDIA driver is installed; install one, or work on the CPU")

    monkeypatch.setattr("lee.kernels.backend.cuda_device", none)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = resolve_device("auto")
    assert (chosen.kind, chosen.name) == ("cpu", _core.instruction_set())
    assert chosen.reason.startswith("no CUDA device is usable: device_info: no NVIDIA driver")
    with pytest.raises(DeviceError, match="no NVIDIA driver is installed"):
        resolve_device("cuda")
    with pytest.raises(InputError, match="device is 'tpu'; give 'auto', 'cpu' or 'cuda'"):
        resolve_device("tpu")
