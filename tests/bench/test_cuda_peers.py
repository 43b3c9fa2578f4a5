"""The benchmarks of the CUDA twins: their peers compute the same, and their programs run."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

pytest.importorskip("cv2")

from bench import bench_opening, cuda_timing, refocuser_on_cuda
from bench.peers import cupy_focus, cupy_opening
from bench.peers.cupy_refocuser import CupyRefocuser
from bench.peers.opencv_refocuser import OpenCvRefocuser
from lee import _core
from lee.devices import virtual
from lee.kernels.adaptive_variance import adaptive_variance
from lee.kernels.argmax_refocus import argmax_refocus
from lee.kernels.footprint import Footprint, disk, ellipse, rectangle
from lee.kernels.opening import opening

ROOT = Path(__file__).resolve().parents[2]
BENCHES = ["opening", "argmax_refocus", "adaptive_variance", "refocuser"]


# --- the peers, with NumPy and SciPy in place of CuPy, whose calls are the same ---


@pytest.mark.parametrize("footprint", [disk(4), ellipse(3, 6, angle_rad=0.5), rectangle(3, 7)])
def test_the_composed_opening_is_ours(footprint):
    height = np.random.default_rng(0).normal(size=(60, 70)).astype(np.float32)
    ours = opening(height, footprint=footprint, threshold=1.0)
    out, removed = cupy_opening.opening(np, scipy.ndimage, height, footprint, 1.0)
    np.testing.assert_array_equal(out, ours.height_um)
    np.testing.assert_array_equal(removed, ours.removed)
    assert (out.dtype, removed.dtype) == (np.float32, np.int8)


@pytest.mark.parametrize("footprint", [disk(4), ellipse(3, 6, angle_rad=0.5), rectangle(4, 7)])
def test_both_composed_variances_are_ours(footprint):
    image = np.random.default_rng(1).integers(0, 256, (60, 70)).astype(np.uint8)
    ours = adaptive_variance(image, footprint=footprint).focus
    inner = np.s_[10:-10, 10:-10]
    for measure in (
        cupy_focus.Variance(np, scipy.ndimage, footprint),
        cupy_focus.Spectral(np, scipy.ndimage, footprint, image.shape),
    ):
        found = measure(image)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[inner], ours[inner], atol=1e-5 * ours.max())


def test_the_composed_argmax_is_ours():
    rng = np.random.default_rng(2)
    z = 0.2 * np.arange(60)
    truth = 6 + 2 * rng.random((20, 30))
    focus = 50 * np.exp(-0.5 * ((z[:, None, None] - truth) / 1.2) ** 2) + 0.5 * rng.random((60, 20, 30))
    focus = focus.astype(np.float32)
    stack = rng.integers(0, 256, focus.shape).astype(np.uint8)
    ours = argmax_refocus(stack, focus, z_um=z, reach=6)
    sharp, plane, height = cupy_focus.Argmax(np, z, 6)(stack, focus)
    np.testing.assert_array_equal(sharp, ours.sharp)
    np.testing.assert_array_equal(plane, ours.plane)
    np.testing.assert_allclose(height, ours.height_um, atol=1e-4)
    assert height.dtype == np.float32


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:divide by zero:RuntimeWarning")
def test_the_composed_refocuser_is_that_of_opencv():
    shape = (91, 93)
    taken = virtual.render_scan(virtual.gentle(shape, 0.25, 3), seed=3)
    one, other = OpenCvRefocuser(shape, 3.5), CupyRefocuser(np, scipy.ndimage, shape, 3.5)
    for frame, z in zip(taken.frames, taken.z_um, strict=True):
        one.push(frame, float(z))
        other.push(frame, float(z))
    one.close()
    other.close()
    for expected, found in zip(one.levels, other.levels, strict=True):
        assert found.ring[0].dtype == found.z_um.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(found.z_um[0]), np.isnan(expected.z_um[0]))
        known = np.isfinite(expected.z_um[0])
        assert known.mean() > 0.9
        assert np.mean(np.abs(found.z_um[0] - expected.z_um[0])[known] < 1e-3) > 0.999
        np.testing.assert_allclose(found.peak[0], expected.peak[0], rtol=1e-3)


# --- what their figures are made of ---


def test_shares_of_a_cards_limits():
    card = cuda_timing.Card(
        "a card", bytes_per_s=1e12, floats_per_s=2e12, integers_per_s=5e11, emulated=False
    )
    assert card.of_memory(1e9, 2.0) == pytest.approx(50)
    assert card.of_floats(1e9, 1.0) == pytest.approx(50)
    assert card.of_integers(1e8, 1.0) == pytest.approx(20)


def test_runs_of_a_footprint_and_groups_of_frames_are_counted():
    assert bench_opening.runs_of(disk(15)) == 31
    assert bench_opening.runs_of(Footprint(np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1]]))) == 3
    assert refocuser_on_cuda.groups_of([0.2 * k for k in range(9)]) == 3
    one, two = (refocuser_on_cuda.operations(4 * n, n) for n in (1, 2))
    assert two == pytest.approx(2 * one)


# --- the programs ---


@pytest.mark.parametrize("stem", BENCHES)
def test_they_run_and_state_what_their_times_mean(cuda, capsys, monkeypatch, stem):
    monkeypatch.setattr(cuda_timing, "MIN_MS", 0.0)
    main = import_module(f"bench.bench_{stem}").main
    assert main(["--device", "cuda", "--quick", "--runs", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert cuda.device["name"] in lines[0]
    assert ("TIMES MEAN NOTHING" in lines[0]) == cuda.emulated
    assert (cuda_timing.ABSENT in " ".join(lines)) == (cuda_timing.ndimage() is None)
    names = next(line for line in lines if "memory %" in line)
    assert "Gpx/s" in names
    assert len(lines) >= 3


@pytest.mark.parametrize("stem", BENCHES)
def test_without_a_usable_device_they_state_why(stem):
    command = [sys.executable, "-m", f"bench.bench_{stem}", "--device", "cuda", "--quick"]
    environment = {**os.environ, "LEE_EMULATED_NO_DEVICE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    why = "no CUDA device is visible" if _core.built_with_cuda() else "this build of lee has no CUDA kernels"
    assert line.startswith((f"bench_{stem}: device_info: {why}", f"bench_{stem}: device_info: no NVIDIA"))
