"""`lee reconstruct`: a stack becomes a measured surface."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lee.cli.options import PATH, overwrite_option, progress_bar
from lee.cli.reconstruct_options import ReconstructOptions, reconstruct_options
from lee.cli.target import target_of
from lee.errors import InputError

if TYPE_CHECKING:
    from lee.surfaces.provenance import ComputeDevice
    from lee.surfaces.surface import Surface


_SHOWN_REJECTED = 5


@click.command(no_args_is_help=True)
@click.argument("stack", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@reconstruct_options
@overwrite_option
def reconstruct(stack: Path, output: Path, how: ReconstructOptions, overwrite: bool) -> None:
    """Measure the surface in STACK and write it as a folder.

    STACK is a folder of images (PNG, TIFF, JPEG, BMP), a multi-page TIFF, OME-TIFF, ImageJ or
    Micro-Manager stack, OME-Zarr, or a .npy file. The folder written holds height, filled height, standard
    deviation and refocused image as TIFF, a textured 3D model, a preview, and surface.json with calibration,
    parameters and rejected frames.

    \b
    Example:
      lee reconstruct scan.ome.tif -o surface
      lee reconstruct frames/ -o surface --z-step-um 0.2 --pixel-um 0.1
    """  # noqa: D301  click wants the character itself
    from lee.reconstruction.parameters import ReconstructParams
    from lee.reconstruction.reconstruct import reconstruct as measure
    from lee.stacks.stack import open_stack
    from lee.storage.atomic import try_new_folder
    from lee.surfaces.surface import FILES

    begun = time.perf_counter()
    with open_stack(
        stack, z_step_um=how.z_step_um, z_um=how.z_csv, pixel_um=how.pixel_um, **how.for_stack()
    ) as frames:
        try_new_folder(output, overwrite=overwrite, known=FILES)
        target = None if how.target is None else target_of(how.target, frames)
        params = how.params(ReconstructParams())
        with progress_bar(stack.name) as progress:
            surface = measure(frames, target=target, params=params, device=how.device, progress=progress)
        if not surface.valid.any():
            raise InputError(
                f"{stack}: nothing comes into focus, so nothing is written: check that the frames show "
                "texture and that the scan passes through the surface"
            )
        surface.save(output, overwrite=overwrite)
        click.echo(_summary(surface, len(frames), output, time.perf_counter() - begun))


def _where(device: "ComputeDevice | None") -> str:
    if device is None:
        return "an unknown device"
    return f"the CUDA device {device.name}" if device.kind == "cuda" else f"the processor ({device.name})"


def _summary(surface: "Surface", frames: int, output: Path, seconds: float) -> str:
    import numpy as np

    rows, columns = surface.shape
    lines = [
        f"{output}: {columns} × {rows} px, {100 * surface.coverage:.1f} % measured, "
        f"from {frames} frames in {seconds:.1f} s, on {_where(surface.provenance.device)}"
    ]
    if surface.valid.any():
        low, high = np.nanpercentile(surface.height_um, (0.5, 99.5))
        sigma = np.nanmedian(surface.height_sigma_um)
        lines.append(f"height {low:.2f} to {high:.2f} µm, standard deviation {sigma:.3f} µm (median)")
    reasons = surface.provenance.not_measured_px
    lost = [
        f"{100 * count / surface.valid.size:.1f} % {reason}" for reason, count in reasons.items() if count
    ]
    lines += [f"not measured: {', '.join(lost)}"] if lost else []
    rejected = surface.provenance.rejected_frames
    lines += [f"rejected frame {frame.frame}: {frame.reason}" for frame in rejected[:_SHOWN_REJECTED]]
    if len(rejected) > _SHOWN_REJECTED:
        lines.append(f"and {len(rejected) - _SHOWN_REJECTED} more, listed in surface.json")
    return "\n".join(lines)
