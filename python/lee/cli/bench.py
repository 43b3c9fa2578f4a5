"""`lee bench`: the speed of the kernels on this machine."""

import click

from lee.cli.options import threads_option


@click.command()
@click.option(
    "--runs", type=click.IntRange(min=1), default=5, show_default=True, help="Timed runs of each kernel."
)
@threads_option
def bench(runs: int, threads: int) -> None:
    """Time the kernels on this machine and print a table.

    For comparison the table holds the memory-copy rate of the machine, measured in the same run. `make bench`
    in the source tree compares with OpenCV and other libraries.

    \b
    Example:
      lee bench --runs 3
    """  # noqa: D301  click wants the character itself
    from lee.reconstruction.throughput import table

    for line in table(runs=runs, threads=threads):
        click.echo(line)
