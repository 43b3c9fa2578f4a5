"""Micro-Manager's own metadata: heights of every frame, steps, and folders with one image a frame."""

from __future__ import annotations

import json
import uuid
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from lee.errors import InputError
from lee.stacks.micro_manager.metadata import whole_members
from lee.stacks.stack import ZStack, open_stack

FRAMES = np.random.default_rng(9).integers(0, 256, (5, 12, 16), dtype=np.uint8)
HEIGHTS = [3.0, 3.4, 3.9, 4.2, 4.6]


def silent(path: Path, **given: Any) -> ZStack:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return open_stack(path, **given)


def tagged(path: Path, heights: list[float], **facts: object) -> Path:
    with tifffile.TiffWriter(path) as tif:
        for frame, z in zip(FRAMES, heights, strict=True):
            text = json.dumps({"ZPositionUm": z, "PixelSizeUm": 0.25, **facts})
            tif.write(frame, contiguous=False, metadata=None, extratags=[(51123, 2, 0, text, True)])
    return path


def test_the_height_of_every_page(tmp_path: Path) -> None:
    stack = silent(tagged(tmp_path / "a.tif", HEIGHTS))
    assert stack.z_um.tolist() == HEIGHTS
    assert stack.pixel_um == 0.25
    assert stack.metadata["z_um_source"] == "Micro-Manager ZPositionUm"


def test_heights_that_stand_still_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the stack has no z positions"):
        open_stack(tagged(tmp_path / "a.tif", [3.0] * 5))


def image_set(
    folder: Path, *, key: str = "FrameKey-{t}-{c}-{z}", channels: int = 1, heights: list[float] = HEIGHTS
) -> Path:
    names = [f"channel {c}" for c in range(channels)]
    members: dict[str, Any] = {"Summary": {"Slices": 5, "z-step_um": 0.4, "ChNames": names}}
    for z in range(5):
        for c in range(channels):
            name = f"img_channel{c:03d}_position000_time000000000_z{z:03d}.tif"
            tifffile.imwrite(folder / name, FRAMES[z] + np.uint8(c), photometric="minisblack")
            facts: dict[str, Any] = {"ZPositionUm": heights[z], "PixelSizeUm": 0.25, "FileName": name}
            if key.startswith("Frame"):
                facts |= {"FrameIndex": 0, "ChannelIndex": c, "SliceIndex": z, "PositionIndex": 0}
            else:
                facts.pop("FileName")
                members[f"Coords-Default/{name}"] = {"channel": c, "z": z, "time": 0, "position": 0}
            members[key.format(t=0, c=c, z=z, name=name)] = facts
    (folder / "metadata.txt").write_text(json.dumps(members, indent=1))
    return folder


@pytest.mark.parametrize("key", ["FrameKey-{t}-{c}-{z}", "Metadata-Default/{name}"])
def test_a_folder_with_metadata(tmp_path: Path, key: str) -> None:
    stack = silent(image_set(tmp_path, key=key))
    np.testing.assert_array_equal(list(stack), FRAMES)
    assert stack.z_um.tolist() == HEIGHTS
    assert stack.pixel_um == 0.25
    assert stack.metadata["format"] == "Micro-Manager images"


def test_channels_of_a_folder(tmp_path: Path) -> None:
    image_set(tmp_path, channels=2)
    with pytest.raises(InputError, match=r"holds 2 channels \(0: channel 0, 1: channel 1\), 5 planes of z"):
        open_stack(tmp_path)
    np.testing.assert_array_equal(list(silent(tmp_path, channel="channel 1")), FRAMES + np.uint8(1))


def test_a_stage_that_reports_one_height_gives_way_to_the_step(tmp_path: Path) -> None:
    stack = silent(image_set(tmp_path, heights=[3.0] * 5))
    np.testing.assert_allclose(stack.z_um, 0.4 * np.arange(5))
    assert stack.metadata["z_um_source"] == "Micro-Manager z-step_um"


