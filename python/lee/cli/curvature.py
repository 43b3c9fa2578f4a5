"""`lee curvature`: how a measured surface is curved."""

import math
from pathlib import Path
from typing import Literal

import click

from lee.cli.options import PATH, overwrite_option, pixel_of_map_option, scale_option, threads_option


@click.command(no_args_is_help=True)
@click.argument("surface", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@scale_option(", by a Gaussian of this standard deviation or a fit that is as noisy")
@click.option(
    "--family",
    type=click.Choice(["savgol", "gaussian"]),
    default="savgol",
    show_default=True,
    help="Smoothing: quartic least-squares fits, or a Gaussian.",
)
@click.option(
    "--noise-correlation-px",
    type=click.FloatRange(min=0),
    metavar="PX",
    help="Correlation length of the height errors: that of white noise smoothed by this Gaussian; by default "
    "estimated.",
)
@pixel_of_map_option
@threads_option
@overwrite_option
def curvature(
    surface: Path,
    output: Path,
    scale_um: float | Literal["auto"],
    family: Literal["savgol", "gaussian"],
    noise_correlation_px: float | None,
    pixel_um: float | None,
    threads: int,
    overwrite: bool,
) -> None:
    """Measure mean, Gaussian and principal curvatures of SURFACE and write them as a folder.

    SURFACE is a folder that `lee reconstruct` wrote, or a height map in µm as TIFF. A trench is positive, a
    peak negative. The folder holds a float32 TIFF of each curvature and, if the surface has standard
    deviations, of each curvature's standard deviation; a preview; and curvature.json with the scale and the
    noise for which it was chosen.

    \b
    Example:
      lee curvature surface -o curvature
      lee curvature surface -o curvature --scale-um 3 --family gaussian
    """  # noqa: D301  click wants the character itself
    import numpy as np

    from lee.figures.curvature_folder import save_curvature
    from lee.surfaces.curvature import curvature as measure
    from lee.surfaces.surface import Surface

    heights = Surface.load(surface, pixel_um=pixel_um)
    curved = measure(
        heights,
        scale_um=scale_um,
        family=family,
        noise_correlation_px=noise_correlation_px,
        threads=threads,
    )
    save_curvature(curved, output, overwrite=overwrite, metadata={"surface": str(surface)})
    rows, columns = curved.mean_per_um.shape
    covered = np.isfinite(curved.mean_per_um)
    chosen = " (chosen)" if scale_um == "auto" else ""
    click.echo(
        f"{output}: {columns} × {rows} px, {100 * covered.mean():.1f} % measured, "
        f"scale {curved.scale_um:.3g} µm{chosen}"
    )
    if curved.noise_um is not None and curved.noise_correlation_px is not None:
        length = curved.noise_correlation_px
        kind = f"correlated over {length:.2g} px" if length else "white"
        click.echo(f"noise of the heights {curved.noise_um:.2g} µm, {kind}")
    if covered.any():
        low, high = np.nanpercentile(curved.mean_per_um, (2.5, 97.5))
        shown = f"mean curvature {low:.3g} to {high:.3g} per µm (95 % of the field)"
        sigma = curved.mean_sigma_per_um
        middle = math.nan if sigma is None else float(np.nanmedian(sigma))
        click.echo(shown + (f", standard deviation {middle:.2g} (median)" if math.isfinite(middle) else ""))
