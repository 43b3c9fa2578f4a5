"""`lee reconstruct`: a stack becomes a measured surface."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lee.cli.options import PATH, overwrite_option, progress_bar, threads_option, um
from lee.cli.target import shape, target_of
from lee.errors import InputError

if TYPE_CHECKING:
    from lee.cli.target import Wanted
    from lee.surfaces.surface import Surface


_SHOWN_REJECTED = 5


@click.command(no_args_is_help=True)
@click.argument("stack", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@click.option("--z-step-um", type=um, help="Frame k lies at k times this height.")
@click.option("--z-csv", type=PATH, metavar="CSV", help="Height of every frame; header frame,z_um.")
@click.option("--pixel-um", type=um, help="Pixel size; else what the stack says.")
@click.option(
    "--target",
    "wanted",
    type=shape,
    help="What is looked at, in px: disk:25, ellipse:20x40 (height x width), rectangle:20x40@30 (turned by "
    "30 degrees), or auto, which estimates it from the sharpest frame.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute.",
)
@click.option(
    "--focus",
    type=click.Choice(["variance", "wavelet"]),
    default="variance",
    show_default=True,
    help="Focus measure.",
)
@click.option(
    "--depth-of-field-um",
    type=um,
    help="Width of the focus curve at half its height; else measured on the stack.",
)
@click.option("--no-drift", is_flag=True, help="Do not correct lateral drift inside the scan.")
@click.option("--keep-frames", is_flag=True, help="Do not reject frames ruined by debris or flashes.")
@threads_option
@overwrite_option
def reconstruct(
    stack: Path,
    output: Path,
    z_step_um: float | None,
    z_csv: Path | None,
    pixel_um: float | None,
    wanted: "Wanted | None",
    device: str,
    focus: Any,
    depth_of_field_um: float | None,
    no_drift: bool,
    keep_frames: bool,
    threads: int,
    overwrite: bool,
) -> None:
    """Measure the surface in STACK and write it as a folder.

    STACK is a folder of images (PNG, TIFF, JPEG, BMP), a multi-page TIFF, OME-TIFF, ImageJ stack, OME-Zarr,
    or a .npy file. The folder holds height, filled height, standard deviation and refocused image as TIFF, a
    textured 3D model, a preview, and surface.json with all there is to know about them.

    \b
    Example:
      lee reconstruct scan.ome.tif -o surface
      lee reconstruct frames/ -o surface --z-step-um 0.2 --pixel-um 0.1
    """  # noqa: D301  click wants the character itself
    from lee.reconstruction.reconstruct import reconstruct as measure
    from lee.reconstruction.refocuser import ReconstructParams
    from lee.stacks.stack import open_stack
    from lee.storage.atomic import try_new_folder
    from lee.surfaces.surface import FILES

    if z_step_um is not None and z_csv is not None:
        raise click.UsageError("--z-step-um and --z-csv are both given: give one of them")
    begun = time.perf_counter()
    with open_stack(stack, z_step_um=z_step_um, z_um=z_csv, pixel_um=pixel_um) as frames:
        try_new_folder(output, overwrite=overwrite, known=FILES)
        target = None if wanted is None else target_of(wanted, frames)
        params = ReconstructParams(
            focus=focus,
            drift=not no_drift,
            reject_frames=not keep_frames,
            depth_of_field_um=depth_of_field_um,
            threads=threads,
        )
        with progress_bar(stack.name) as progress:
            surface = measure(frames, target=target, params=params, device=device, progress=progress)
        if not surface.valid.any():
            raise InputError(
                f"{stack}: nothing comes into focus, so nothing is written: check that the frames show "
                "texture and that the scan passes through the surface"
            )
        surface.save(output, overwrite=overwrite)
        click.echo(_summary(surface, len(frames), output, time.perf_counter() - begun))


def _where(device: dict[str, str]) -> str:
    if device["kind"] == "cuda":
        return f"the CUDA device {device['name']}"
    return f"the processor ({device['name']})"


def _summary(surface: "Surface", frames: int, output: Path, seconds: float) -> str:
    import numpy as np

    rows, columns = surface.shape
    lines = [
        f"{output}: {columns} x {rows} px, {surface.coverage:.1%} measured, "
        f"from {frames} frames in {seconds:.1f} s, on {_where(surface.metadata['device'])}"
    ]
    if surface.valid.any():
        low, high = np.nanpercentile(surface.height_um, (0.5, 99.5))
        sigma = np.nanmedian(surface.height_sigma_um)
        lines.append(f"height {low:.2f} to {high:.2f} um, standard deviation {sigma:.3f} um (median)")
    reasons = surface.metadata.get("not_measured_px", {})
    lost = [f"{count / surface.valid.size:.1%} {reason}" for reason, count in reasons.items() if count]
    lines += [f"not measured: {', '.join(lost)}"] if lost else []
    rejected = surface.metadata.get("rejected_frames", [])
    lines += [f"rejected frame {frame['frame']}: {frame['reason']}" for frame in rejected[:_SHOWN_REJECTED]]
    if len(rejected) > _SHOWN_REJECTED:
        lines.append(f"and {len(rejected) - _SHOWN_REJECTED} more, listed in surface.json")
    return "\n".join(lines)
