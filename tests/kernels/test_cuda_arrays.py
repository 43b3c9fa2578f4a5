"""Arrays of a CUDA device: recognised, refused where unfit, and the message where there is no device."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lee import _core
from lee.errors import DeviceError, InputError, MissingDependency
from lee.kernels import cuda_arrays
from lee.kernels.footprint import disk
from lee.kernels.opening import flat_morphology, opening

ROOT = Path(__file__).resolve().parents[2]


class OnDevice:
    """Any library's array that states where it is stored, and no more."""

    def __init__(self, array, **changes):
        self.array = array
        self.__cuda_array_interface__ = {**array.__cuda_array_interface__, **changes}


class ByDlpack:
    def __init__(self, array, device):
        self.array, self.device = array, device

    def __dlpack_device__(self):
        return (self.device, 0)

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)


# --- recognised ---


@pytest.mark.parametrize("values", [np.zeros(3), [1.0], (2,), 3, 4.0, None, "text", np.float32(1)])
def test_what_lies_on_the_host_is_not_on_a_device(values):
    assert not cuda_arrays.is_cuda(values)


def test_an_array_states_itself_where_it_lies():
    assert cuda_arrays.is_cuda(SimpleNamespace(__cuda_array_interface__={}))
    for device, cuda in {1: False, 2: True, 3: False, 13: True}.items():
        assert cuda_arrays.is_cuda(ByDlpack(np.zeros(2), device)) is cuda


def test_arrays_in_two_places_are_refused():
    device, host = SimpleNamespace(__cuda_array_interface__={}), np.zeros(3)
    assert cuda_arrays.all_cuda("sum", a=device, b=device)
    assert not cuda_arrays.all_cuda("sum", a=host, b=host)
    with pytest.raises(
        TypeError, match=r"^sum: b on the CUDA device but a, c not; nothing is moved silently"
    ):
        cuda_arrays.all_cuda("sum", a=host, b=device, c=host)


def test_without_cupy_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    expected = (
        r'^opening: arrays on a CUDA device need CuPy; pip install "\.\[cuda\]" in the folder of lee, or '
        "give NumPy arrays$"
    )
    with pytest.raises(MissingDependency, match=expected):
        opening(SimpleNamespace(__cuda_array_interface__={}), footprint=disk(1))


def test_a_core_without_cuda_is_reported():
    if _core.built_with_cuda():
        pytest.skip("this core has CUDA")
    with pytest.raises(
        DeviceError, match="device_info: this build of lee has no CUDA kernels; build it with"
    ):
        _core.cuda_device()


# --- taken as they are, or refused ---


def test_any_librarys_arrays_are_taken(cuda):
    height = np.random.default_rng(0).normal(size=(9, 11)).astype(np.float32)
    expected = opening(height, footprint=disk(2))
    held = cuda.array(height)
    for given in (held, OnDevice(held), ByDlpack(held, 2)):
        got = opening(given, footprint=disk(2))
        np.testing.assert_array_equal(cuda.numpy(got.height_um), expected.height_um)
        np.testing.assert_array_equal(cuda.numpy(got.removed), expected.removed)


def test_the_array_given_is_not_written_to(cuda):
    height = cuda.array(np.arange(12, dtype=np.float32).reshape(3, 4))
    before = cuda.numpy(height).copy()
    opening(height, footprint=disk(1), threshold=0.0)
    np.testing.assert_array_equal(cuda.numpy(height), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: np.zeros((4, 5)),
            "opening: height_um on the CUDA device holds float64; convert it to float32",
        ),
        (
            lambda: np.zeros((4, 5), np.uint8),
            "opening: height_um on the CUDA device holds uint8; convert it to",
        ),
        (
            lambda: np.zeros(4, np.float32),
            r"opening: height_um has shape \(4,\); give a non-empty \(H, W\) array",
        ),
        (lambda: np.zeros((0, 5), np.float32), r"opening: height_um has shape \(0, 5\); give a non-empty"),
        (lambda: np.zeros((2, 0), np.float32), r"opening: height_um has shape \(2, 0\); give a non-empty"),
    ],
)
def test_what_a_kernel_cannot_take_is_refused(cuda, make, message):
    with pytest.raises(InputError, match=message):
        opening(cuda.array(make()), footprint=disk(1))


