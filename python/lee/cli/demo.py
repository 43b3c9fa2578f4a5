"""`lee demo`: rendered scans with known truth, measured."""

from pathlib import Path

import click

from lee.cli.options import PATH, progress_bar, threads_option


@click.command()
@click.option(
    "-o", "--output", type=PATH, default="demo", show_default=True, metavar="DIR", help="Folder to write."
)
@click.option("--quick", is_flag=True, help="Smaller electrodes and fewer scans: the whole demo in seconds.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of surface and noise."
)
@threads_option
def demo(output: Path, quick: bool, seed: int, threads: int) -> None:
    """Measure rendered scans and print their errors.

    The scene is an electrode of known height: 20 µm of relief, fading texture, gas bubbles, glints, a flake
    that floats by, a flash, and lateral drift. A second electrode grows by a known law and is scanned
    repeatedly while it is plated and then stripped. On a third one nuclei appear, which are found and sized.
    If NGSolve is installed, the digital twin is solved over the first surface, and follows the second
    electrode with the current that was recorded. DIR gets the scan (scan.ome.tif), the measured surface, the
    true heights, error maps, the runs (run, with the results of `lee series` and `lee twin follow`;
    nucleation), the particles (nuclei, as from `lee particles`), the environment (twin, as from
    `lee twin solve`) and report.html. An older demo in DIR is replaced.

    \b
    Example:
      lee demo -o demo
      lee demo --quick
    """  # noqa: D301  click wants the character itself
    from lee.demo.demo import run_demo

    with progress_bar("demo") as progress:
        result = run_demo(output, quick=quick, seed=seed, threads=threads, progress=progress)
    click.echo(result.text())
    click.echo(
        f"\nreport: {output / 'report.html'}    pictures: {output / 'surface' / 'preview.png'}, "
        f"{output / 'error_maps.png'}\nthe run's own report: {output / 'run' / 'series' / 'report.html'}"
        f"    the particles': {output / 'nuclei' / 'report.html'}"
    )
