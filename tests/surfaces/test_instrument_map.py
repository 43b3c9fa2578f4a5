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


def test_what_lee_writes_for_gwyddion_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gwyfile = pytest.importorskip("gwyfile")
    height = HEIGHT.astype(np.float32)
    filled, valid = np.nan_to_num(height), np.isfinite(height)
    sigma = np.where(valid, np.float32(0.1), np.float32(np.nan))
    surface = Surface(height, filled, sigma, valid, filled + 50, 0.25, Provenance())
    path = export(surface, tmp_path / "map.gwy")
    read = Surface.load(path)  # through surfalize, which takes what is masked as not measured
    np.testing.assert_allclose(read.height_um, height, atol=1e-5)
    assert read.pixel_um == pytest.approx(0.25)
    content = gwyfile.load(str(path))
    titles = [content[f"/{k}/data/title"] for k in range(3)]
    assert titles == ["Height", "Standard deviation", "All in focus"]
    assert all(np.isfinite(content[f"/{k}/data"].data).all() for k in range(3))  # Gwyddion knows no NaN
    assert (content["/0/data"].xreal, content["/0/data"].yreal) == pytest.approx((7.5e-6, 5e-6))
    assert (content["/0/data"].si_unit_xy.unitstr, content["/2/data"].si_unit_z.unitstr) == ("m", "")
    for k in (0, 1):
        np.testing.assert_array_equal(content[f"/{k}/mask"].data > 0, ~valid)
    read = Surface.load(export(surface, tmp_path / "filled.gwy", filled=True))
    np.testing.assert_allclose(read.height_um, filled, atol=1e-5)
    monkeypatch.setitem(sys.modules, "gwyfile", None)
    with pytest.raises(MissingDependency, match=r"gwy is written through gwyfile: pip install gwyfile"):
        surface.export(path, overwrite=True)


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
