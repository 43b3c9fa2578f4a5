"""`lee rig` as programs of their own, with a stage on a pseudo-terminal and a virtual camera."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

# A fast one, whole without a controller.
VIRTUAL_RIG = """
[camera]
driver = "virtual"
sensor_px = [64, 80]
frames_per_s = 200.0
exposure_s = 0.001
[stage]
driver = "virtual"
lowest_um = 900.0
highest_um = 1100.0
"""
CONFIG = """
[camera]
driver = "virtual"
sensor_px = [32, 40]
frames_per_s = 100.0
exposure_s = 0.001
triggered = false
[stage]
driver = "thorlabs"
port = "{port}"
lowest_um = 0.0
highest_um = 2000.0
"""
ROUND = (
    "--start-um",
    "950",
    "--end-um",
    "990",
    "--step-um",
    "0.2",
    "--pixel-um",
    "0.25",
    "--duration-s",
    "60",
)


def rig_file(folder, controller):
    path = folder / "rig.toml"
    path.write_text(CONFIG.format(port=controller.port))
    return path


@contextmanager
def command(*words, **options):
    """Give a running `lee rig`; what still runs at the end is killed."""
    given = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "start_new_session": True,
        **options,
    }
    one = subprocess.Popen([sys.executable, "-m", "lee", "rig", *map(str, words)], **given)
    try:
        yield one
    finally:
        with suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
        one.wait()
        for pipe in (one.stdout, one.stderr):
            if pipe:
                pipe.close()


def recording(config, folder, *more, **options):
    return command("record", config, "-o", folder, *ROUND, *more, **options)


def wait_until(fits, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while not fits():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)
