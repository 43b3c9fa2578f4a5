"""The names of a folder's images: one series in the right order, else a refusal or a warning."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lee.errors import InputError
from lee.stacks.folder.names import FrameOrder, order_of
from lee.stacks.stack import open_stack


def ordered(*names: str) -> FrameOrder:
    return order_of(Path("scan"), [Path("scan") / name for name in names])


def names_of(order: FrameOrder) -> list[str]:
    return [path.name for path in order.files]


def written(folder: Path, *names: str) -> Path:
    for k, name in enumerate(names):
        Image.fromarray(np.full((4, 5), k + 1, np.uint8)).save(folder / name)
    return folder


def count(pattern: str, numbers: range | list[int]) -> list[str]:
    return [pattern.format(k) for k in numbers]


@pytest.mark.parametrize(
    "names",
    [
        count("i{}.png", range(12)),
        count("i{:03d}.png", range(1, 12)),
        count("x ({}).png", range(1, 12)),
        count("scan-{:02d}.tif", range(12)),
        count("frame {}.jpg", range(0, 40, 2)),
        count("2024-05-03_b2_{}.png", range(7)),
        count("img_000000000_Default_{:03d}.tif", range(7)),
        count("v1.{}.png", range(5, 13)),
        count("x1.5_{:03d}.png", range(9)),
        [f"{1714730000 + 13 * k * k}_{k:04d}.png" for k in range(9)],
    ],
)
def test_one_unbroken_count_is_taken_as_it_is(names: list[str]) -> None:
    found = ordered(*sorted(names, reverse=True))
    assert names_of(found) == names
    assert not found.notes
    assert not found.uneven
    assert found.z_um is None
    assert not found.axes


@pytest.mark.parametrize(
    ("names", "heights"),
    [
        (["z0.png", "z0.4.png", "z0.8.png", "z1.2.png", "z1.6.png"], [0, 0.4, 0.8, 1.2, 1.6]),
        (["z_-0.4um.png", "z_+0.0um.png", "z_+0.4um.png"], [-0.4, 0, 0.4]),
        (["z-0.4um.png", "z0.0um.png", "z0.4um.png"], [-0.4, 0, 0.4]),
        (["a_-1.5µm.tif", "a_-1.0µm.tif", "a_-0.5µm.tif"], [-1.5, -1.0, -0.5]),
        (["z1.25um.png", "z1.50um.png", "z1.75um.png", "z2.00um.png"], [1.25, 1.5, 1.75, 2.0]),
        (["z0,0.png", "z0,2.png", "z0,4.png"], [0, 0.2, 0.4]),
        (["h200nm.png", "h400nm.png", "h600nm.png"], [0.2, 0.4, 0.6]),
        (["z0.33.png", "z0.67.png", "z1.00.png", "z1.33.png"], [0.33, 0.67, 1.0, 1.33]),
        (["f2_z0.0um.png", "f1_z0.4um.png", "f0_z0.8um.png"], [0.8, 0.4, 0.0]),
        (["z0.0um.png", "z0.4um.png", "z1.4um.png"], [0, 0.4, 1.4]),
    ],
)
def test_heights_in_names_are_offered(names: list[str], heights: list[float]) -> None:
    found = ordered(*names)
    assert found.z_um is not None
    np.testing.assert_allclose(found.z_um, heights)
    assert found.z_um_source.startswith("file names")


def test_heights_in_names_are_used_unless_others_are_given(tmp_path: Path) -> None:
    written(tmp_path, "z0um.png", "z2um.png", "z3um.png")
    stack = open_stack(tmp_path, pixel_um=1)
    assert stack.z_um.tolist() == [0, 2, 3]
    assert stack.metadata["z_um_source"] == "file names"
    assert open_stack(tmp_path, pixel_um=1, z_um=[5, 6, 7]).z_um.tolist() == [5, 6, 7]
    with pytest.raises(InputError, match=r"z0um.png to z3um.png, are not one step apart; omit the step"):
        open_stack(tmp_path, pixel_um=1, z_step_um=1)


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (
            count("i{:02d}.png", [*range(12), *range(14, 31)]),
            r"12, 13 missing, the first between i11.png and i14",
        ),
        (count("{}.tif", [1, 2, 3, 5, 6]), "4 missing, the first between 3.tif and 5.tif"),
        (count("f{}.png", [0, 2, 4, 6, 10, 12]), "8 missing, the first between f6.png and f10.png"),
        (count("f{}.png", [*range(3), *range(40, 60)]), "3, 4, 5, 6 and 33 more missing"),
    ],
)
def test_a_gap_is_refused_unless_every_height_is_given(
    tmp_path: Path, names: list[str], missing: str
) -> None:
    written(tmp_path, *names)
    for given in ({"z_step_um": 1}, {"z_range_um": 9}, {}):
        with pytest.raises(InputError, match=rf"have a gap: {missing}.*z_um \(--z-csv\)"):
            open_stack(tmp_path, pixel_um=1, **given)  # type: ignore[arg-type]
    heights = np.arange(len(names)) ** 1.5
    assert open_stack(tmp_path, pixel_um=1, z_um=heights).shape[0] == len(names)


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (
            [*count("i{}.png", range(9)), *count("i{}.tif", range(9))],
            "i0.png and i0.tif are the same frame.*8 more",
        ),
        (
            ["i1.png", "i01.png", "i2.png", "i3.png"],
            "i0?1.png and i0?1.png are the same frame by name; keep one",
        ),
        (
            [*count("bf_{}.png", range(9)), *count("gfp_{}.png", range(9))],
            r"2 series \(9 like bf_0.png; 9 like gfp_0",
        ),
        ([*count("x ({}).png", range(1, 9)), "x.png"], r"x.png: has no number, unlike x \(1\).png"),
        ([f"a{k % 2}_{k // 2}.png" for k in range(12)], "run through 2 × 6 combinations"),
        ([f"ch{k % 2}_z{k // 2}.png" for k in range(11)], "of which 1 are missing"),
        ([f"frame{k:03d}_ch{k % 2}.png" for k in range(12)], "are several series: ch 0 to 1 differ"),
        ([f"f{k}_z{k * 7 % 10 / 10:.1f}um.png" for k in range(10)], "order the images in two ways"),
        (
            [*count("i{}.png", range(9)), "a.png", "b.png", "c.png"],
            r"3 of its images, such as a.png, .* the 9 such",
        ),
        (["a.png", "b.png", "a.tif"], "a.png and a.tif are the same frame by name"),
    ],
)
def test_names_that_are_not_one_series_are_refused(names: list[str], match: str) -> None:
    with pytest.raises(InputError, match=match):
        ordered(*names)


@pytest.mark.parametrize(
    ("names", "left_out"),
    [
        ([*count("pcb_{:03d}.jpg", range(1, 20)), "expected.jpg"], ["expected.jpg"]),
        ([*count("DSC_{:04d}.jpg", range(1, 20)), "DSC_0001-DSC_0019 (B,R8,S4).jpg"], None),
        ([*count("i{}.png", range(9)), "i3 (1).png"], ["i3 (1).png"]),
        (
            [*count("i{}.png", range(9)), "i3 - Copy.png", "i3 - Copy (2).png"],
            ["i3 - Copy.png", "i3 - Copy (2).png"],
        ),
        (
            [*count("i{}.png", range(9)), *count("i{} - Copy.png", range(9))],
            count("i{} - Copy.png", range(9)),
        ),
        ([*count("i{}.png", range(9)), "Copy of i4.png", "i4 copy.png"], ["Copy of i4.png", "i4 copy.png"]),
        (
            [*count("i{}.png", range(9)), "stacked_result.tif", "depth.png"],
            ["stacked_result.tif", "depth.png"],
        ),
    ],
)
def test_what_does_not_belong_is_named_and_left_out(names: list[str], left_out: list[str] | None) -> None:
    left_out = [names[-1]] if left_out is None else left_out
    found = ordered(*names)
    assert names_of(found) == [name for name in names if name not in left_out]
    assert "left out" in " ".join(found.notes)
    assert left_out[0] in " ".join(found.notes)


def test_a_counter_that_rolls_over_goes_on(tmp_path: Path) -> None:
    names = count("DSC_{:04d}.png", [9997, 9998, 9999, 1, 2, 3, 4])
    written(tmp_path, *names)
    with pytest.warns(UserWarning, match="roll over from DSC_9999.png to DSC_0001.png"):
        stack = open_stack(tmp_path, z_step_um=1, pixel_um=1)
    assert [int(frame[0, 0]) for frame in stack] == [1, 2, 3, 4, 5, 6, 7]


def test_names_without_numbers_are_taken_with_a_warning() -> None:
    found = ordered("top.png", "bottom.png", "middle.png")
    assert names_of(found) == ["bottom.png", "middle.png", "top.png"]
    assert "alphabetical order, from bottom.png to top.png" in found.notes[0]


def test_names_without_any_order_are_all_taken_with_a_warning() -> None:
    names = [f"{k * 7919 % 4096:03x}{k * 104729 % 65536:04x}.png" for k in range(40)]
    found = ordered(*names)
    assert names_of(found) == sorted(names)
    assert "alphabetical order" in found.notes[0]


def test_counters_that_run_against_each_other() -> None:
    with pytest.raises(InputError, match=r"order the images in two ways, n 1 to 7 and f 0 to 6; rename them"):
        ordered(*(f"f{k}_n{7 - k}.png" for k in range(7)))
    # Unless one of them counts planes of z, as of a scan that was taken downwards.
    assert names_of(ordered(*(f"z{6 - k}_{k}.png" for k in range(7))))[0] == "z0_6.png"


def test_times_in_names_are_taken_with_a_warning() -> None:
    names = [f"cam_{1000 + 33 * k + (7 * k) % 5}.png" for k in range(20)]
    found = ordered(*names)
    assert names_of(found) == names
    assert "no unbroken count" in found.notes[0]
    for stamp in (
        "IMG_20240503_10153{}",
        "20240503-10153{}",
        "2024-05-03 10153{}",
        "2024050310153{}",
        "171473010153{}",
    ):
        names = [f"{stamp.format(k)}.jpg" for k in (0, 1, 2, 3, 5, 6, 7, 9)]
        found = ordered(*names)
        assert names_of(found) == names
        assert "no unbroken count" in found.notes[0]
        assert not found.uneven
    for before, between in (("WIN_20261130_", "_"), ("2026-11-30 ", "."), ("Basler_2026-11-30__", "-")):
        clock = [("12", "59", "57"), ("12", "59", "59"), ("13", "00", "01"), ("13", "00", "04")]
        names = [f"{before}{between.join(moment)}_Pro.jpg" for moment in clock]
        found = ordered(*reversed(names))
        assert names_of(found) == names
        assert not found.uneven
    clock = ["10-58-30", "10-59-10", "10-59-50", "11-00-30", "11-01-10", "11-01-50", "11-02-30", "11-03-10"]
    found = ordered(*(f"{moment}.png" for moment in reversed(clock)))
    assert names_of(found) == [f"{moment}.png" for moment in clock]
    assert "no number in the names counts the frames" in found.notes[0]


def test_channels_and_positions_in_names_are_axes(tmp_path: Path) -> None:
    names = [f"img_channel{c:03d}_position000_time000000000_z{z:03d}.png" for c in range(2) for z in range(4)]
    written(tmp_path, *names)
    with pytest.raises(InputError, match=r"holds 2 channels, 4 planes of z; .* give channel \(--channel\)"):
        open_stack(tmp_path, z_step_um=1, pixel_um=1)
    stack = open_stack(tmp_path, z_step_um=1, pixel_um=1, channel=1)
    assert [int(frame[0, 0]) for frame in stack] == [5, 6, 7, 8]
    assert stack.metadata["selected"] == {"channel": 1}


def test_mixed_kinds_of_frames_are_named(tmp_path: Path) -> None:
    frame = np.arange(20, dtype=np.uint8).reshape(4, 5)
    for k in range(4):
        Image.fromarray(frame).save(tmp_path / f"f{k}.jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_stack(tmp_path, z_step_um=1, pixel_um=1)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(frame).save(tmp_path / "f2.jpg", exif=turned)
    Image.fromarray(np.stack([frame] * 3, axis=-1)).save(tmp_path / "f3.jpg")
    with pytest.warns(UserWarning, match="differs from") as said:
        open_stack(tmp_path, z_step_um=1, pixel_um=1)
    messages = " | ".join(str(warning.message) for warning in said)
    assert "f3.jpg differs from f0.jpg in colour" in messages
    assert "f2.jpg differs from f0.jpg in orientation in EXIF, which is ignored" in messages