@pytest.mark.parametrize("cut", [np.s_[:, ::2], np.s_[:, 1:], np.s_[::-1], np.s_[:, :3]])
def test_an_array_with_gaps_is_refused(cuda, cut):
    height = cuda.array(np.zeros((6, 8), np.float32))[cut]
    expected = (
        r"opening: height_um on the CUDA device is not contiguous; give cupy.ascontiguousarray\(height_um\)"
    )
    with pytest.raises(InputError, match=expected):
        opening(height, footprint=disk(1))
    got = opening(cuda.cupy.ascontiguousarray(height), footprint=disk(1))
    assert cuda.numpy(got.height_um).shape == height.shape


def test_whole_rows_have_no_gaps(cuda):
    whole = np.random.default_rng(1).normal(size=(6, 8)).astype(np.float32)
    for cut in (np.s_[2:3], np.s_[2:4], np.s_[:3]):
        got = flat_morphology("erosion", cuda.array(whole)[cut], footprint=disk(1))
        expected = flat_morphology("erosion", whole[cut], footprint=disk(1))
        np.testing.assert_array_equal(cuda.numpy(got), expected)


def test_the_core_takes_only_what_it_is_made_for(cuda):
    height = cuda.array(np.zeros((3, 4), np.float32))
    out = cuda.array(np.zeros((3, 4), np.float32))
    call = {"centre": (0, 0), "stream": 0}
    mask = np.ones((1, 1), np.uint8)
    read_only = (out.__cuda_array_interface__["data"][0], True)
    for bad in (cuda.array(np.zeros((3, 4))), OnDevice(out, data=read_only), OnDevice(out, strides=(4, 12))):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            _core.flat_morphology("erosion", height, mask, **call, out=bad)
    with pytest.raises(ValueError, match=r"flat_morphology: height is \(3, 4\) but out is \(4, 3\)"):
        _core.flat_morphology("erosion", height, mask, **call, out=out.reshape(4, 3))
    with pytest.raises(ValueError, match="out has 1 dimensions, not 2"):
        _core.flat_morphology("erosion", height, mask, **call, out=out.reshape(12))


def test_the_device_reports_what_it_is(cuda):
    device = _core.cuda_device()
    assert device["name"]
    assert device["compute_capability"] >= (7, 5)
    assert 0 < device["free_bytes"] <= device["memory_bytes"]
    assert device["memory_bytes_per_s"] > 0
    assert device["clock_hz"] > 0
    assert device["multiprocessors"] > 0
    assert isinstance(device["shared_slice"], bool)


# --- what a machine answers that has no device, or a bad one ---

_ASK = """
import sys
import numpy as np
from tests.support import cupy_on_host
sys.modules["cupy"] = cupy_on_host
from lee import _core
from lee.kernels.footprint import disk
from lee.kernels.opening import opening
height = cupy_on_host.asarray(np.zeros((64, 80), np.float32))
try:
    opening(height, footprint=disk(1)) if sys.argv[1] == "opening" else _core.cuda_device()
except Exception as error:
    print(type(error).__module__, type(error).__name__, error)
"""


def asked(what, **environment):
    done = subprocess.run(
        [sys.executable, "-c", _ASK, what],
        env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("what", ["opening", "device_info"])
@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"LEE_EMULATED_NO_DEVICE": "1", "CUDA_VISIBLE_DEVICES": ""},
            "no CUDA device is visible; look at nvidia-smi and CUDA_VISIBLE_DEVICES, or work on the CPU",
        ),
        ({"LEE_EMULATED_DRIVER": "0"}, "no NVIDIA driver is installed; install one, or work on the CPU"),
        (
            {"LEE_EMULATED_DRIVER": "11080"},
            "the NVIDIA driver serves CUDA 11.8, this build needs 13.0; update the driver, or build",
        ),
    ],
)
def test_a_missing_device_is_reported(cuda, what, environment, message):
    if not cuda.emulated and ("CUDA_VISIBLE_DEVICES" not in environment or what == "opening"):
        pytest.skip("this machine has a driver")
    answer = asked(what, **environment)
    assert answer.startswith(f"lee.errors DeviceError {what}: {message}")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"LEE_EMULATED_MEMORY_BYTES": "4096"},
            "DeviceMemoryError opening: the CUDA device has too little free memory; free some, or work",
        ),
        (
            {"LEE_EMULATED_ARRAYS_ON": "host"},
            "DeviceError opening: height is in host memory; give an array on the CUDA device",
        ),
        (
            {"LEE_EMULATED_ARRAYS_ON": "1"},
            "DeviceError opening: height is on CUDA device 1, the current one is 0; make that one current",
        ),
    ],
)
def test_memory_that_cannot_be_used_is_reported(cuda, environment, message):
    if not cuda.emulated:
        pytest.skip("only where CUDA kernels run on the host is memory made to be elsewhere")
    assert asked("opening", **environment).startswith(f"lee.errors {message}")
