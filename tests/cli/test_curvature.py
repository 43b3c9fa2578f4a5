"""`lee curvature` as a user meets it."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

import lee
from lee.cli import run
from lee.figures.curvature_folder import FILES
from lee.storage.map_tiff import read_map, write_map
from lee.surfaces.surface import Surface
from tests.support.blank_figures import undrawn

PIXEL_UM = 0.5


@pytest.fixture(scope="module")
def surface(tmp_path_factory):
    y, x = PIXEL_UM * np.mgrid[:120, :140].astype(np.float32)
    height = 3 * np.sin(x / 7) * np.cos(y / 9)
    height += np.random.default_rng(0).normal(size=height.shape).astype(np.float32) * 0.03
    valid = np.ones(height.shape, bool)
    valid[30:40, 50:60] = False
    holed = np.where(valid, height, np.nan)
    sigma = np.where(valid, 0.03, np.nan)
    folder = tmp_path_factory.mktemp("surface") / "made"
    with undrawn():
        Surface(holed, height, sigma, valid, 0 * height, PIXEL_UM).save(folder)
    return folder


def test_writes_maps_preview_and_description(surface, tmp_path, capsys):
    out = tmp_path / "curvature"
    assert run(["curvature", str(surface), "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "140 × 120 px" in printed
    assert "(chosen)" in printed
    assert "noise of the heights 0.03 µm, white" in printed
    assert {path.name for path in out.iterdir()} == FILES
    described = json.loads((out / "curvature.json").read_text())
    height = Surface.load(surface)
    curved = lee.curvature(height.height_um, pixel_um=PIXEL_UM, height_sigma_um=height.height_sigma_um)
    assert described["scale_um"] == curved.scale_um
    assert described["noise_um"] == pytest.approx(0.03, rel=1e-5)
    assert described["noise_correlation_px"] == curved.noise_correlation_px == 0
    assert described["automatic"]["scales_um"] == curved.automatic["scales_um"]
    for name in ("mean_per_um", "gaussian_per_um2", "max_per_um", "min_per_um", "mean_sigma_per_um"):
        values, pixel_um = read_map(out / f"{name}.tif")
        np.testing.assert_array_equal(values, getattr(curved, name))
        assert pixel_um == pytest.approx(PIXEL_UM)
        assert tifffile.imread(out / f"{name}.tif").dtype == np.float32
    with Image.open(out / "preview.png") as image:
        assert image.width == 1600
        assert len(np.unique(np.asarray(image.convert("L")))) > 50


def test_a_single_map_and_a_given_scale(tmp_path, capsys, undrawn):
    height = np.random.default_rng(1).normal(size=(60, 50)).astype(np.float32)
    write_map(tmp_path / "h.tif", height, 0.25)
    arguments = ["curvature", str(tmp_path / "h.tif"), "-o", str(tmp_path / "curvature"), "--scale-um", "1"]
    assert run([*arguments, "--family", "gaussian"]) == 0
    assert "scale 1 µm\n" in capsys.readouterr().out
    written = {path.name for path in (tmp_path / "curvature").iterdir()}
    assert written == FILES - {"mean_sigma_per_um.tif", "gaussian_sigma_per_um2.tif"}
    assert run(arguments) == 1
    assert "exists already" in capsys.readouterr().err
    assert run([*arguments, "--overwrite"]) == 0


def test_a_stated_correlation_widens_the_uncertainty(surface, tmp_path, capsys, undrawn):
    arguments = ["curvature", str(surface), "--scale-um", "2", "-o"]
    assert run([*arguments, str(tmp_path / "white"), "--noise-correlation-px", "0"]) == 0
    assert run([*arguments, str(tmp_path / "correlated"), "--noise-correlation-px", "1.5"]) == 0
    assert "correlated over 1.5 px" in capsys.readouterr().out
    white, correlated = (
        read_map(tmp_path / name / "mean_sigma_per_um.tif")[0] for name in ("white", "correlated")
    )
    assert 2 < np.nanmedian(correlated / white) < 5
    described = json.loads((tmp_path / "correlated" / "curvature.json").read_text())
    assert described["noise_correlation_px"] == 1.5


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        (["--noise-correlation-px", "-1"], 2, "-1.0 is not in the range x>=0"),
        (["--scale-um", "0.01"], 1, "curvature: scale_um is 0.010000, 0.020000 pixels; give at least 0.26"),
        (["--scale-um", "much"], 2, "much is not a length: give µm above 0"),
        (["--family", "mean"], 2, "'mean' is not one of"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(surface, tmp_path, capsys, extra, code, message):
    assert run(["curvature", str(surface), "-o", str(tmp_path / "curvature"), *extra]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "curvature").exists()


def test_a_missing_surface_is_reported(tmp_path, capsys):
    assert run(["curvature", str(tmp_path / "none"), "-o", str(tmp_path / "curvature")]) == 1
    assert "does not exist" in capsys.readouterr().err
