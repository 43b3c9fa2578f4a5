import base64
import errno
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import lee.surfaces.surface
from lee.errors import InputError, MissingDependency, StorageError
from lee.surfaces.provenance import Provenance, RejectedFrame
from lee.surfaces.surface import FILES, Surface

pytestmark = pytest.mark.usefixtures("undrawn")
MAPS = ("height_um", "height_filled_um", "height_sigma_um", "refocused")


def some_surface(
    shape: tuple[int, int] = (24, 32), *, dtype: str = "uint8", pixel_um: float = 0.1625
) -> Surface:
    rng = np.random.default_rng(7)
    filled = rng.normal(20, 2, shape).astype(np.float32)
    valid = rng.random(shape) < 0.9
    return Surface(
        height_um=np.where(valid, filled, np.float32(np.nan)),
        height_filled_um=filled,
        height_sigma_um=np.where(valid, np.float32(0.1), np.float32(np.nan)),
        valid=valid,
        refocused=rng.integers(0, 256, shape).astype(np.float32),
        pixel_um=pixel_um,
        provenance=Provenance(frame_dtype=dtype, rejected_frames=[RejectedFrame(3, 0.6, "debris")]),
    )


def nothing_left(folder: Path) -> bool:
    return list(folder.iterdir()) == []


def test_a_saved_surface_comes_back_bit_for_bit(tmp_path: Path) -> None:
    surface = some_surface()
    surface.save(tmp_path / "out")
    again = Surface.load(tmp_path / "out")
    for name in MAPS:
        np.testing.assert_array_equal(getattr(again, name), getattr(surface, name))
    np.testing.assert_array_equal(again.valid, surface.valid)
    assert again.pixel_um == surface.pixel_um
    assert again.provenance == surface.provenance
    assert again.metadata == surface.metadata


@pytest.mark.drawn
def test_the_folder_holds_what_is_promised_and_nothing_else(tmp_path: Path) -> None:
    some_surface().save(tmp_path / "a" / "out")
    assert {entry.name for entry in (tmp_path / "a" / "out").iterdir()} == FILES
    assert [entry.name for entry in (tmp_path / "a").iterdir()] == ["out"]


@pytest.mark.parametrize("name", MAPS)
def test_maps_carry_their_pixel_size_in_um(tmp_path: Path, name: str) -> None:
    surface = some_surface(pixel_um=0.1625)
    surface.save(tmp_path / "out")
    with tifffile.TiffFile(tmp_path / "out" / f"{name}.tif") as tif:
        assert tif.imagej_metadata is not None
        assert tif.imagej_metadata["unit"] == "um"
        per_um = np.divide(*tif.pages[0].tags["XResolution"].value)
    assert 1 / per_um == pytest.approx(0.1625, rel=1e-6)


@pytest.mark.parametrize(
    ("dtype", "written"), [("uint8", "uint8"), ("uint16", "uint16"), ("float32", "float32")]
)
def test_the_image_keeps_the_cameras_bit_depth(tmp_path: Path, dtype: str, written: str) -> None:
    some_surface(dtype=dtype).save(tmp_path / "out")
    assert tifffile.imread(tmp_path / "out" / "refocused.tif").dtype == written


def test_an_image_with_gaps_stays_float(tmp_path: Path) -> None:
    surface = some_surface()
    surface.refocused[0, 0] = np.nan
    surface.save(tmp_path / "out")
    assert np.isnan(Surface.load(tmp_path / "out").refocused[0, 0])


