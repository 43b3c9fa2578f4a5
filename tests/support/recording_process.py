"""A process that records scans without end and prints on stdout which of them are safe; made to be killed."""

import sys
from pathlib import Path

from lee.recording import SegmentWriter, account
from tests.support.recorded_scan import PERIOD_S, header_of, image_of

SHAPE = (256, 300)
PULSES = 12


def main(folder):
    images = [image_of(k, shape=SHAPE) for k in range(PULSES)]
    ids = list(range(PULSES))
    times = [k * PERIOD_S for k in ids]
    placed = account(ids, times, pulses_planned=PULSES, frames_per_s=80.0)
    for number in range(10**6):
        path = Path(folder) / f"scan_{number:06}.raw"
        with SegmentWriter(path, header_of(PULSES, shape=SHAPE, notes={"number": number})) as writer:
            for k in ids:
                image = images[(k + number) % PULSES]
                writer.append(image, frame_id=k, timestamp_s=times[k], z_um=writer.header.plan.z_um[k])
            writer.finish(placed.ledger)
        print(path.name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
