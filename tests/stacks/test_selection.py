"""One z-stack out of channels, times and positions: chosen by number or name, else listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from lee.cli import run
from lee.errors import InputError
from lee.stacks.stack import ZStack, open_stack

# Every plane has a value of its own: 100 t + 10 c + z.
T, C, Z = 3, 2, 5
VALUES = 100 * np.arange(T)[:, None, None] + 10 * np.arange(C)[None, :, None] + np.arange(Z)[None, None, :]
TCZ = np.broadcast_to(VALUES[..., None, None], (T, C, Z, 6, 7)).astype(np.uint16)


def planes(stack: ZStack) -> list[int]:
    return [int(frame[2, 3]) for frame in stack]


def chosen(path: Path, **given: object) -> list[int]:
    return planes(open_stack(path, **{"z_step_um": 1, "pixel_um": 1, **given}))  # type: ignore[arg-type]


def refuse(path: Path, match: str, **given: object) -> None:
    with pytest.raises(InputError, match=match) as caught:
        chosen(path, **given)
    assert "\n" not in str(caught.value)


@pytest.fixture(params=["ome", "imagej", "ome-zarr", "ome-zlib"])
def hyperstack(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    kind = str(request.param)
    if kind == "ome-zarr":
        group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
        group.create_array("0", data=TCZ, chunks=(1, 1, 1, 6, 7))
        axes = [{"name": name, "type": "space" if name in "zyx" else "other"} for name in "tczyx"]
        scale = [{"type": "scale", "scale": [1.0] * 5}]
        multiscale = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
        group.attrs.update(
            {"multiscales": [multiscale], "omero": {"channels": [{"label": "bright"}, {"label": "dark"}]}}
        )
        return tmp_path / "a.zarr"
    path = tmp_path / ("a.tif" if kind == "imagej" else "a.ome.tif")
    if kind == "imagej":
        tifffile.imwrite(path, TCZ.transpose(0, 2, 1, 3, 4), imagej=True, metadata={"axes": "TZCYX"})
    else:
        metadata = {"axes": "TCZYX", "Channel": {"Name": ["bright", "dark"]}}
        compression = "zlib" if kind == "ome-zlib" else None
        tifffile.imwrite(path, TCZ, ome=True, metadata=metadata, compression=compression)
    return path


def test_channel_and_time_are_chosen(hyperstack: Path) -> None:
    assert chosen(hyperstack, channel=1, time=2) == [210, 211, 212, 213, 214]
    assert chosen(hyperstack, channel="0", time="1") == [100, 101, 102, 103, 104]
    stack = open_stack(hyperstack, z_step_um=1, pixel_um=1, channel=1, time=0)
    assert stack.metadata["selected"] == {"time": 0, "channel": 1}


def test_what_is_not_chosen_is_listed(hyperstack: Path) -> None:
    refuse(hyperstack, r"holds 3 times.*5 planes of z.*, give time \(--time\) and channel \(--channel\)")
    refuse(hyperstack, r"2 channels.*; one z-stack is measured at a time, give time \(--time\)$", channel=0)
    refuse(hyperstack, r"has no time 3: it holds 3 times.*from 0 to 2", channel=0, time=3)
    refuse(hyperstack, r"has no channel -1.*from 0 to 1", channel=-1, time=0)
    refuse(hyperstack, r"has no channel 'red'", channel="red", time=0)
    refuse(
        hyperstack,
        r"has no position 1: it holds .*; omit position \(--position\)",
        channel=0,
        time=0,
        position=1,
    )


def test_channels_are_chosen_by_their_names(hyperstack: Path) -> None:
    if hyperstack.suffix == ".tif" and not hyperstack.name.endswith(".ome.tif"):
        refuse(hyperstack, r"has no channel 'dark'", channel="dark", time=1)  # ImageJ names none
        return
    assert chosen(hyperstack, channel="dark", time=1) == [110, 111, 112, 113, 114]
    refuse(hyperstack, r"2 channels \(0: bright, 1: dark\)")
    refuse(hyperstack, r"has no channel 'dim'.*from 0 to 1 or a name", channel="dim", time=1)


def test_the_scan_may_lie_on_another_axis(hyperstack: Path) -> None:
    refuse(hyperstack, r"5 planes of z.*; the scan lies along z, omit z_axis", z_axis="t", channel=0)
    refuse(hyperstack, r"has no axis 'q'.*as one of t, ", z_axis="q")


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_frames_on_the_time_axis_are_a_scan_with_a_step(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("t.ome.tif" if kind == "ome" else "t.tif")
    tifffile.imwrite(path, TCZ[0, 0], metadata={"axes": "TYX"}, **{kind: True})  # type: ignore[arg-type]
    assert chosen(path) == [0, 1, 2, 3, 4]
    assert chosen(path, z_step_um=None, z_um=[4, 5, 6, 7, 9]) == [0, 1, 2, 3, 4]
    refuse(path, r"holds 5 times and no z; .* z_axis='t' \(--z-axis\)", z_step_um=None)
    stack = open_stack(path, z_step_um=1, pixel_um=1)
    assert stack.metadata["z_axis"] == "t"
    refuse(path, r"the scan lies along time, so time cannot be chosen", z_axis="t", time=1)


def test_frames_on_the_channel_axis_are_a_scan_only_if_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "c.ome.tif"
    tifffile.imwrite(path, TCZ[0, 0], ome=True, metadata={"axes": "CYX"})
    refuse(path, r"holds 5 channels and no z; .* z_axis='c'")
    assert chosen(path, z_axis="c") == [0, 1, 2, 3, 4]


def test_positions_that_rise_with_time_make_time_depth(tmp_path: Path) -> None:
    path = tmp_path / "t.ome.tif"
    plane = {"PositionZ": [1.0, 1.5, 2.0, 2.5, 3.0], "PositionZUnit": ["µm"] * 5}
    tifffile.imwrite(path, TCZ[0, 0], ome=True, metadata={"axes": "TYX", "Plane": plane})
    stack = open_stack(path, pixel_um=1)
    assert stack.z_um.tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]
    still = {"PositionZ": [1.0] * 5, "PositionZUnit": ["µm"] * 5}
    tifffile.imwrite(path, TCZ[0, 0], ome=True, metadata={"axes": "TYX", "Plane": still})
    refuse(path, "holds 5 times and no z", z_step_um=None)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_axes_without_names(tmp_path: Path, compression: str | None) -> None:
    tz = tmp_path / "tz.tif"
    tifffile.imwrite(tz, TCZ[:, 0], photometric="minisblack", compression=compression)
    refuse(tz, r"holds 3 planes along axis 0, 5 planes along axis 1, and does not name these axes")
    refuse(tz, r"holds 3 planes along axis 0.*give channel, time or position", z_axis=1)
    assert chosen(tz, z_axis=1, time=2) == [200, 201, 202, 203, 204]
    assert chosen(tz, z_axis="0", channel=4) == [4, 104, 204]
    zc = tmp_path / "zc.tif"
    tifffile.imwrite(zc, TCZ[0].swapaxes(0, 1), photometric="minisblack", compression=compression)
    assert chosen(zc, z_axis=0, channel=1) == [10, 11, 12, 13, 14]
    alone = tmp_path / "alone.tif"
    tifffile.imwrite(alone, TCZ[0, 0][:, None], photometric="minisblack", compression=compression)
    assert chosen(alone) == [0, 1, 2, 3, 4]


def test_positions_of_an_ome_tiff(tmp_path: Path) -> None:
    path = tmp_path / "p.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tif:
        for k in range(3):
            tif.write(TCZ[k, 0], metadata={"axes": "ZYX", "Name": f"site {k}", "PhysicalSizeZ": 0.5 + k})
    refuse(path, r"holds 3 positions \(0: site 0, 1: site 1, 2: site 2\), 5 planes of z.*give position")
    assert chosen(path, position=1) == [100, 101, 102, 103, 104]
    stack = open_stack(path, position="site 2", pixel_um=1)
    assert planes(stack) == [200, 201, 202, 203, 204]
    assert stack.z_um.tolist() == [0, 2.5, 5, 7.5, 10]


def test_images_of_different_shape_are_opened_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "p.ome.tif"
    overview = np.zeros((30, 40), np.uint16)
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(overview, metadata={"axes": "YX", "Name": "overview"})
        tif.write(TCZ[0, 0], metadata={"axes": "ZYX", "Name": "scan", "PhysicalSizeZ": 0.5})
        tif.write(TCZ[1], metadata={"axes": "CZYX", "Name": "channels"})
    refuse(path, r"holds 3 positions \(0: overview, 1: scan, 2: channels\)", z_step_um=1)
    stack = open_stack(path, position="scan", pixel_um=1)
    assert planes(stack) == [0, 1, 2, 3, 4]
    assert stack.z_um.tolist() == [0, 0.5, 1, 1.5, 2]
    assert chosen(path, position=2, channel=1) == [110, 111, 112, 113, 114]
    refuse(path, r"holds 3 positions .*, 2 channels, 5 planes of z; .* give channel", position="channels")
    refuse(path, "has 1 frame; a focus is found between frames", position=0, z_step_um=1)


def test_a_plain_stack_has_nothing_to_choose(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", TCZ[0, 0])
    assert chosen(tmp_path / "a.npy", channel=0, time=0) == [0, 1, 2, 3, 4]
    refuse(tmp_path / "a.npy", r"has no channel 1: it holds 5 planes of z; omit channel", channel=1)


def test_the_command_line_chooses_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, TCZ, ome=True, metadata={"axes": "TCZYX", "Channel": {"Name": ["bright", "dark"]}})
    line = ["reconstruct", str(path), "-o", str(tmp_path / "out"), "--pixel-um", "1", "--z-step-um", "1"]
    assert run(line) == 1
    assert "(0: bright, 1: dark), 5 planes of z" in capsys.readouterr().err
    assert run([*line, "--channel", "dark", "--time", "7"]) == 1
    assert "has no time 7: it holds 3 times" in capsys.readouterr().err
    assert run([*line, "--z-range-um", "5"]) == 2
    assert "--z-step-um and --z-range-um are both given" in capsys.readouterr().err