@pytest.mark.parametrize("share", [0.7, 0.8, 0.9])
def test_a_folder_of_a_crash(tmp_path: Path, share: float) -> None:
    text = (image_set(tmp_path) / "metadata.txt").read_text()
    (tmp_path / "metadata.txt").write_text(text[: int(share * len(text))])
    with pytest.warns(
        UserWarning, match=r"holds [34] of the 5 planes .* that was stopped; the last [12] are"
    ):
        stack = open_stack(tmp_path)
    assert stack.z_um.tolist() == HEIGHTS[: len(stack)]


def test_the_folder_of_positions(tmp_path: Path) -> None:
    for name in ("Pos0", "Pos10", "Pos2"):
        (tmp_path / name).mkdir()
        image_set(tmp_path / name, heights=[z + len(name) for z in HEIGHTS])
    with pytest.raises(
        InputError, match=r"holds 3 positions \(0: Pos0, 1: Pos2, 2: Pos10\), 5 planes of z; "
    ):
        open_stack(tmp_path)
    for position in (2, "Pos10"):
        stack = silent(tmp_path, position=position)
        assert stack.z_um.tolist() == [z + 5 for z in HEIGHTS]
        np.testing.assert_array_equal(list(stack), FRAMES)
    (tmp_path / "Pos2" / "metadata.txt").unlink()
    (tmp_path / "Pos10" / "metadata.txt").unlink()
    assert silent(tmp_path).z_um.tolist() == [z + 4 for z in HEIGHTS]  # one folder with metadata is the scan


def test_positions_are_no_scan(tmp_path: Path) -> None:
    for name in ("Pos0", "Pos1", "Pos2"):
        (tmp_path / name).mkdir()
        text = (image_set(tmp_path / name) / "metadata.txt").read_text()
        members = whole_members(text)
        kept = {key: members[key] for key in ("Summary", "FrameKey-0-0-0")}
        (tmp_path / name / "metadata.txt").write_text(json.dumps(kept))
    with pytest.raises(InputError, match=r"its positions are no scan; give another z_axis \(--z-axis\)"):
        open_stack(tmp_path, z_axis="p", z_step_um=1)


def test_positions_of_different_size_are_opened_one_by_one(tmp_path: Path) -> None:
    for name, channels in (("Pos0", 1), ("Pos1", 2)):
        (tmp_path / name).mkdir()
        image_set(tmp_path / name, channels=channels)
    with pytest.raises(
        InputError, match=r"Pos1: holds .*2 c.*, Pos0 holds .*; give the folder of one position"
    ):
        open_stack(tmp_path)
    assert len(open_stack(tmp_path / "Pos1", channel=1)) == 5


def test_a_folder_with_a_gap_is_refused(tmp_path: Path) -> None:
    image_set(tmp_path, channels=2)
    (tmp_path / "img_channel001_position000_time000000000_z002.tif").unlink()
    with pytest.raises(InputError, match="plane 2 of 5 is missing; copy the folder again"):
        open_stack(tmp_path, channel=1)
    assert len(silent(tmp_path, channel=0)) == 5


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('{"a": {"b": [1, 2]}, "c": 3}', ["a", "c"]),
        ('{"a": {"b": [1, 2]}, "c": {"d"', ["a"]),
        ('{\n "a":\n{}\n,\n"c": "3', ["a"]),
        ("", []),
        ("[1, 2]", []),
        ("no metadata", []),
    ],
)
def test_members_of_a_file_that_was_cut_off(text: str, keys: list[str]) -> None:
    assert list(whole_members(text)) == keys


def ome_plane(path: Path, k: int, ids: list[str] | None, z: float | None = None) -> None:
    """One file of a set: described in each of them, or each for itself."""
    n = len(FRAMES) if ids else 1
    place = "" if z is None else f'<Plane TheZ="0" TheC="0" TheT="0" PositionZ="{z}" PositionZUnit="µm"/>'
    data = "<TiffData/>"
    if ids:
        data = "".join(
            f'<TiffData FirstZ="{j}" IFD="0" PlaneCount="1"><UUID FileName="s_Z{j}.ome.tif">{ids[j]}</UUID>'
            "</TiffData>"
            for j in range(n)
        )
    own = f' UUID="{ids[k]}"' if ids else ""
    xml = (
        f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{own}><Image '
        f'ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="16" SizeY="12" '
        f'SizeZ="{n}" SizeC="1" SizeT="1" PhysicalSizeX="0.25" PhysicalSizeY="0.25" PhysicalSizeZ="0.4">'
        f'<Channel ID="Channel:0:0"/>{data}{place}</Pixels></Image></OME>'
    )
    tifffile.imwrite(path, FRAMES[k], metadata=None, description=xml.encode(), photometric="minisblack")


