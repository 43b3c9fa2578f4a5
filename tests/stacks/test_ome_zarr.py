"""OME-Zarr beyond the plain image: versions of NGFF, zipped, collections, missing chunks."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import zarr

from lee.errors import InputError
from lee.stacks.stack import open_stack

FRAMES = np.random.default_rng(7).integers(1, 255, (6, 24, 32), dtype=np.uint8)


def group_of(path: Path, attributes: dict[str, Any], frames: np.ndarray = FRAMES, **layout: Any) -> Path:
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.attrs.update(attributes)
    shape = {"chunks": (1,) * (frames.ndim - 2) + (12, 16), **layout}
    group.create_array("0", shape=frames.shape, dtype=frames.dtype, **shape)[:] = frames
    return path


def scaled(transforms: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"datasets": [{"path": "0", "coordinateTransformations": transforms}], **more}


def axes(unit: str | None = "micrometer") -> list[dict[str, str]]:
    return [{"name": name, "type": "space", **({"unit": unit} if unit else {})} for name in "zyx"]


SCALE = {"type": "scale", "scale": [0.4, 0.5, 0.5]}
MOVE = {"type": "translation", "translation": [2.0, 0, 0]}


@pytest.mark.parametrize(
    "multiscale",
    [
        scaled([SCALE, MOVE], axes=axes()),
        scaled([{"type": "identity"}, SCALE, MOVE], coordinateSystems=[{"name": "physical", "axes": axes()}]),
        scaled(
            [{"type": "sequence", "transformations": [SCALE, MOVE]}], coordinateSystems=[{"axes": axes()}]
        ),
        scaled(
            [{"type": "scale", "scale": [4e-5, 5e-5, 5e-5]}, {**MOVE, "translation": [2e-4, 0, 0]}],
            axes=axes("cm"),
        ),
    ],
)
def test_versions_of_ngff(tmp_path: Path, multiscale: dict[str, Any]) -> None:
    stack = open_stack(
        group_of(tmp_path / "a.zarr", {"ome": {"version": "0.6", "multiscales": [multiscale]}})
    )
    np.testing.assert_array_equal(list(stack), FRAMES)
    np.testing.assert_allclose(stack.z_um, 2 + 0.4 * np.arange(6))
    assert stack.pixel_um == pytest.approx(0.5)


def test_a_scale_of_other_length_is_refused(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", shape=(5, 12, 16), dtype="uint8")
    for kind in ("scale", "translation"):
        steps = [{"type": kind, kind: [0.4]}]
        datasets = [{"path": "0", "coordinateTransformations": steps}]
        group.attrs["multiscales"] = [{"axes": list("zyx"), "datasets": datasets}]
        with pytest.raises(InputError, match=rf"states a {kind} of 1 numbers for 3 axes; save it again"):
            open_stack(tmp_path / "a.zarr")


def test_a_transformation_that_is_not_read_is_named(tmp_path: Path) -> None:
    rotated = scaled([{"type": "affine", "affine": [[1, 0, 0, 0]] * 3}], axes=axes())
    path = group_of(tmp_path / "a.zarr", {"multiscales": [rotated]})
    with pytest.raises(InputError, match="a coordinate transformation of the kind affine is not read"):
        open_stack(path)


@pytest.mark.parametrize("name", ["a.ozx", "a.zarr.zip"])
def test_a_zipped_image(tmp_path: Path, name: str) -> None:
    folder = group_of(tmp_path / "a.zarr", {"ome": {"multiscales": [scaled([SCALE], axes=axes())]}})
    with ZipFile(tmp_path / name, "w") as archive:
        for path in folder.rglob("*"):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stack = open_stack(tmp_path / name)
    np.testing.assert_array_equal(list(stack), FRAMES)
    np.testing.assert_allclose(stack.z_um, 0.4 * np.arange(6))
    stack.close()


def test_a_collection_is_positions(tmp_path: Path) -> None:
    root = tmp_path / "a.zarr"
    zarr.open_group(root, mode="w", zarr_format=3).attrs["ome"] = {"bioformats2raw.layout": 3}
    for k in range(2):
        attributes = {"ome": {"multiscales": [scaled([SCALE], axes=axes())]}}
        group_of(root / str(k), attributes, FRAMES if k == 0 else FRAMES[::-1])
    with pytest.raises(
        InputError, match=r"holds 2 positions, 6 planes of z; .* give position \(--position\)"
    ):
        open_stack(root)
    np.testing.assert_array_equal(list(open_stack(root, position=1)), FRAMES[::-1])


def test_a_plate_is_refused(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w").attrs["plate"] = {"wells": []}
    with pytest.raises(InputError, match="is a plate of many wells; give one image in it"):
        open_stack(tmp_path / "a.zarr")


def test_named_dimensions_of_a_plain_array(tmp_path: Path) -> None:
    both = np.stack([FRAMES, FRAMES[::-1]], axis=1)
    array = zarr.create_array(
        tmp_path / "a.zarr",
        shape=both.shape,
        chunks=(1, 1, 24, 32),
        dtype="uint8",
        dimension_names=list("zcyx"),
    )
    array[:] = both
    with pytest.raises(InputError, match=r"holds 6 planes of z, 2 channels; .* give channel"):
        open_stack(tmp_path / "a.zarr", z_step_um=1, pixel_um=1)
    stack = open_stack(tmp_path / "a.zarr", z_step_um=1, pixel_um=1, channel=1)
    np.testing.assert_array_equal(list(stack), FRAMES[::-1])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_missing_chunks_are_named(tmp_path: Path, zarr_format: int) -> None:
    path = tmp_path / "a.zarr"
    array = zarr.create_array(
        path, shape=FRAMES.shape, chunks=(1, 12, 16), dtype="uint8", zarr_format=zarr_format
    )
    array[:] = FRAMES
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_stack(path, z_step_um=1, pixel_um=1)
    chunks = sorted(
        file for file in path.rglob("*") if file.is_file() and not file.name.startswith((".", "z"))
    )
    assert len(chunks) == 24
    for chunk in [*chunks[8:16], chunks[20]]:
        chunk.unlink()
    with pytest.warns(UserWarning, match="missing") as said:
        open_stack(path, z_step_um=1, pixel_um=1)
    messages = [str(warning.message) for warning in said]
    assert "frames 2, 3 are without data, the chunks are missing" in messages[0]
    assert "frame 5 is lacking some chunks" in messages[1]
    for chunk in path.rglob("*"):
        if chunk.is_file() and not chunk.name.startswith((".", "z")):
            chunk.unlink()
    with pytest.raises(InputError, match="no chunk of its 6 frames is there; copy it again"):
        open_stack(path, z_step_um=1, pixel_um=1)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=FRAMES.shape, chunks=(1, 12, 16), shards=(2, 24, 32), dtype="uint8"
    )
    array[:4] = FRAMES[:4]
    with pytest.warns(UserWarning, match="frames 4, 5 are without data"):
        open_stack(tmp_path / "a.zarr", z_step_um=1, pixel_um=1)


@pytest.mark.parametrize("axis", [0, 2])
def test_a_shape_that_no_store_holds_is_refused(tmp_path: Path, axis: int) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), data=np.ones((5, 12, 14), np.uint8), chunks=(1, 12, 14))
    described = json.loads((tmp_path / "a.zarr/zarr.json").read_text())
    described["shape"][axis] = 99_999_999_999_999_999_999
    (tmp_path / "a.zarr/zarr.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match="99999999999999999999"):
        open_stack(tmp_path / "a.zarr", z_step_um=0.2)
