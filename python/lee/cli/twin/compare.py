"""`lee twin compare` and `lee twin window`: measured rates beside computed ones, at the same current."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from lee.cli.options import PATH, overwrite_option
from lee.cli.twin.options import cell_of, cell_option, length_option

_REGIONS = 6  # of each kind


@click.command(no_args_is_help=True)
@click.argument("solution", type=PATH)
@click.argument("measured", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@click.option("--sigma", metavar="TIF|NM/S", help="Standard deviation of the measured rates.")
@click.option(
    "--time-s", type=click.FloatRange(min=0), metavar="S",
    help="When a single map was measured; by default the solution's last time.",
)  # fmt: skip
@click.option(
    "--window-share", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True,
    help="Current density in the microscope's window over the cell's, as `lee twin window` computes it.",
)  # fmt: skip
@click.option("--regions", type=PATH, metavar="JSON",
              help="Regions to follow; by default trenches and protrusions are found.")  # fmt: skip
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
    """Hold MEASURED growth rates against the computed ones of SOLUTION.

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
    from lee.surfaces.curvature import curvature
    from lee.surfaces.regions import find_regions
    from lee.twin.comparison.compare import compare as hold
    from lee.twin.comparison.folder import FILES, save_comparison
    from lee.twin.results.folder import load_maps

    try_new_folder(output, overwrite=overwrite, known=FILES)
    computed = load_maps(solution)
    rates, deviations, times = _measured(measured, sigma, time_s, computed)
    shape = computed.height_um.shape[1:]
    if regions is not None:
        places = load_regions(regions, shape, computed.pixel_um)
    else:
        bent = curvature(computed.height_um[-1], pixel_um=computed.pixel_um)
        places = find_regions(bent.mean_per_um, pixel_um=computed.pixel_um, most=_REGIONS)
    options: dict[str, Any] = {"sigma_nm_per_s": deviations, "times_s": times, "window": window_share}
    found = hold(computed, rates, regions=places, **options)
    known = deviations is not None
    if explain != "nothing" and not known:
        click.echo("no standard deviations were given: no map is sought that would explain the rates")
    for note in found.notes:
        click.echo(note)
    efficiency = exchange = None
    if known and explain == "efficiency":
        efficiency = _efficiency(computed, rates, found, options)
    elif known and explain == "exchange-current":
        exchange = _exchange_current(computed, found)
    for explained in (efficiency, exchange):
        for note in explained.notes if explained is not None else ():
            click.echo(f"{explain}: {note}")
    save_comparison(
        found, output, efficiency=efficiency, exchange_current=exchange, overwrite=overwrite,
        metadata={"solution": str(solution), "measured": str(measured), "window_share": window_share},
    )  # fmt: skip
    for row in found.statistics.itertuples():
        click.echo(
            f"t = {row.time_s:g} s: measured {row.measured_mean:.3g}, computed {row.computed_mean:.3g} nm/s; "
            f"bias {row.bias:+.3g}{_between(row, 'bias')}, rms {row.rms:.3g}; "
            f"correlation {row.correlation:.2f}{_between(row, 'correlation')}, "
            f"slope {row.slope:.2f}{_between(row, 'slope')}"
        )
    if found.statistics["slope_low"].isna().any():
        click.echo("no intervals where the field holds fewer than 8 places that differ independently")
    click.echo(f"{output}: look at {output / 'comparison.png'}")


def _between(row: Any, name: str) -> str:
    low, high = getattr(row, f"{name}_low"), getattr(row, f"{name}_high")
    return f" ({low:.3g} to {high:.3g})" if low == low else ""


def _measured(measured: Path, sigma: str | None, time_s: float | None, computed: Any) -> tuple[Any, Any, Any]:
    """Read measured rates, their standard deviations and times, from a map or a run."""
    import numpy as np
    import zarr

    from lee.cli.twin.options import map_or_number
    from lee.errors import InputError
    from lee.series.map_store import open_maps
    from lee.series.steps import MAPS_ZARR
    from lee.storage.map_tiff import read_map

    if not measured.is_dir():
        rates, pixel_um = read_map(measured)
        if pixel_um is not None and abs(pixel_um / computed.pixel_um - 1) > 1e-3:
            raise InputError(
                f"{measured} has pixels of {pixel_um:g} um, the solution {computed.pixel_um:g} um: "
                "give a map on the same pixels"
            )
        return rates, map_or_number(sigma, rates.shape), time_s
    place = measured / "series" / MAPS_ZARR
    if not place.is_dir():
        raise InputError(f"{measured} holds no {place.relative_to(measured)}: run `lee series` on it first")
    maps = open_maps(place)
    group: Any = zarr.open_group(str(place), mode="r")
    times = np.asarray(group["time_s"][:], np.float64)
    reach = (times >= computed.times_s[0] - 1e-6) & (times <= computed.times_s[-1] + 1e-6)
    if not reach.any():
        raise InputError(
            f"{measured}: no scan within the solution's {computed.times_s[0]:g} to "
            f"{computed.times_s[-1]:g} s: solve for the run's times"
        )
    k = np.flatnonzero(reach)
    return maps["rate_nm_per_s"][k], maps["rate_sigma_nm_per_s"][k], times[k]