def test_the_description_is_strict_json_whatever_the_metadata_holds(tmp_path: Path) -> None:
    surface = some_surface()
    surface.provenance = Provenance(
        notes={"z": np.array([0.0, 0.2]), "n": np.int64(3), "gap": float("nan"), "path": Path("a/b")}
    )
    surface.save(tmp_path / "out")
    text = (tmp_path / "out" / "surface.json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found["metadata"] == {"z": [0.0, 0.2], "n": 3, "gap": None, "path": str(Path("a/b"))}
    assert found["coverage"] == pytest.approx(surface.valid.mean())
    assert found["versions"]["numpy"] == np.__version__


@pytest.mark.drawn
def test_nothing_measured_can_still_be_saved(tmp_path: Path) -> None:
    gap = np.full((8, 9), np.nan, np.float32)
    Surface(gap, np.zeros_like(gap), gap, np.zeros((8, 9), bool), np.ones_like(gap), 1.0).save(
        tmp_path / "out"
    )
    assert Surface.load(tmp_path / "out").coverage == 0


def test_an_existing_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already: choose another output name, or replace it"):
        some_surface().save(tmp_path / "out")
    with pytest.raises(InputError, match=r"also holds 'mine.txt', which is no part of a result"):
        some_surface().save(tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_an_older_result_is_overwritten_when_asked(tmp_path: Path) -> None:
    some_surface((10, 12)).save(tmp_path / "out")
    some_surface((20, 22)).save(tmp_path / "out", overwrite=True)
    assert Surface.load(tmp_path / "out").shape == (20, 22)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="is not a folder, so it is not overwritten"):
        some_surface().save(tmp_path / "out", overwrite=True)
    with pytest.raises(StorageError, match=r"cannot write .*deeper"):
        some_surface().save(tmp_path / "out" / "deeper")


@pytest.mark.parametrize(
    ("failure", "raised", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            StorageError,
            r"^no space left to write .*out: free some",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            StorageError,
            r"^cannot write .*out: Permission denied",
        ),
        (KeyboardInterrupt(), KeyboardInterrupt, "^$"),
    ],
)
def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    raised: type[BaseException],
    message: str,
) -> None:
    whole = lee.surfaces.surface.write_map

    def fail_late(path: Path, *arguments: object) -> None:
        if path.name == "refocused.tif":
            raise failure
        whole(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(lee.surfaces.surface, "write_map", fail_late)
    with pytest.raises(raised, match=message) as caught:
        some_surface().save(tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert nothing_left(tmp_path)


def test_a_failed_overwrite_keeps_the_older_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some_surface((10, 12)).save(tmp_path / "out")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lee.surfaces.surface, "write_map", full)
    with pytest.raises(StorageError, match="no space left"):
        some_surface((20, 22)).save(tmp_path / "out", overwrite=True)
    assert Surface.load(tmp_path / "out").shape == (10, 12)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_height_map_alone_is_a_surface(tmp_path: Path) -> None:
    surface = some_surface()
    surface.save(tmp_path / "out")
    alone = tmp_path / "map.tif"
    alone.write_bytes((tmp_path / "out" / "height_um.tif").read_bytes())
    again = Surface.load(alone)
    np.testing.assert_array_equal(again.height_um, surface.height_um)
    np.testing.assert_array_equal(again.height_filled_um[again.valid], surface.height_um[surface.valid])
    assert np.isfinite(again.height_filled_um).all()
    assert again.pixel_um == pytest.approx(surface.pixel_um, rel=1e-6)
    assert Surface.load(tmp_path / "out" / "height_um.tif").metadata == surface.metadata


@pytest.mark.parametrize(
    ("unit", "number", "pixel_um"), [("nm", 0.01, 0.1), ("mm", 500.0, 2.0), ("\\u00B5m", 4.0, 0.25)]
)
def test_a_height_map_may_state_its_pixel_size_in_other_units(
    tmp_path: Path, unit: str, number: float, pixel_um: float
) -> None:
    tifffile.imwrite(
        tmp_path / "h.tif",
        np.ones((4, 5), np.float32),
        imagej=True,
        resolution=(number, number),
        metadata={"unit": unit},
    )
    assert Surface.load(tmp_path / "h.tif").pixel_um == pytest.approx(pixel_um, rel=1e-6)


def test_a_height_map_without_pixel_size_needs_it(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "h.tif", np.ones((4, 5), np.float32))
    with pytest.raises(InputError, match="does not hold the size of a pixel"):
        Surface.load(tmp_path / "h.tif")
    assert Surface.load(tmp_path / "h.tif", pixel_um=0.5).pixel_um == 0.5


def test_unusable_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist: give a folder"):
        Surface.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no surface\.json"):
        Surface.load(tmp_path)
    tifffile.imwrite(tmp_path / "stack.tif", np.ones((3, 4, 5), np.float32), photometric="minisblack")
    with pytest.raises(InputError, match="one grey plane is needed"):
        Surface.load(tmp_path / "stack.tif", pixel_um=1)
    tifffile.imwrite(tmp_path / "gap.tif", np.full((4, 5), np.nan, np.float32))
    with pytest.raises(InputError, match="holds no finite height"):
        Surface.load(tmp_path / "gap.tif", pixel_um=1)


def test_a_damaged_result_is_reported_in_one_line(tmp_path: Path) -> None:
    some_surface().save(tmp_path / "out")
    height = tmp_path / "out" / "height_um.tif"
    whole = height.read_bytes()
    height.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"height_um\.tif cannot be read as a TIFF") as caught:
        Surface.load(tmp_path / "out")
    assert "\n" not in str(caught.value)
    height.unlink()
    with pytest.raises(InputError, match=r"height_um\.tif is missing"):
        Surface.load(tmp_path / "out")
    (tmp_path / "out" / "surface.json").write_text("{")
    with pytest.raises(InputError, match=r"surface\.json cannot be read"):
        Surface.load(tmp_path / "out")
    (tmp_path / "out" / "surface.json").write_text('{"format": "lee surface", "format_version": 99}')
    with pytest.raises(InputError, match="update lee"):
        Surface.load(tmp_path / "out")


