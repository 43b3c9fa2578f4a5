"""Height maps in the files of measuring instruments, written by surfalize and by lee itself."""

import sys
from pathlib import Path

import numpy as np
import pytest

from lee.errors import InputError, MissingDependency
from lee.export.export import export
from lee.surfaces.provenance import Provenance
from lee.surfaces.surface import Surface

surfalize = pytest.importorskip("surfalize")

HEIGHT = np.cumsum(np.random.default_rng(5).normal(size=(20, 30)), axis=1) / 10
HEIGHT[3:6, 10:14] = np.nan


@pytest.mark.parametrize("suffix", [".sur", ".x3p", ".sdf", ".al3d"])
def test_maps_of_instruments(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"map{suffix}"
    surfalize.Surface(HEIGHT.copy(), 0.5, 0.5).save(path)
    surface = Surface.load(path)
    np.testing.assert_allclose(surface.height_um, HEIGHT, atol=1e-4)
    assert surface.pixel_um == pytest.approx(0.5)
    np.testing.assert_array_equal(surface.valid, np.isfinite(HEIGHT))
    assert Surface.load(path, pixel_um=0.3).pixel_um == 0.3


@pytest.mark.parametrize("suffix", [".sur", ".x3p"])
def test_what_lee_writes_comes_back(tmp_path: Path, suffix: str) -> None:
    height = HEIGHT.astype(np.float32)
    filled, nothing = np.nan_to_num(height), np.full(height.shape, np.nan, np.float32)
    surface = Surface(height, filled, nothing, np.isfinite(height), nothing, 0.25, Provenance())
    read = Surface.load(export(surface, tmp_path / f"map{suffix}"))
    np.testing.assert_allclose(read.height_um, height, atol=1e-4)
    assert read.pixel_um == pytest.approx(0.25)
    read = Surface.load(export(surface, tmp_path / f"filled{suffix}", filled=True))
    np.testing.assert_allclose(read.height_um, filled, atol=1e-4)


def test_maps_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map.sur"
    with pytest.warns(UserWarning, match="different pixel size"):
        surfalize.Surface(HEIGHT.copy(), 0.5, 0.25).save(path)
    with pytest.raises(InputError, match=r"map.sur: pixels of 0.5 × 0.25 µm \(x, y\) are not square"):
        Surface.load(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"map.sur: cannot be read as a height map"):
        Surface.load(path)
    monkeypatch.setitem(sys.modules, "surfalize", None)
    with pytest.raises(MissingDependency, match=r"map.sur: .* through surfalize: pip install surfalize"):
        Surface.load(path)
