"""A file with several times is a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from lee.devices.virtual import growing_electrode, render_run
from lee.errors import InputError
from lee.runs.reconstruct import reconstruct_run
from lee.runs.run import open_run
from lee.stacks.stack import open_stack

VALUES = 100 * np.arange(3)[:, None, None] + 10 * np.arange(2)[None, :, None] + np.arange(5)
TCZ = np.broadcast_to(VALUES[..., None, None], (3, 2, 5, 6, 7)).astype(np.uint16)


def ome(path: Path, **metadata: Any) -> Path:
    tifffile.imwrite(path, TCZ, ome=True, metadata={"axes": "TCZYX", "PhysicalSizeZ": 0.5, **metadata})
    return path


def zarr_image(path: Path, unit: str | None, interval: float) -> Path:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("0", data=TCZ, chunks=(1, 1, 5, 6, 7))
    axes = [{"name": "t", "type": "time", **({"unit": unit} if unit else {})}]
    axes += [{"name": name, "type": "space"} for name in "czyx"]
    scale = [{"type": "scale", "scale": [interval, 1, 0.5, 1, 1]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": datasets}]
    return path


def test_every_time_is_a_scan(tmp_path: Path) -> None:
    run = open_run(ome(tmp_path / "a.ome.tif"), interval_s=20, pixel_um=1, channel=1)
    assert run.times_s.tolist() == [0, 20, 40]
    assert run.names == ["a.ome.tif, time 0", "a.ome.tif, time 1", "a.ome.tif, time 2"]
    assert run.path == tmp_path / "a_run"
    assert not run.path.exists()
    with run.open_scan(2) as stack:
        assert [int(frame[0, 0]) for frame in stack] == [210, 211, 212, 213, 214]
        np.testing.assert_allclose(stack.z_um, 0.5 * np.arange(5))


def planes(times: list[float], unit: str) -> dict[str, Any]:
    each = [t + 0.1 * k for t in times for k in range(10)]
    return {"DeltaT": each, "DeltaTUnit": [unit] * 30}


@pytest.mark.parametrize(
    ("metadata", "times"),
    [
        ({"Plane": planes([5, 12, 30], "s")}, [0, 7, 25]),
        ({"Plane": planes([5000, 12000, 30000], "ms")}, [0, 7, 25]),
        ({"TimeIncrement": 0.5, "TimeIncrementUnit": "min"}, [0, 30, 60]),
    ],
)
def test_times_that_an_ome_tiff_states(tmp_path: Path, metadata: dict[str, Any], times: list[float]) -> None:
    path = ome(tmp_path / "a.ome.tif", **metadata)
    assert open_run(path).times_s == pytest.approx(times)
    assert open_run(path, interval_s=1).times_s.tolist() == [0, 1, 2]


def test_times_of_imagej_and_zarr(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        TCZ.transpose(0, 2, 1, 3, 4),
        imagej=True,
        metadata={"axes": "TZCYX", "finterval": 2.5},
    )
    assert open_run(tmp_path / "a.tif").times_s.tolist() == [0, 2.5, 5]
    assert open_run(zarr_image(tmp_path / "a.zarr", "minute", 0.5)).times_s.tolist() == [0, 30, 60]
    with pytest.raises(InputError, match="does not state when its 3 scans began; give --interval-s"):
        open_run(zarr_image(tmp_path / "b.zarr", None, 1))


def test_what_is_no_run(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", TCZ[0, 0], ome=True, metadata={"axes": "ZYX"})
    with pytest.raises(InputError, match=r"a.ome.tif: holds one scan, a run needs several times"):
        open_run(tmp_path / "a.ome.tif")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(InputError, match=r"notes.txt: is not a stack; give"):
        open_run(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="its times are the scans of the run; omit time"):
        open_run(ome(tmp_path / "b.ome.tif"), interval_s=1, time=1)
    with pytest.raises(InputError, match="interval_s is -1; give the seconds"):
        open_run(tmp_path / "b.ome.tif", interval_s=-1)


def test_its_surfaces_are_measured_beside_it(tmp_path: Path) -> None:
    render_run(tmp_path / "rendered", growing_electrode((64, 64), 0.4, 1, relief_um=3.0), scans=2)
    rendered = open_run(tmp_path / "rendered")
    stacks = [rendered.open_scan(k) for k in range(2)]
    frames = np.stack([np.stack(list(stack)) for stack in stacks])
    path = tmp_path / "times.ome.tif"
    tifffile.imwrite(path, frames, ome=True, metadata={"axes": "TZYX"})
    run = open_run(path, interval_s=10, z_um=None, z_step_um=float(np.diff(stacks[0].z_um)[0]), pixel_um=0.4)
    store = reconstruct_run(run, workers=1)
    assert (tmp_path / "times_run" / "surfaces.zarr").is_dir()
    assert store.reasons == {}
    assert list(store.scans) == ["times.ome.tif, time 0", "times.ome.tif, time 1"]
    alone = open_stack(path, time=1, z_step_um=float(np.diff(stacks[0].z_um)[0]), pixel_um=0.4)
    np.testing.assert_array_equal(np.stack(list(alone)), frames[1])
    assert np.nanmedian(store.read(1)) > np.nanmedian(store.read(0))


def test_surfaces_of_two_channels_are_not_mixed(tmp_path: Path) -> None:
    render_run(tmp_path / "run", growing_electrode((64, 64), 0.4, 1, relief_um=3.0), scans=2)
    reconstruct_run(open_run(tmp_path / "run", channel=0), workers=1)
    reconstruct_run(open_run(tmp_path / "run", channel=0), workers=1)
    with pytest.raises(InputError, match="was begun with channel 0, now it is None; give the same"):
        reconstruct_run(open_run(tmp_path / "run"), workers=1)
