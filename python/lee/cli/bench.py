"""`lee bench`: how fast this machine measures."""

import click

from lee.cli.options import threads_option


@click.command()
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True, help="Timed runs each.")
@threads_option
def bench(runs: int, threads: int) -> None:
    """Time the kernels on this machine and print a table.

    Speed stands beside the machine's memory-copy rate of the same run. The comparison with OpenCV is `make
    bench` in the source tree.

    \b
    Example:
      lee bench --runs 3
    """  # noqa: D301  click wants the character itself
    from lee.rig.throughput import table

    for line in table(runs=runs, threads=threads):
        click.echo(line)
