"""`lee twin compare`: measured growth rates beside computed ones, at the same current."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.cli.options import PATH, overwrite_option
from lee.cli.twin.options import map_or_number

if TYPE_CHECKING:
    from lee.twin.comparison.compare import Comparison
    from lee.twin.comparison.inversion import Inversion
    from lee.twin.results.folder import SolutionMaps


@click.command(no_args_is_help=True)
@click.argument("solution", type=PATH)
@click.argument("measured", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@click.option("--sigma", metavar="TIF|NM/S", help="Standard deviation of the measured rates.")
@click.option(
    "--time-s", type=click.FloatRange(min=0), metavar="S",
    help="Time at which a single map was measured; by default the solution's last time.",
)  # fmt: skip
@click.option(
    "--window-share", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True,
    help="Current density in the microscope's window over the cell's, as `lee twin window` computes it.",
)  # fmt: skip
@click.option("--regions", type=PATH, metavar="JSON",
              help="Regions to compare; by default trenches and protrusions are found.")  # fmt: skip
@click.option(
    "--explain", type=click.Choice(["efficiency", "exchange-current", "nothing"]), default="efficiency",
    show_default=True, help="Map to be found that would explain the measured rates.",
)  # fmt: skip
@overwrite_option
def compare(
    solution: Path,
    measured: Path,
    output: Path,
    sigma: str | None,
    time_s: float | None,
    window_share: float,
    regions: Path | None,
    explain: str,
    overwrite: bool,
) -> None:
    """Compare MEASURED growth rates with the computed ones of SOLUTION.

    SOLUTION is a folder that `lee twin solve` or `grow` wrote. MEASURED is a map of rates in nm/s as TIFF on
    the same pixels, or the folder of a run that `lee series` has analysed: of it, all scans within the
    solution's times are taken. Computed rates along the normal are turned into rates of height. A map of
    efficiency, or of exchange current, that would explain the rates needs their standard deviation; the
    latter solves the twin several times.

    \b
    Example:
      lee twin compare environment rate.tif -o compared --sigma 2
      lee twin compare grown run -o compared --window-share 0.94 --explain nothing
    """  # noqa: D301
    from lee.series.options import load_regions
    from lee.storage.atomic import try_new_folder
    from lee.twin.comparison.compare import compare as compare_rates
    from lee.twin.comparison.compare import regions_by_relief
    from lee.twin.comparison.folder import FILES, save_comparison
    from lee.twin.results.folder import load_maps

    try_new_folder(output, overwrite=overwrite, known=FILES)
    computed = load_maps(solution)
    rates = _measured(measured, sigma, time_s, computed)
    if regions is None:
        places = regions_by_relief(computed)
    else:
        places = load_regions(regions, computed.height_um.shape[1:], computed.pixel_um)
    found = compare_rates(
        computed, rates.nm_per_s, sigma_nm_per_s=rates.sigma_nm_per_s, times_s=rates.times_s,
        regions=places, window=window_share,
    )  # fmt: skip
    for note in found.notes:
        click.echo(note)
    efficiency = exchange = None
    if explain != "nothing" and rates.sigma_nm_per_s is None:
        click.echo("no standard deviations were given: no map is sought that would explain the rates")
    elif explain == "efficiency":
        from lee.twin.comparison.explanation import explain_by_efficiency

        efficiency = explain_by_efficiency(computed, found)
    elif explain == "exchange-current":
        exchange = _exchange_current(computed, found)
    for inversion in (efficiency, exchange):
        for note in inversion.notes if inversion is not None else ():
            click.echo(f"{explain}: {note}")
    save_comparison(
        found, output, efficiency=efficiency, exchange_current=exchange, overwrite=overwrite,
        metadata={"solution": str(solution), "measured": str(measured), "window_share": window_share},
    )  # fmt: skip
    for row in found.statistics.to_dict(orient="records"):
        click.echo(
            f"t = {row['time_s']:g} s: measured {row['measured_mean']:.3g}, computed "
            f"{row['computed_mean']:.3g} nm/s; bias {row['bias']:+.3g}{_interval(row, 'bias')}, "
            f"rms {row['rms']:.3g}; correlation {row['correlation']:.2f}{_interval(row, 'correlation')}, "
            f"slope {row['slope']:.2f}{_interval(row, 'slope')}"
        )
    if found.statistics["slope_low"].isna().any():
        click.echo("no intervals: the field holds fewer than 8 independent blocks")
    click.echo(f"{output}: look at {output / 'comparison.png'}")


def _interval(row: Mapping[Hashable, float], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f" ({low:.3g} to {high:.3g})" if low == low else ""


class _Rates(NamedTuple):
    """Measured growth rates, their standard deviations, and when they were measured."""

    nm_per_s: NDArray[np.float32]
    sigma_nm_per_s: ArrayLike | None
    times_s: ArrayLike | None


def _measured(measured: Path, sigma: str | None, time_s: float | None, computed: "SolutionMaps") -> _Rates:
    """Read measured rates from a map or a run."""
    from lee.errors import InputError
    from lee.series.map_store import MAPS_ZARR, open_maps, read_times
    from lee.storage.map_tiff import read_map
    from lee.twin.comparison.explanation import times_within

    if not measured.is_dir():
        rates, pixel_um = read_map(measured)
        if pixel_um is not None and abs(pixel_um / computed.pixel_um - 1) > 1e-3:
            raise InputError(
                f"{measured} has pixels of {pixel_um:g} µm, the solution {computed.pixel_um:g} µm: "
                "give a map on the same pixels"
            )
        return _Rates(rates, map_or_number(sigma, rates.shape), time_s)
    place = measured / "series" / MAPS_ZARR
    if not place.is_dir():
        raise InputError(f"{measured} holds no {place.relative_to(measured)}: run `lee series` on it first")
    maps = open_maps(place)
    times = read_times(place)
    k = times_within(computed.times_s, times)
    if not k.size:
        raise InputError(
            f"{measured}: no scan within the solution's {computed.times_s[0]:g} to "
            f"{computed.times_s[-1]:g} s: solve for the run's times"
        )
    return _Rates(maps["rate_nm_per_s"][k], maps["rate_sigma_nm_per_s"][k], times[k])


def _exchange_current(computed: "SolutionMaps", found: "Comparison") -> "Inversion":
    """Invert for the exchange current on the mesh, and from the level, that the solution was made with."""
    from lee.twin import MeshSize
    from lee.twin.comparison.explanation import explain_by_exchange_current

    rows, columns = computed.height_um.shape[1:]
    kept = computed.metadata
    mesh = MeshSize.of(
        (rows, columns),
        kept.get("columns"),
        layers=kept.get("layers"),
        first_um=kept.get("first_um"),
        smooth_um=kept.get("smooth_um"),
    )
    start = map_or_number(kept.get("exchange_current"), (rows, columns))
    return explain_by_exchange_current(
        computed,
        found,
        mesh=mesh,
        start_a_per_m2=start if isinstance(start, float) else computed.cell.exchange_current_a_per_m2,
        progress=lambda done, chi2: click.echo(f"solve {done}: squared misfit {chi2:.3g} per pixel"),
    )
