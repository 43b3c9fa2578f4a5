"""From frames to growth, with all that is written on the way, in a folder: run as a program."""

import sys
from pathlib import Path

import numpy as np

from lee.cli import main
from lee.recording import SegmentReader
from lee.recording.in_progress import is_being_written
from lee.runs.run import open_run
from lee.series.analyse import reconstruct_run
from tests.support.blank_figures import undrawn
from tests.support.focal_stacks import focal_stack, hill
from tests.support.recorded_scan import image_of, record

SHAPE, PIXEL_UM = (48, 56), 0.25


def lee(*arguments: object) -> int:
    """Run a command line as this process would, its streams included."""
    sys.argv = ["lee", *map(str, arguments)]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    raise AssertionError("the command line did not exit")


def go(folder: Path) -> None:
    for k in range(3):
        _, frames, _ = focal_stack(SHAPE, 25, heights=hill(SHAPE) + 0.4 * k)
        (folder / "run").mkdir(exist_ok=True)
        np.save(folder / "run" / f"scan_{k}.npy", frames)
    surface = folder / "surface"
    scan = folder / "run" / "scan_0.npy"
    for more in ([], ["--overwrite"]):
        assert lee("reconstruct", scan, "-o", surface, "--z-step-um", 0.5, "--pixel-um", 0.25, *more) == 0
    assert lee("export", surface, folder / "surface.ply") == 0

    run = open_run(folder / "run", interval_s=10, z_step_um=0.5, pixel_um=PIXEL_UM)
    reconstruct_run(run, workers=1)
    assert lee("series", folder / "run", "--no-films", "--workers", 1, "--interval-s", 10, "--z-step-um", 0.5,
               "--pixel-um", 0.25) == 0  # fmt: skip

    raw = folder / "scan.raw"
    record(raw, 4)
    assert not is_being_written(raw)
    with SegmentReader(raw) as recorded:
        assert recorded.finished
        assert np.array_equal(recorded.read(2), image_of(2))
        assert recorded.verify() == []
    assert lee("reconstruct", scan, "-o", surface, "--z-step-um", 0.5, "--pixel-um", 0.25) == 1  # it is there
    print("µm² ± 1 → done")


if __name__ == "__main__":
    with undrawn():
        go(Path(sys.argv[1]))
