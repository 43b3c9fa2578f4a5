"""Heights and pixel size: contradictory, unlikely and missing statements; direction, range, immersion."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from lee.errors import InputError
from lee.stacks.calibration.immersion import Immersion
from lee.stacks.stack import ZStack, open_stack
from lee.storage.length_units import um_per_unit
from lee.storage.map_tiff import read_map

FRAMES = np.random.default_rng(3).integers(0, 256, (6, 20, 30), dtype=np.uint8)
RISING = 0.4 * np.arange(6)


def ome(path: Path, positions: Any = None, unit: str | None = "µm", **metadata: object) -> Path:
    if positions is not None:
        plane: dict[str, object] = {"PositionZ": [float(z) for z in positions]}
        metadata["Plane"] = plane | ({"PositionZUnit": [unit] * len(positions)} if unit else {})
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(
        path, FRAMES, ome=True, photometric="minisblack", metadata={"axes": "ZYX", **sizes, **metadata}
    )
    return path


def imagej(path: Path, resolution: tuple[float, float] = (2, 2), **metadata: object) -> Path:
    tifffile.imwrite(path, FRAMES, imagej=True, resolution=resolution, metadata={"axes": "ZYX", **metadata})
    return path


def silent(path: Path, **given: Any) -> ZStack:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return open_stack(path, **given)


@pytest.mark.parametrize(
    ("positions", "unit", "step", "kept"),
    [
        (RISING / 1000, "µm", 0.4, "PhysicalSizeZ"),
        (RISING * 1000, "µm", 0.4, "PhysicalSizeZ"),
        (RISING / 1000, None, 0.4, "PhysicalSizeZ"),
        (RISING, None, 9, "PhysicalSizeZ"),
        (RISING, "µm", 1.0, "PositionZ"),
        (-RISING, "µm", 0.1, "PositionZ"),
    ],
)
def test_positions_and_step_that_contradict_each_other(
    tmp_path: Path, positions: Any, unit: str | None, step: float, kept: str
) -> None:
    path = ome(tmp_path / "a.ome.tif", positions, unit, PhysicalSizeZ=step)
    found = abs(positions[1] - positions[0])
    match = (
        rf"PositionZ states steps of {found:g} µm, OME PhysicalSizeZ of {step:g} µm; OME {kept} .*z_step_um"
    )
    with pytest.warns(UserWarning, match=match):
        stack = open_stack(path)
    np.testing.assert_allclose(
        stack.z_um, positions if kept == "PositionZ" else step * np.arange(6), atol=1e-9
    )
    assert silent(path, z_step_um=0.4).z_um[1] == 0.4


@pytest.mark.parametrize(
    ("positions", "step"),
    [(RISING, 0.4), (RISING[::-1], 0.4), (5 + RISING * 1.3, 0.4), (RISING, None)],
)
def test_positions_that_agree_are_taken_in_silence(
    tmp_path: Path, positions: Any, step: float | None
) -> None:
    more = {} if step is None else {"PhysicalSizeZ": step}
    stack = silent(ome(tmp_path / "a.ome.tif", positions, **more))
    np.testing.assert_allclose(stack.z_um, positions)
    assert stack.metadata["z_um_source"] == "OME PositionZ"


@pytest.mark.parametrize(
    "positions",
    [[3.0] * 6, [3, 3.01, 2.99, 3.02, 3, 3.01], [3, 3.1, 3, 3.1, 3, 3.1]],
)
def test_positions_that_stand_still_give_way_to_the_step(tmp_path: Path, positions: list[float]) -> None:
    path = ome(tmp_path / "a.ome.tif", positions, PhysicalSizeZ=0.4)
    np.testing.assert_allclose(silent(path).z_um, RISING)


@pytest.mark.parametrize(
    ("positions", "used"),
    [
        ([0, 0, 0.4, 0.8, 1.2, 1.6], range(1, 6)),
        ([0, 0.4, 0.8, 1.2, 1.6, 1.6], range(5)),
        ([0.4, 0, 0.4, 0.8, 1.2, 1.6], range(1, 6)),
        ([0, 0.4, 0.8, 1.2, 1.6, 1.2], range(5)),
        ([2, 1.6, 1.2, 0.8, 0.4, 0.8], range(5)),
        ([0, 0, 0.4, 0.8, 1.2, 1.2], range(1, 5)),
    ],
)
def test_a_stage_that_waits_or_turns_at_an_end(tmp_path: Path, positions: list[float], used: range) -> None:
    path = ome(tmp_path / "a.ome.tif", positions, PhysicalSizeZ=0.4)
    left_out = sorted(set(range(6)) - set(used))
    with pytest.warns(UserWarning, match=rf"PositionZ does not move on at frames? {left_out[0]}.*left out"):
        stack = open_stack(path)
    np.testing.assert_array_equal(list(stack), FRAMES[used.start : used.stop])
    np.testing.assert_allclose(stack.z_um, positions[used.start : used.stop])


def test_a_table_in_the_folder_tells_the_direction(tmp_path: Path) -> None:
    for k, frame in enumerate(FRAMES):
        tifffile.imwrite(tmp_path / f"f{k}.tif", frame)
    (tmp_path / "z_um.csv").write_text("frame,z_um\n" + "".join(f"{k},{k}\n" for k in range(6)))
    with pytest.raises(InputError, match="z_um and descending are both given"):
        open_stack(tmp_path, descending=True, pixel_um=1)
    assert open_stack(tmp_path, descending=True, z_step_um=1, pixel_um=1).z_um[0] == 5


def test_heights_given_are_never_cut(tmp_path: Path) -> None:
    path = ome(tmp_path / "a.ome.tif", PhysicalSizeZ=0.4)
    with pytest.raises(InputError, match="frames 4 and 5 have the same height"):
        open_stack(path, z_um=[0, 1, 2, 3, 4, 4])


@pytest.mark.parametrize("size", [0, -0.4])
def test_a_step_that_is_none_stands_in_nobodys_way(tmp_path: Path, size: float) -> None:
    path = ome(tmp_path / "a.ome.tif", PhysicalSizeZ=size)
    np.testing.assert_allclose(silent(path, z_step_um=0.3).z_um, 0.3 * np.arange(6))
    np.testing.assert_allclose(silent(ome(path, RISING, PhysicalSizeZ=0)).z_um, RISING)
    path = ome(tmp_path / "a.ome.tif", PhysicalSizeZ=0)
    with pytest.raises(InputError, match=r"OME PhysicalSizeZ is 0 µm; give them: z_step_um"):
        open_stack(path)


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_a_negative_step_says_which_way_was_taken(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    if kind == "ome":
        ome(path, PhysicalSizeZ=-0.4)
    else:
        imagej(path, spacing=-0.4, unit="um")
    with pytest.warns(UserWarning, match=r"is -0.4 µm.*taken to rise.*--descending"):
        stack = open_stack(path)
    np.testing.assert_allclose(stack.z_um, RISING)
    np.testing.assert_allclose(silent(path, descending=True).z_um, RISING[::-1])


@pytest.mark.parametrize("dpi", [72, 96, 100, 150, 300, 600, 1200])
@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER"])
def test_a_resolution_for_print_is_not_believed(tmp_path: Path, dpi: float, unit: str) -> None:
    path = tmp_path / "a.tif"
    value = dpi if unit == "INCH" else round(dpi / 2.54, 2)
    tifffile.imwrite(path, FRAMES, photometric="minisblack", resolution=(value, value), resolutionunit=unit)
    with pytest.warns(
        UserWarning, match=rf"1 µm is assumed, give it: pixel_um .*resolution of {dpi}\.?\d* dpi, .* µm"
    ):
        stack = open_stack(path, z_step_um=1)
    assert stack.metadata["pixel_um_source"] == "assumed"
    assert silent(path, z_step_um=1, pixel_um=0.3).pixel_um == 0.3


@pytest.mark.parametrize(("unit", "per_unit"), [("inch", 300), ("cm", 118.11), ("cm", 28.35), ("inch", 800)])
def test_a_resolution_for_print_that_imagej_kept_is_not_believed(
    tmp_path: Path, unit: str, per_unit: float
) -> None:
    path = imagej(tmp_path / "a.tif", (per_unit, per_unit), unit=unit)
    with pytest.warns(UserWarning, match="looks like that of a screen, scanner or printer"):
        assert open_stack(path, z_step_um=1).pixel_um == 1


def test_a_spacing_in_the_unit_of_print_is_not_believed(tmp_path: Path) -> None:
    assert um_per_unit("inches") == 25400
    path = tmp_path / "a.tif"
    metadata = {"axes": "ZYX", "spacing": 0.2, "unit": "inch"}
    tifffile.imwrite(
        path, np.zeros((5, 8, 9), np.uint8), imagej=True, resolution=(300, 300), metadata=metadata
    )
    with pytest.raises(
        InputError, match=r"ImageJ spacing is 5080 µm, as little believed as its resolution; give"
    ):
        open_stack(path)


def test_large_pixels_that_somebody_chose_are_believed(tmp_path: Path) -> None:
    path = imagej(tmp_path / "a.tif", (65, 65), unit="cm")
    assert silent(path, z_step_um=1).pixel_um == pytest.approx(1e4 / 65)


@pytest.mark.parametrize("pixel_um", [0.1, 0.325, 3.45, 12.5, 25, 40])
def test_a_resolution_of_a_microscope_is_believed(tmp_path: Path, pixel_um: float) -> None:
    path = tmp_path / "a.tif"
    per_cm = 1e4 / pixel_um
    tifffile.imwrite(
        path, FRAMES, photometric="minisblack", resolution=(per_cm, per_cm), resolutionunit="CENTIMETER"
    )
    assert silent(path, z_step_um=1).pixel_um == pytest.approx(pixel_um, rel=1e-4)


@pytest.mark.parametrize(
    "unit", ["um", "µm", "\\u00B5m", "micron", "micrometers", "Âµm", "?m", "\ufffdm", "μm", "Microns"]
)
def test_units_however_they_are_written(unit: str) -> None:
    assert um_per_unit(unit) == 1


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        ("nm", 1e-3),
        ("Nanometers", 1e-3),
        ("mm", 1e3),
        ("cm", 1e4),
        ("dm", 1e5),
        ("m", 1e6),
    ],
)
def test_other_units_of_length(tmp_path: Path, unit: str, um: float) -> None:
    assert um_per_unit(unit) == um
    stack = open_stack(imagej(tmp_path / "a.tif", spacing=0.4, unit=unit), pixel_um=1)
    assert stack.z_um[1] == pytest.approx(0.4 * um)


@pytest.mark.parametrize("unit", [None, "", "pixel", "reference frame", "s", "?", 7])
def test_what_is_no_unit_of_length(unit: object) -> None:
    assert um_per_unit(unit) is None


def test_descending_turns_a_step_around(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", FRAMES)
    stack = open_stack(tmp_path / "a.npy", z_step_um=0.4, pixel_um=1, descending=True)
    np.testing.assert_allclose(stack.z_um, RISING[::-1])
    assert stack.metadata["z_um_source"] == "given step, descending"
    path = ome(tmp_path / "a.ome.tif", 7 + RISING)
    np.testing.assert_allclose(open_stack(path, descending=True).z_um, 7 + RISING[::-1])
    path = ome(tmp_path / "b.ome.tif", 7 - RISING)
    np.testing.assert_allclose(open_stack(path, descending=True).z_um, 7 - RISING)
    with pytest.raises(InputError, match=r"z_um and descending are both given"):
        open_stack(path, z_um=RISING, descending=True)


@pytest.mark.parametrize(
    ("given", "z_um"),
    [
        ({"z_range_um": 2}, RISING),
        ({"z_range_um": (1, 3)}, 1 + RISING),
        ({"z_range_um": (2, 0)}, RISING[::-1]),
        ({"z_range_um": 2, "descending": True}, RISING[::-1]),
    ],
)
def test_the_range_of_a_scan(tmp_path: Path, given: dict[str, Any], z_um: Any) -> None:
    np.save(tmp_path / "a.npy", FRAMES)
    np.testing.assert_allclose(open_stack(tmp_path / "a.npy", pixel_um=1, **given).z_um, z_um)


@pytest.mark.parametrize("wrong", [0, (1, 1), (1, 2, 3), "far", float("nan")])
def test_what_is_no_range(tmp_path: Path, wrong: Any) -> None:
    np.save(tmp_path / "a.npy", FRAMES)
    with pytest.raises(InputError, match=r"z_range_um: .* is not a range"):
        open_stack(tmp_path / "a.npy", pixel_um=1, z_range_um=wrong)
    with pytest.raises(InputError, match="z_step_um and z_range_um are both given"):
        open_stack(tmp_path / "a.npy", pixel_um=1, z_range_um=1, z_step_um=1)


def test_immersion_scales_all_heights_and_says_so(tmp_path: Path) -> None:
    path = ome(tmp_path / "a.ome.tif", RISING)
    stack = open_stack(path, index_medium=1.333)
    np.testing.assert_allclose(stack.z_um, 1.333 * RISING)
    assert "scaled by 1.333 (refractive index 1.333, objective made for 1)" in str(
        stack.metadata["z_um_source"]
    )
    stack = open_stack(path, z_step_um=1, index_medium=1.4, index_objective=1.333, na=0.5)
    assert stack.z_um[1] == pytest.approx(Immersion(1.4, 1.333, 0.5).scale)
    for given, match in (
        ({"na": 0.5}, "index_medium is missing"),
        ({"index_medium": 0.5}, "index_medium: 0.5 is not a refractive index"),
        ({"index_medium": 1.3, "na": 1.0}, "na: 1 is not a numerical aperture between 0 and .* 1"),
    ):
        with pytest.raises(InputError, match=match):
            open_stack(path, **given)  # type: ignore[arg-type]


def test_immersion_lies_between_the_axial_and_the_marginal_ray() -> None:
    for medium, objective in ((1.333, 1.0), (1.0, 1.333), (1.40, 1.333)):
        assert Immersion(medium, objective, 1e-3).scale == pytest.approx(medium / objective, rel=1e-5)
        for na in (0.3, 0.5, 0.8):
            axial = medium / objective
            marginal = np.sqrt((medium**2 - na**2) / (objective**2 - na**2))
            low, high = sorted((axial, marginal))
            assert low < Immersion(medium, objective, na).scale < high
    assert Immersion(1.333, 1.333, 0.8).scale == pytest.approx(1)


def test_the_line_of_grey_values_is_followed(tmp_path: Path) -> None:
    signed = imagej(tmp_path / "a.tif", spacing=1, unit="um", cf=0, c0=-32768, c1=2)
    stack = silent(signed)
    assert stack.dtype == np.float32
    np.testing.assert_array_equal(stack[1], 2.0 * FRAMES[1] - 32768)
    height = np.arange(600, dtype=np.uint16).reshape(20, 30)
    tifffile.imwrite(
        tmp_path / "h.tif", height, imagej=True, resolution=(2, 2),
        metadata={"unit": "um", "cf": 0, "c0": 5.0, "c1": 0.01},
    )  # fmt: skip
    values, pixel_um = read_map(tmp_path / "h.tif")
    np.testing.assert_allclose(values, 5 + 0.01 * height, rtol=1e-6)
    assert pixel_um == 0.5


@pytest.mark.parametrize("resolution", [(2, 4), (4, 2), (2, 2.01)])
def test_height_maps_with_pixels_that_are_not_square(tmp_path: Path, resolution: tuple[float, float]) -> None:
    path = tmp_path / "h.tif"
    tifffile.imwrite(
        path, FRAMES[0].astype(np.float32), imagej=True, resolution=resolution, metadata={"unit": "um"}
    )
    with pytest.raises(InputError, match=r"µm \(x, y\) are not square: resample the map"):
        read_map(path)
    assert read_map(path, pixel_um=0.3)[1] == 0.3


def test_a_height_map_with_a_resolution_for_print_states_no_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "h.tif"
    tifffile.imwrite(
        path, FRAMES[0].astype(np.float32), resolution=(118.11, 118.11), resolutionunit="CENTIMETER"
    )
    assert read_map(path)[1] is None


CSV = ["frame,z_um", "0,0.5", "1,1.5", "2,2.5", "3,3.5", "4,4.5", "5,5.5"]


@pytest.mark.parametrize(
    "data",
    [
        "\n".join(CSV).encode(),
        b"\xef\xbb\xbf" + "\r\n".join(CSV).encode(),
        "\r\n".join(CSV).encode("utf-16"),
        "\n".join(CSV).replace(",", "\t").encode(),
        "\n".join(CSV).replace(",", ";").encode(),
        "\n".join(CSV).replace(",", ";").replace(".", ",").encode(),
        "\n".join(CSV).replace(",", "\t").replace(".", ",").encode(),
        "\n".join(["sep=;", *CSV]).replace(",", ";").encode(),
        "\n".join(CSV).replace("frame,z_um", "Frame, Z_UM ").encode(),
        "\n".join(CSV).replace("frame,z_um", "Frame,z_µm").encode("cp1252"),
        "\n".join(CSV).replace("frame,z_um", '"frame","z_um"').encode(),
        "\n".join(f"{row},note" for row in CSV).encode(),
        ("\n".join(CSV) + "\n,\n\n").encode(),
    ],
)
def test_tables_of_heights_however_they_are_written(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "z.csv").write_bytes(data)
    stack = ZStack.from_array(FRAMES, tmp_path / "z.csv", 1.0)
    np.testing.assert_allclose(stack.z_um, 0.5 + np.arange(6))


def test_a_table_with_decimal_commas_between_commas(tmp_path: Path) -> None:
    (tmp_path / "z.csv").write_text("frame,z_um\n0,0,5\n1,1,5\n")
    with pytest.raises(InputError, match="line 2: has more columns than the first line; with decimal commas"):
        ZStack.from_array(FRAMES, tmp_path / "z.csv", 1.0)