def test_contradictions_are_refused() -> None:
    good = some_surface()
    maps = {name: getattr(good, name) for name in (*MAPS, "valid")}
    with pytest.raises(InputError, match=r"refocused has shape \(2, 2\), height_um \(24, 32\)"):
        Surface(**maps | {"refocused": np.ones((2, 2))}, pixel_um=1)
    with pytest.raises(InputError, match="non-empty two-dimensional map"):
        Surface(**maps | {"height_um": np.ones(3)}, pixel_um=1)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="pixel_um must be a positive number"):
            Surface(**maps, pixel_um=wrong)
    with pytest.raises(InputError, match="valid must be True exactly where"):
        Surface(**maps | {"valid": ~good.valid}, pixel_um=1)
    with pytest.raises(InputError, match="height_filled_um must be finite everywhere"):
        Surface(**maps | {"height_filled_um": good.height_um}, pixel_um=1)


def test_its_repr_is_one_line_a_person_reads() -> None:
    surface = some_surface((24, 32), pixel_um=0.1625)
    low, high = np.nanmin(surface.height_um), np.nanmax(surface.height_um)
    assert repr(surface) == (
        f"<Surface: 24 × 32 px of 0.1625 µm, {100 * surface.coverage:.1f} % measured, "
        f"height {low:.2f} to {high:.2f} µm, median σ 0.1 µm>"
    )
    gap = np.full((8, 9), np.nan, np.float32)
    empty = Surface(gap, np.zeros_like(gap), gap, np.zeros((8, 9), bool), gap, 1.0)
    assert repr(empty) == "<Surface: 8 × 9 px of 1 µm, 0.0 % measured>"


@pytest.mark.drawn
def test_a_notebook_shows_a_small_picture_and_the_line() -> None:
    surface = some_surface()
    shown = surface._repr_html_()
    png = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)\"", shown)[1])  # type: ignore[index]
    with Image.open(io.BytesIO(png)) as image:
        assert image.size == (420, 340)
    assert "&lt;Surface: 24 × 32 px" in shown


def test_xarray_has_named_axes_units_and_the_provenance() -> None:
    pytest.importorskip("xarray")
    surface = some_surface(pixel_um=0.25)
    found = surface.to_xarray()
    assert set(found.data_vars) == {*MAPS, "valid"}
    assert found["height_um"].dims == ("y", "x")
    assert found["height_um"].attrs["units"] == "um"
    np.testing.assert_array_equal(found["height_um"], surface.height_um)
    np.testing.assert_array_equal(found["valid"], surface.valid)
    np.testing.assert_allclose(found["x_um"], np.arange(32) * 0.25)
    assert json.loads(found.attrs["provenance"]) == surface.metadata


def test_without_xarray_the_message_states_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(MissingDependency, match=r"to_xarray needs xarray: pip install xarray"):
        some_surface().to_xarray()