def _efficiency(computed: Any, rates: Any, found: Any, options: dict[str, Any]) -> Any:
    from lee.twin.comparison.compare import at_full_efficiency
    from lee.twin.comparison.compare import compare as hold
    from lee.twin.comparison.inversion import efficiency_map

    full = hold(at_full_efficiency(computed), rates, **options)
    return efficiency_map(
        full.computed_nm_per_s[-1],
        found.measured_nm_per_s[-1],
        found.sigma_nm_per_s[-1],
        pixel_um=found.pixel_um,
    )


def _exchange_current(computed: Any, found: Any) -> Any:
    from lee.cli.twin.options import map_or_number, mesh_of
    from lee.twin import solve
    from lee.twin.comparison.compare import at_full_efficiency
    from lee.twin.comparison.inversion import exchange_current_map

    shape = computed.height_um.shape[1:]
    kept = computed.metadata
    mesh = mesh_of(shape, kept.get("columns"), kept.get("layers") or 20, kept.get("smooth_um"))
    start = map_or_number(kept.get("exchange_current"), shape)
    uniform = start if isinstance(start, float) else computed.cell.exchange_current_a_per_m2

    def rate(exchange: Any) -> Any:
        solved = solve(
            computed.height_um[-1], pixel_um=computed.pixel_um, cell=computed.cell, kind=computed.kind,
            times_s=[float(found.times_s[-1])], exchange_current=exchange, mesh=mesh, tell=None,
        )  # fmt: skip
        full = at_full_efficiency(
            replace(computed, current_density_ma_per_cm2=solved.current_density_ma_per_cm2)
        )
        return full.rate_nm_per_s[-1] * computed.area_ratio[-1]

    return exchange_current_map(
        rate,
        found.measured_nm_per_s[-1],
        found.sigma_nm_per_s[-1],
        pixel_um=found.pixel_um,
        start_a_per_m2=uniform,
        progress=lambda done, chi2: click.echo(f"solve {done}: squared misfit {chi2:.3g} a pixel"),
    )


@click.command()
@cell_option
@length_option("--gap-um", 2000.0, "Between the electrodes.")
@length_option("--anode-um", 10_000.0, "Width of the anode from a wall or plane of symmetry.")
@length_option("--extension-um", 500.0, "How far the cathode reaches past the anode's edge.")
@click.option("--beyond-um", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="Electrolyte beyond the cathode's end; 0: a wall.")  # fmt: skip
@click.option("--above-um", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="Electrolyte above the anode's face; 0: an insulating plane.")  # fmt: skip
@click.option("--anode-back", type=click.Choice(["insulated", "active"]), default="insulated",
              show_default=True, help="Where there is electrolyte above it.")  # fmt: skip
@click.option("--window-um", type=(float, float), default=(200.0, 400.0), show_default=True,
              metavar="FROM TO", help="What the microscope sees, from the anode's edge.")  # fmt: skip
@click.option("--kind", type=click.Choice(["secondary", "primary"]), default="secondary", show_default=True)
@click.option("-o", "--output", type=PATH, metavar="PNG", help="Draw the current along the cathode.")
def window(
    cell: Path | None,
    gap_um: float,
    anode_um: float,
    extension_um: float,
    beyond_um: float,
    above_um: float,
    anode_back: Any,
    window_um: tuple[float, float],
    kind: Any,
    output: Path | None,
) -> None:
    """Compute how much lower the current is in the microscope's window than under the anode.

    \b
    Example:
      lee twin window --gap-um 2000 --extension-um 500
      lee twin window --extension-um 1000 --above-um 3000 --anode-back active -o window.png
    """  # noqa: D301
    from lee.twin.comparison.window import CellSection, window_current

    section = CellSection(
        gap_um=gap_um, anode_um=anode_um, extension_um=extension_um, beyond_um=beyond_um, above_um=above_um,
        anode_back=anode_back, window_um=window_um,
    )  # fmt: skip
    found = window_current(cell_of(cell), section, kind=kind)
    for said in found.assumptions:
        click.echo(said)
    click.echo(
        f"window {found.window_ma_per_cm2:.1f}, under the anode {found.under_ma_per_cm2:.1f} mA/cm2: "
        f"{found.loss:.1%} lower; of the cell's current density --window-share {found.share:.4f}"
    )
    if output is not None:
        from lee.storage.atomic import new_file
        from lee.twin.results.figures import window_profile

        with new_file(output) as partial:
            window_profile(found, window_um).savefig(partial, format="png")
        click.echo(f"wrote {output}")
