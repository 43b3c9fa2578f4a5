"""A focus measure from outside gets the same masks, filling and uncertainty as a built-in one."""

import numpy as np
import pytest
from scipy import ndimage

from lee.devices.virtual import gentle, render_scan
from lee.errors import InputError
from lee.reconstruction.focus import registry
from lee.reconstruction.focus.measure import SearchOptions
from lee.reconstruction.focus.peak_search import PeakSearch
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.reconstruction.refocuser import Refocuser
from lee.reconstruction.target import Target
from lee.stacks.stack import ZStack

SHAPE, PIXEL_UM = (96, 112), 0.25


class LaplacianSearch(PeakSearch):
    """The energy of the Laplacian (Subbarao, Choi, Nikzad 1993) over 5 by 5 pixels."""

    def focus_of(self, frame):
        energy = ndimage.laplace(ndimage.gaussian_filter(frame, 1.0)) ** 2
        return ndimage.uniform_filter(energy, 5) / np.maximum(ndimage.uniform_filter(frame, 5), 1e-6)


class Laplacian:
    name = "laplacian"
    devices = ("cpu",)
    takes_target = False

    def search(self, options: SearchOptions) -> LaplacianSearch:
        return LaplacianSearch(options)


@pytest.fixture
def registered():
    registry.register_measure(Laplacian())
    yield
    registry.unregister_measure("laplacian")


@pytest.fixture(scope="module")
def scan():
    return render_scan(gentle(SHAPE, PIXEL_UM, 3), seed=1)


def stack_of(scan):
    return ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um)


@pytest.mark.usefixtures("registered")
def test_a_toy_measure_reconstructs_a_scan(scan):
    surface = reconstruct(stack_of(scan), params=ReconstructParams(focus="laplacian", drift=False))
    error = (surface.height_um - scan.truth_um)[surface.valid]
    assert surface.coverage > 0.95
    assert np.sqrt(np.mean(error**2)) < 0.1
    assert np.isfinite(surface.height_sigma_um[surface.valid]).all()
    assert np.isfinite(surface.height_filled_um).all()
    assert surface.metadata["parameters"]["focus"] == "laplacian"
    assert set(surface.metadata["not_measured_px"]) == {
        "no texture", "out of range", "two maxima", "uncertain", "occluded", "spike", "left the field",
        "focus curve",
    }  # fmt: skip


@pytest.mark.usefixtures("registered")
def test_a_name_belongs_to_one_measure():
    with pytest.raises(InputError, match="focus: there is a measure 'laplacian' already; choose"):
        registry.register_measure(Laplacian())


def test_an_unknown_measure_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="focus is 'laplacian'; give 'variance' or 'wavelet'"):
        ReconstructParams(focus="laplacian")


def test_a_target_needs_a_measure_with_windows():
    target = Target("disk", (9.0, 9.0))
    with pytest.raises(InputError, match="target: the focus measure 'wavelet' takes none; give no target"):
        Refocuser(SHAPE, pixel_um=PIXEL_UM, params=ReconstructParams(focus="wavelet"), target=target)