def test_a_folder_of_an_ome_set_is_the_set(tmp_path: Path) -> None:
    ids = [f"urn:uuid:{uuid.UUID(int=k + 1)}" for k in range(5)]
    for k in range(5):
        ome_plane(tmp_path / f"s_Z{k}.ome.tif", k, ids)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stack = open_stack(tmp_path)
        np.testing.assert_array_equal(list(stack), FRAMES)
    np.testing.assert_allclose(stack.z_um, 0.4 * np.arange(5))
    assert stack.pixel_um == 0.25
    (tmp_path / "s_Z2.ome.tif").unlink()
    with pytest.raises(InputError, match="1 of its 5 planes, plane 2 the first of them, are missing"):
        open_stack(tmp_path)


def test_a_folder_of_single_ome_planes_has_their_heights(tmp_path: Path) -> None:
    for k in range(5):
        ome_plane(tmp_path / f"s_{k}.ome.tif", k, None, HEIGHTS[k])
    stack = silent(tmp_path)
    np.testing.assert_array_equal(list(stack), FRAMES)
    assert stack.z_um.tolist() == HEIGHTS
    assert stack.metadata["z_um_source"] == "OME PositionZ"
    assert stack.pixel_um == 0.25
    for k in range(5):
        ome_plane(tmp_path / f"s_{k}.ome.tif", k, None)
    np.testing.assert_allclose(silent(tmp_path).z_um, 0.4 * np.arange(5))


def channels_in_pages(path: Path, places: list[tuple[str | int, int]], named: bool) -> Path:
    with tifffile.TiffWriter(path) as tif:
        for channel, z in places:
            facts: dict[str, Any] = {"ZPositionUm": HEIGHTS[z]}
            facts |= (
                {"Axes": {"channel": channel, "z": z}}
                if named
                else {"ChannelIndex": channel, "SliceIndex": z}
            )
            frame = FRAMES[z] if channel in (0, "bright") else 255 - FRAMES[z]
            tags = [(51123, 2, 0, json.dumps(facts), True)]
            tif.write(frame, contiguous=False, metadata=None, extratags=tags)
    return path


@pytest.mark.parametrize("named", [True, False])
def test_channels_in_the_metadata_of_pages(tmp_path: Path, named: bool) -> None:
    both = ("bright", "dark") if named else (0, 1)
    path = channels_in_pages(tmp_path / "a.tif", [(c, z) for z in range(5) for c in both], named)
    with pytest.raises(InputError, match=r"holds 5 planes of z, 2 channels.* give channel \(--channel\)"):
        open_stack(path, z_step_um=1, pixel_um=1)
    stack = open_stack(path, pixel_um=1, channel=both[1])
    np.testing.assert_array_equal(list(stack), 255 - FRAMES)
    assert stack.z_um.tolist() == HEIGHTS
    alone = channels_in_pages(tmp_path / "c.tif", [(k, 0) for k in range(4)], named)
    with pytest.raises(InputError, match=r"holds 4 channels.* and no z; .* z_axis='c'"):
        open_stack(alone, z_step_um=1, pixel_um=1)
    path = channels_in_pages(tmp_path / "b.tif", [(c, z) for z in range(5) for c in both][:-1], named)
    with pytest.warns(UserWarning, match=r"holds 4 of the 5 planes .*; the last 1 are missing"):
        stack = open_stack(path, pixel_um=1, channel=both[1])
    np.testing.assert_array_equal(list(stack), 255 - FRAMES[:4])
