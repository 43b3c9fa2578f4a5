"""`lee curvature`: how a measured surface is curved."""

import math
from pathlib import Path
from typing import Any

import click

from lee.cli.options import PATH, overwrite_option, threads_option, um


def um_or_auto(text: str) -> Any:
    """Parse a length, or ``auto``."""
    return text if text == "auto" else um(text)


@click.command(no_args_is_help=True)
@click.argument("surface", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@click.option(
    "--scale-um",
    type=um_or_auto,
    default="auto",
    show_default=True,
    metavar="UM|auto",
    help="What is smaller is smoothed away: the standard deviation of a Gaussian, or of one as noisy.",
)
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
    help="Errors of the heights are like white noise smoothed by this Gaussian; by default estimated.",
)
@click.option("--pixel-um", type=um, help="Pixel size, for a single height map that does not tell it.")
@threads_option
@overwrite_option
def curvature(
    surface: Path,
    output: Path,
    scale_um: Any,
    family: Any,
    noise_correlation_px: float | None,
    pixel_um: float | None,
    threads: int,
    overwrite: bool,
) -> None:
    """Measure mean, Gaussian and principal curvatures of SURFACE and write them as a folder.

    SURFACE is a folder that `lee reconstruct` wrote, or a height map in um as TIFF. A trench is positive, a
    peak negative. The folder holds a float32 TIFF for each curvature and, where the surface knows its
    uncertainty, its standard deviations; a preview; and curvature.json with the scale that was used and the
    noise it was chosen for.

    \b
    Example:
      lee curvature surface -o bent
      lee curvature surface -o bent --scale-um 3 --family gaussian
    """  # noqa: D301  click wants the character itself
    import numpy as np

    from lee.figures.curvature_folder import save_curvature
    from lee.surfaces.curvature import curvature as measure
    from lee.surfaces.surface import Surface

    heights = Surface.load(surface, pixel_um=pixel_um)
    known = np.isfinite(heights.height_sigma_um).any()
    bent = measure(
        heights.height_um,
        pixel_um=heights.pixel_um,
        scale_um=scale_um,
        family=family,
        height_sigma_um=heights.height_sigma_um if known else None,
        noise_correlation_px=noise_correlation_px,
        threads=threads,
    )
    save_curvature(bent, output, overwrite=overwrite, metadata={"surface": str(surface)})
    rows, columns = bent.mean_per_um.shape
    covered = np.isfinite(bent.mean_per_um)
    chosen = " (chosen)" if scale_um == "auto" else ""
    click.echo(
        f"{output}: {columns} x {rows} px, {covered.mean():.1%} measured, "
        f"scale {bent.scale_um:.3g} um{chosen}"
    )
    if bent.noise_um is not None and bent.noise_correlation_px is not None:
        alike = f"alike over {bent.noise_correlation_px:.2g} px" if bent.noise_correlation_px else "white"
        click.echo(f"noise of the heights {bent.noise_um:.2g} um, {alike}")
    if covered.any():
        low, high = np.nanpercentile(bent.mean_per_um, (2.5, 97.5))
        said = f"mean curvature {low:.3g} to {high:.3g} per um (95 % of the field)"
        sigma = bent.mean_sigma_per_um
        middle = math.nan if sigma is None else float(np.nanmedian(sigma))
        click.echo(said + (f", standard deviation {middle:.2g} (median)" if math.isfinite(middle) else ""))
