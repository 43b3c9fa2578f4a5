"""Every format gives the same frames, heights and pixel size back."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from lee.errors import InputError
from lee.stacks.stack import ZStack, open_stack

RNG = np.random.default_rng(5)
U8 = RNG.integers(0, 256, (5, 24, 31), dtype=np.uint8)
U16 = RNG.integers(0, 65536, (5, 24, 31), dtype=np.uint16)
RGB = RNG.integers(0, 256, (5, 24, 31, 3), dtype=np.uint8)
RGB16 = RNG.integers(0, 65536, (5, 24, 31, 3), dtype=np.uint16)


def luminance(colour: np.ndarray) -> np.ndarray:
    return np.rint(colour.astype(float) @ [0.299, 0.587, 0.114])


def opened(path: Path, z_step_um: float | None = 0.2) -> ZStack:
    return open_stack(path, z_step_um=z_step_um, pixel_um=0.1)


def same(stack: ZStack, frames: np.ndarray, within: float = 0) -> None:
    assert stack.shape == frames.shape[:3]
    for k in range(len(stack)):
        frame = stack[k]
        assert frame.dtype == stack.dtype
        assert frame.flags.c_contiguous
        assert np.abs(frame.astype(float) - frames[k]).max() <= within


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "pgm"])
def test_folder_of_grey_images(tmp_path: Path, suffix: str) -> None:
    for k, frame in enumerate(U8):
        Image.fromarray(frame).save(tmp_path / f"frame{k + 8}.{suffix}")  # 8 .. 12: text order would differ
    (tmp_path / "notes.txt").write_text("not a frame")
    Image.fromarray(U8[0][:5]).save(tmp_path / f".hidden1.{suffix}")
    stack = opened(tmp_path)
    same(stack, U8)
    assert stack.dtype == np.uint8
    assert np.allclose(stack.z_um, np.arange(5) * 0.2)
    assert stack.metadata["z_um_source"] == "given step"


def test_folder_of_jpeg(tmp_path: Path) -> None:
    smooth = np.repeat(np.linspace(20, 220, 31, dtype=np.uint8)[None], 24, axis=0)
    for k in range(3):
        Image.fromarray(smooth).save(tmp_path / f"{k}.JPG", quality=95)
    same(opened(tmp_path), np.stack([smooth] * 3), within=3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_folder_of_16_bit_images_stays_16_bit(tmp_path: Path, suffix: str) -> None:
    for k, frame in enumerate(U16):
        Image.fromarray(frame).save(tmp_path / f"{k}.{suffix}")
    stack = opened(tmp_path)
    assert stack.dtype == np.uint16
    same(stack, U16)


def test_folder_of_colour_images_is_luminance(tmp_path: Path) -> None:
    for k, frame in enumerate(RGB):
        image = Image.fromarray(frame)
        image = image.convert("RGBA") if k == 1 else image
        image.save(tmp_path / f"{k}.png")
    stack = opened(tmp_path)
    assert stack.dtype == np.uint8
    assert stack.metadata["luminance"] == "Rec. 601"
    same(stack, luminance(RGB), within=1)


def test_folder_of_16_bit_colour_png_keeps_all_bits(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    for k, frame in enumerate(RGB16):
        cv2.imwrite(str(tmp_path / f"{k}.png"), frame[..., ::-1])
    stack = opened(tmp_path)
    assert stack.dtype == np.uint16
    same(stack, luminance(RGB16), within=1)


def test_palette_and_one_bit_images(tmp_path: Path) -> None:
    bits = U8 > 127
    for k in range(3):
        Image.fromarray(bits[k]).save(tmp_path / f"{k}.png")
    Image.fromarray(RGB[0]).quantize(16).save(tmp_path / "3.png")
    expected = np.asarray(Image.fromarray(RGB[0]).quantize(16).convert("RGB"))
    stack = opened(tmp_path)
    same(stack, np.concatenate([bits[:3] * 255.0, luminance(expected)[None]]), within=1)


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (U8, np.uint8),
        (U16, np.uint16),
        (U16 >> 4, np.uint16),
        ((U16.astype(np.int32) - 30000).astype(np.int16), np.float32),
        (U16.astype(np.int32) - 70000, np.float32),
        (U16.astype(np.float64), np.float32),
        (U16.astype(">u2"), np.uint16),
        (np.asfortranarray(U8), np.uint8),
    ],
)
def test_npy_of_any_real_dtype(tmp_path: Path, array: np.ndarray, dtype: type) -> None:
    np.save(tmp_path / "scan.npy", array)
    stack = opened(tmp_path / "scan.npy")
    assert stack.dtype == dtype
    same(stack, array)


@pytest.mark.parametrize("array", [U8[:, None], U8[None]])
def test_an_axis_of_one_is_dropped(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "scan.npy", array)
    same(opened(tmp_path / "scan.npy"), U8)
    same(ZStack.from_array(array, np.arange(5), 0.1), U8)


def test_folder_of_lossless_webp_and_16_bit_pgm(tmp_path: Path) -> None:
    for name in ("webp", "pgm"):
        (tmp_path / name).mkdir()
    for k, frame in enumerate(U8):
        Image.fromarray(frame).convert("RGB").save(tmp_path / "webp" / f"{k}.webp", lossless=True)
        deep = U16[k].astype(">u2").tobytes()
        (tmp_path / "pgm" / f"{k}.pgm").write_bytes(b"P5\n31 24\n65535\n" + deep)
    same(opened(tmp_path / "webp"), U8)
    same(opened(tmp_path / "pgm"), U16)


def test_npy_of_bool_and_colour(tmp_path: Path) -> None:
    np.save(tmp_path / "bool.npy", U8 > 9)
    same(opened(tmp_path / "bool.npy"), (U8 > 9) * 255.0)
    np.save(tmp_path / "colour.npy", RGB)
    same(opened(tmp_path / "colour.npy"), luminance(RGB), within=1)


def test_equal_channels_come_back_unchanged() -> None:
    stack = ZStack.from_array(np.stack([U16] * 3, axis=-1), np.arange(5), 0.1)
    same(stack, U16)


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("contiguous", [False, True])
def test_multi_page_tiff(tmp_path: Path, bigtiff: bool, compression: str | None, contiguous: bool) -> None:
    with tifffile.TiffWriter(tmp_path / "scan.tif", bigtiff=bigtiff) as tif:
        for frame in U16:
            tif.write(frame, compression=compression, contiguous=contiguous and compression is None)
    same(opened(tmp_path / "scan.tif"), U16)
    same(opened(tmp_path), U16)  # the folder with this one file means the file


@pytest.mark.parametrize("damage", [slice(8, 40), slice(8, 200)])
def test_damaged_lzw_is_not_taken_for_a_missing_package(tmp_path: Path, damage: slice) -> None:
    images = [Image.fromarray(frame) for frame in U8]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:], compression="tiff_lzw")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[damage] = b"\xff" * (damage.stop - damage.start)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(InputError, match="frame 0: cannot be decoded, it is damaged or truncated"):
        opened(tmp_path / "a.tif")[0]


def test_tiff_compressed_with_lzw_needs_no_further_package(tmp_path: Path) -> None:
    images = [Image.fromarray(frame) for frame in U8]
    images[0].save(tmp_path / "scan.tif", save_all=True, append_images=images[1:], compression="tiff_lzw")
    same(opened(tmp_path / "scan.tif"), U8)


@pytest.mark.parametrize(("code", "name"), [(50000, "ZSTD"), (34712, "JPEG2000"), (50001, "WEBP")])
def test_a_compression_that_nothing_decodes_is_named(tmp_path: Path, code: int, name: str) -> None:
    if find_spec("imagecodecs") or find_spec("compression"):
        pytest.skip("this Python decodes them")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, U8, photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as tif:
        places = [page.tags["Compression"].valueoffset for page in tif.pages]
    data = bytearray(path.read_bytes())
    for place in places:
        data[place : place + 2] = code.to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"decodes its compression, {name}; pip install imagecodecs"):
        opened(path)[0]


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_tiff(tmp_path: Path, planar: str) -> None:
    data = RGB if planar == "contig" else np.moveaxis(RGB, -1, 1)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", planarconfig=planar, metadata=None)
    stack = opened(tmp_path / "a.tif")
    assert stack.dtype == np.uint8
    same(stack, luminance(RGB), within=1)


def test_tiff_white_is_zero_and_palette(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "white.tif", U8, photometric="miniswhite")
    same(opened(tmp_path / "white.tif"), 255 - U8)
    colours = RNG.integers(0, 256, (3, 256), dtype=np.uint16) * 257
    tifffile.imwrite(tmp_path / "palette.tif", U8, photometric="palette", colormap=colours)
    expected = luminance((colours >> 8).T[U8])
    same(opened(tmp_path / "palette.tif"), expected, within=1)


def write_ome(path: Path, **metadata: object) -> None:
    tifffile.imwrite(path, U8, metadata={"axes": "ZYX", **metadata})


def test_ome_tiff_positions_and_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "scan.ome.tif"
    plane = {"PositionZ": [1000.0, 1200, 1400, 1650, 1900], "PositionZUnit": ["nm"] * 5}
    write_ome(path, PhysicalSizeX=0.4, PhysicalSizeY=0.4, PhysicalSizeZ=9.0, Plane=plane)
    stack = open_stack(path)
    same(stack, U8)
    assert np.allclose(stack.z_um, [1.0, 1.2, 1.4, 1.65, 1.9])
    assert stack.pixel_um == 0.4
    assert stack.metadata["z_um_source"] == "OME PositionZ"


@pytest.mark.parametrize(
    ("plane", "source"),
    [
        ({}, "OME PhysicalSizeZ"),
        ({"PositionZ": [3.0] * 5}, "OME PhysicalSizeZ"),
        ({"PositionZ": [1.0, 2, 3, 4, 5], "PositionZUnit": ["reference frame"] * 5}, "OME PhysicalSizeZ"),
        ({"PositionZ": [0, 0.0002, 0.0004, 0.0006, 0.0008]}, "OME PhysicalSizeZ"),
        ({"PositionZ": [0, 0.2, 0.4, 0.6, 0.8]}, "OME PositionZ, unit not stated, taken as µm"),
    ],
)
def test_ome_tiff_step(tmp_path: Path, plane: dict[str, object], source: str) -> None:
    path = tmp_path / "scan.ome.tif"
    write_ome(
        path,
        PhysicalSizeX=300,
        PhysicalSizeXUnit="nm",
        PhysicalSizeZ=200,
        PhysicalSizeZUnit="nm",
        Plane=plane,
    )
    stack = open_stack(path)
    assert np.allclose(stack.z_um, np.arange(5) * 0.2)
    assert stack.metadata["z_um_source"] == source
    assert np.isclose(stack.pixel_um, 0.3)


def ome_of_planes(path: Path, order: list[int]) -> Path:
    """Write an OME-TIFF of five planes whose page k is plane ``order[k]``."""
    planes = "".join(
        f'<TiffData FirstZ="{z}" FirstC="0" FirstT="0" IFD="{page}" PlaneCount="1"/>'
        for page, z in enumerate(order)
    )
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    sizes = 'SizeX="31" SizeY="24" SizeZ="5" SizeC="1" SizeT="1"'
    units = 'PhysicalSizeX="0.5" PhysicalSizeY="0.5" PhysicalSizeZ="0.4"'
    xml = (
        f'<?xml version="1.0"?><OME xmlns="{schema}"><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" {sizes} {units}>'
        f'<Channel ID="Channel:0:0"/>{planes}</Pixels></Image></OME>'
    )
    with tifffile.TiffWriter(path) as file:
        for page, z in enumerate(order):
            file.write(U8[z], photometric="minisblack", metadata=None, description=xml if page == 0 else None)
    return path


@pytest.mark.parametrize("order", [[4, 3, 2, 1, 0], [2, 0, 1, 4, 3]])
def test_ome_tiff_whose_planes_are_in_another_order_than_its_pages(tmp_path: Path, order: list[int]) -> None:
    stack = open_stack(ome_of_planes(tmp_path / "a.ome.tif", order))
    same(stack, U8)
    assert np.allclose(stack.z_um, 0.4 * np.arange(5))
    assert stack.pixel_um == pytest.approx(0.5)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_an_ome_tiff_of_a_stopped_acquisition_has_the_planes_that_are_there(
    tmp_path: Path, order: list[int]
) -> None:
    with pytest.warns(UserWarning, match=r"holds 3 of the 5 planes that its OME-XML .*last 2 are missing"):
        stack = open_stack(ome_of_planes(tmp_path / "a.ome.tif", order))
    same(stack, U8[:3])
    assert np.allclose(stack.z_um, [0, 0.4, 0.8])


@pytest.mark.parametrize("order", [[0, 1, 3, 4], [4, 3, 2, 1]])
def test_an_ome_tiff_with_a_gap_is_refused_when_it_is_opened(tmp_path: Path, order: list[int]) -> None:
    gap = min({0, 1, 2, 3, 4} - set(order))
    with pytest.raises(InputError, match=f"1 of its 5 planes, plane {gap} the first of them, are missing"):
        open_stack(ome_of_planes(tmp_path / "a.ome.tif", order))


def test_imagej_stack(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "spacing": 0.2, "unit": "micron"}
    tifffile.imwrite(tmp_path / "ij.tif", U16, imagej=True, resolution=(2.5, 2.5), metadata=metadata)
    stack = open_stack(tmp_path / "ij.tif")
    same(stack, U16)
    assert np.allclose(stack.z_um, np.arange(5) * 0.2)
    assert np.isclose(stack.pixel_um, 0.4)


def test_tiff_resolution_is_believed_at_microscope_scale_only(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "fine.tif", U8, resolution=(25000, 25000), resolutionunit="CENTIMETER")
    assert np.isclose(open_stack(tmp_path / "fine.tif", z_step_um=1).pixel_um, 0.4)
    tifffile.imwrite(tmp_path / "print.tif", U8, resolution=(72, 72), resolutionunit="INCH")
    with pytest.warns(UserWarning, match=r"print\.tif: the stack has no pixel size; 1 µm is assumed"):
        stack = open_stack(tmp_path / "print.tif", z_step_um=1)
    assert stack.pixel_um == 1.0
    assert stack.metadata["pixel_um_source"] == "assumed"


def ngff(version: str, unit: str | None = "nanometer", names: str = "zyx") -> dict[str, object]:
    axes = [{"name": n, "type": "space" if n in "zyx" else "channel"} for n in names]
    if unit:
        axes = [{**a, "unit": unit} if a["type"] == "space" else a for a in axes]
    scale = [{"z": 200.0, "y": 400.0, "x": 400.0}.get(n, 1.0) for n in names]
    moved = [{"z": 1000.0}.get(n, 0.0) for n in names]
    transforms = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": moved}]
    images = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": transforms}]}]
    if version == "0.5":
        return {"ome": {"version": "0.5", "multiscales": images}}
    return {"multiscales": [{**images[0], "version": "0.4"}]}


@pytest.mark.parametrize(("version", "zarr_format"), [("0.4", 2), ("0.5", 3)])
@pytest.mark.parametrize("chunk_depth", [1, 2])
def test_ome_zarr(tmp_path: Path, version: str, zarr_format: int, chunk_depth: int) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=zarr_format)
    group.attrs.update(ngff(version, names="czyx"))
    group.create_array("0", shape=(1, *U16.shape), chunks=(1, chunk_depth, 10, 16), dtype="uint16")[:] = U16[
        None
    ]
    stack = open_stack(tmp_path / "a.zarr")
    same(stack, U16)
    assert np.allclose(stack.z_um, 1.0 + np.arange(5) * 0.2)
    assert np.isclose(stack.pixel_um, 0.4)


def test_ome_zarr_sharded_with_uneven_heights(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    group.attrs.update({**ngff("0.5"), "lee": {"z_um": [5, 4, 3.5, 2, 1]}})
    array = group.create_array("0", shape=U8.shape, chunks=(1, 12, 16), shards=(5, 24, 32), dtype="uint8")
    array[:] = U8
    stack = open_stack(tmp_path / "a.zarr")
    same(stack, U8)
    assert stack.z_um.tolist() == [5, 4, 3.5, 2, 1]


def test_ome_zarr_without_units_is_taken_as_um_with_a_note(tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=U8, chunks=(1, 24, 31))
    scale = {"type": "scale", "scale": [0.4, 0.5, 0.5]}
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": name, "type": "space"} for name in "zyx"],
            "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
        }
    ]
    stack = open_stack(tmp_path / "a.zarr")
    same(stack, U8)
    assert np.allclose(stack.z_um, 0.4 * np.arange(5))
    assert stack.pixel_um == 0.5
    for key in ("z_um_source", "pixel_um_source"):
        assert stack.metadata[key] == "OME-Zarr scale, unit not stated, taken as µm"


def test_plain_zarr_array(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "b.zarr", shape=U8.shape, chunks=(1, 24, 31), dtype="uint8")[:] = U8
    same(opened(tmp_path / "b.zarr"), U8)


def test_given_values_beat_the_file(tmp_path: Path) -> None:
    write_ome(tmp_path / "a.ome.tif", PhysicalSizeX=0.4, PhysicalSizeZ=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stack = open_stack(tmp_path / "a.ome.tif", z_um=[4, 3, 2, 1, 0], pixel_um=0.5)
    assert stack.z_um.tolist() == [4, 3, 2, 1, 0]
    assert stack.pixel_um == 0.5
