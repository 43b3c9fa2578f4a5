"""A small, fast rig behind a page: what is seen rises at a known rate, and may be too bright."""

import json
import time
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection

import numpy as np

from lee.devices.protocols import CameraSettings
from lee.devices.scan_plan import ScanPlan
from lee.devices.virtual.hardware.carriage import PERFECT
from lee.devices.virtual.hardware.frame_bank import FrameBank, quick_bank
from lee.devices.virtual.hardware.rig import virtual_rig
from lee.rig.live import LiveServer, Session
from lee.rig.record import RunPlan

FRAMES_PER_S, STEP_UM = 200.0, 0.4
SETTINGS = CameraSettings(exposure_s=0.001, frames_per_s=FRAMES_PER_S)
RELIEF_UM = 10.0


class RisingBank:
    """What another bank shows, raised more and more."""

    def __init__(self, bank: FrameBank, nm_per_s: float) -> None:
        self._bank, self._nm_per_s, self._begun_s = bank, nm_per_s, time.monotonic()
        self.shape, self.bit_depth = bank.shape, bank.bit_depth

    def image(self, z_um, region=None):
        risen_um = self._nm_per_s * 1e-3 * (time.monotonic() - self._begun_s)
        return self._bank.image(z_um - risen_um, region)


def bright_bank(shape):
    """A bank of which a tenth is white."""
    bank = quick_bank(shape, relief_um=RELIEF_UM)
    frames = np.stack([bank.image(z) for z in bank.z_um])
    frames[:, : shape[0] // 5, : shape[1] // 2] = 255
    return FrameBank(frames, bank.z_um)


def rig_and_plan(bank, faults, frames_per_s):
    rig = virtual_rig(bank or quick_bank((64, 80), relief_um=RELIEF_UM), faults=faults, mechanics=PERFECT)
    rig.camera.configure(SETTINGS)
    plan = ScanPlan.of_um(
        998.0,
        1012.0,
        step_um=STEP_UM,
        counts_per_um=rig.stage.counts_per_um,
        frames_per_s=frames_per_s,
        lead_um=4.0,
    )
    return rig, plan


@contextmanager
def served(
    folder, bank=None, *, faults=None, duration_s=60.0, token=None, frames_per_s=FRAMES_PER_S, triggered=True
):
    """Give the server of a rig at rest; what still runs at the end is stopped."""
    rig, plan = rig_and_plan(bank, faults, frames_per_s)
    server = LiveServer("127.0.0.1", 0, token)
    with rig:
        settings = replace(SETTINGS, frames_per_s=frames_per_s, triggered=triggered)
        run = RunPlan(folder, plan, settings, 0.25, duration_s, plan.seconds)
        session = Session(rig, run)
        server.begin(session)
        try:
            yield server
        finally:
            session.abort()
            session.close()
            server.end()


def ask(server, path, method="GET", **headers):
    """Ask as the page does; headers given as None are left out."""
    own = f"127.0.0.1:{server.port}"
    sent = {"Host": own} | ({"Origin": f"http://{own}"} if method == "POST" else {})
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.body = answer.read()
    connection.close()
    return answer


def state_of(server):
    return json.loads(ask(server, "/state").body)


def wait_for(server, fits, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not fits(state := state_of(server)):
        assert time.monotonic() < deadline, {k: v for k, v in state.items() if k != "surfaces"}
        time.sleep(0.05)
    return state
