"""Speed of the refocuser on a CUDA device beside the same measure composed from CuPy calls, in the same run.

The same work: a whole scan with its frames in the device's memory, pushed until the last maximum is found,
`close` included; "with fusion" also combines the windows into one height map, which only ours does.
"streamed" takes the frames from host memory; "of copy %" is its rate relative to copying the same bytes from
pinned memory, measured in the same run. A scan repeats the rendered frames several times while z goes on; the
set-up is included. Gpx/s are pixels of frames per second.

"memory %" counts each frame read once, and the state read and written once for each group of frames, as a
share of what the memory's clocks allow. "operations %" counts additions, multiplications, comparisons,
divisions and roots as one each, windows as separable sums without reuse between pixels, as a share of what
the multiprocessors' clocks allow; `operations` has the list.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench import cuda_timing
from bench.peers.cupy_refocuser import CupyRefocuser
from bench.scenes.timing_frames import noise, scan
from bench.table import Cell, lines
from lee import _core

SHAPES, QUICK = ((2048, 2448), (1200, 1200)), (40, 56)
FRAMES, QUICK_FRAMES = 121, 9
TIMES_OVER = 3
DEPTH_OF_FIELD_UM = 3.5
WINDOW_PX = DETAIL_PX = 5
GROUPS_A_DEPTH = 4.4


def groups_of(z_um: list[float]) -> int:
    """Return how many groups of frames are averaged."""
    groups, first = 0, -np.inf
    for z in z_um:
        if abs(z - first) > DEPTH_OF_FIELD_UM / GROUPS_A_DEPTH * (1 - 1e-6):
            groups, first = groups + 1, z
    return groups


def operations(frames: int, groups: int) -> float:
    """Return the operations a pixel of the whole scan."""
    detail = 1 + (2 * (DETAIL_PX - 1) + 1) + 4  # mean of the group; its local mean; normalised difference
    gradient = 2 * 5  # two separable Sobel filters
    tensor = 2 + 4 + 3  # sum of the neighbours; products; trace, difference, shear
    windows = 3 * 2 * (WINDOW_PX - 1)
    focus = 8  # the eigenvalues, and their share
    maximum = 5  # against four groups and the smaller of the two maxima
    # Level k has a pixel for 4**k; halving takes four operations for each entry of the tensor.
    levels = (windows + focus + maximum) * 85 / 64 + 3 * 4 * 21 / 64
    return frames + groups * (detail + gradient + tensor + levels)


def core(shape: tuple[int, int]) -> Any:
    return _core.DeviceRefocuser(
        *shape,
        depth_of_field_um=DEPTH_OF_FIELD_UM,
        window_y_px=WINDOW_PX,
        window_x_px=WINDOW_PX,
        detail_px=DETAIL_PX,
        threads=0,
        stream=int(cuda_timing.cupy().cuda.get_current_stream().ptr),
    )


class Scan:
    """Frames (Z, H, W) on the host and on the device, and what is timed on them."""

    def __init__(self, frames: list[tuple[np.ndarray, float]]) -> None:
        self.host = np.stack([frame for frame, _ in frames])
        drawn = np.array([z for _, z in frames])
        step = drawn[-1] - drawn[0] + drawn[1] - drawn[0]
        self.z_um = [(drawn + k * step).tolist() for k in range(TIMES_OVER)]
        self.device = cuda_timing.cupy().asarray(self.host)
        self.state_bytes = 0.0

    def pushed(self) -> Any:
        refocuser = core(self.host.shape[1:])
        for z_um in self.z_um:
            refocuser.push_stack(self.device, z_um)
        refocuser.close()
        self.state_bytes = refocuser.state_bytes_per_pixel
        return refocuser

    def finished(self) -> None:
        xp, shape = cuda_timing.cupy(), self.host.shape[1:]
        self.pushed().finish_into(*(xp.empty(shape, np.float32) for _ in range(3)))

    def streamed(self) -> None:
        refocuser = core(self.host.shape[1:])
        for z_um in self.z_um:
            for frame, z in zip(self.host, z_um, strict=True):
                refocuser.push(frame, z)
        refocuser.close()

    def composed(self) -> Callable[[], None] | None:
        xp, nd = cuda_timing.cupy(), cuda_timing.ndimage()
        if nd is None:
            return None

        def run() -> None:
            refocuser = CupyRefocuser(xp, nd, self.host.shape[1:], DEPTH_OF_FIELD_UM)
            for z_um in self.z_um:
                for k, z in enumerate(z_um):
                    refocuser.push(self.device[k], z)
            refocuser.close()

        return run


def row(content: str, frames: list[tuple[np.ndarray, float]], runs: int) -> dict[str, Cell]:
    on, taken = cuda_timing.card(), Scan(frames)
    pushed, whole, streamed, peer = cuda_timing.medians_ms(
        runs, taken.pushed, taken.finished, taken.streamed, taken.composed()
    )
    count = TIMES_OVER * len(frames)
    copy = cuda_timing.copy_to_device_ms(taken.host[0].nbytes, runs) * count
    groups, pixels = groups_of([z for z_um in taken.z_um for z in z_um]), taken.host[0].size
    moved = TIMES_OVER * taken.host.nbytes + 2 * taken.state_bytes * pixels * groups
    giga = count * pixels / 1e6
    return {
        "frames": f"{taken.host.shape[2]}x{taken.host.shape[1]} {content}",
        "Gpx/s": giga / pushed,
        "with fusion": giga / whole,
        "CuPy": giga / peer,
        "ratio": peer / pushed,
        "memory %": on.of_memory(moved, pushed),
        "operations %": on.of_floats(operations(count, groups) * pixels, pushed),
        "streamed": giga / streamed,
        "of copy %": 100 * copy / streamed,
        "copy GB/s": TIMES_OVER * taken.host.nbytes / copy / 1e6,
        "bytes/px": taken.state_bytes,
    }


def table(runs: int, *, quick: bool) -> None:
    """Print the table; noise is the hardest content, for its focus jumps about everywhere."""
    on = cuda_timing.card()
    count = QUICK_FRAMES if quick else FRAMES
    print(
        cuda_timing.heading(f"refocuser, {TIMES_OVER * count} frames of 8 bit, medians of {runs}; Gpx/s", on)
    )
    if cuda_timing.ndimage() is None:
        print(f"CuPy: {cuda_timing.ABSENT}")
    rows = []
    for shape in (QUICK,) if quick else SHAPES:
        for content, drawn in (("scan", scan(shape, count)), ("noise", noise(shape, count))):
            rows.append(row(content, list(drawn), runs))
    print(*lines(rows), sep="\n", flush=True)
