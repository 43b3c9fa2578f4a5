"""The connection to a Thorlabs controller through `thorlabs-apt-device`, made reliable enough for a stage.

The library is free software under the GPL and an extra of `lee`; it is imported when a stage is opened.
Added to it here: the controller's answers can be waited for; the reader survives bytes that are no message; a
port that fails is reported; the age of the status is known; commands leave within milliseconds.
"""

from __future__ import annotations

import atexit
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol, cast

from lee.devices.faults import DeviceLost
from lee.devices.thorlabs.port_lock import PortLock
from lee.errors import MissingDependency, install_extra

# As Windows names them; from COM10 on also with the prefix of a device.
_WINDOWS_PORT = re.compile(r"(\\\\\.\\)?COM\d+$", re.IGNORECASE)
HOST, USB = 0x01, 0x50
CHANNEL = 1
READ_INTERVAL_S = 0.002
ASK_AGAIN_S = 0.25
READ_BYTES = 1 << 16
# A message of the greatest length takes 23 ms; one that is not complete after this long is none.
MESSAGE_S = 0.06
# Silence counts only while the reader listens, so that a busy computer is not mistaken for a lost stage.
MAX_LISTENED_S = 0.05
# Beyond this, in watchdog times, the reader itself is assumed to hang.
DEAF_AFTER = 5.0
STATUS = ("mot_get_statusupdate", "mot_get_dcstatusupdate", "mot_move_completed", "mot_move_stopped")


class Message(Protocol):
    """A message of the controller; its other fields are those of its kind in the APT protocol."""

    msg: str

    def __getattr__(self, field: str) -> Any: ...


class Motor(Protocol):
    """The parts of the library's motor that are used here."""

    read_interval: float
    _unpacker: Any
    _port: Any
    _loop: Any
    _thread: threading.Thread
    _atexit: Callable[[], None]

    def __init__(self, connection: AptConnection, **options: object) -> None: ...

    def close(self) -> None:
        """Stop the motor, then close the port."""

    def _write(self, command_bytes: bytes) -> None: ...


@dataclass(frozen=True)
class StatusReport:
    """One status of the controller; ``number`` counts them, ``received_s`` is of `time.monotonic`."""

    number: int
    received_s: float
    position_counts: int
    moving: bool
    homing: bool
    homed: bool
    enabled: bool


def library() -> ModuleType:
    """Import the library; done only when a stage is opened.

    Raises
    ------
    MissingDependency
        If it is not installed.
    """
    try:
        import_module("serial.tools.list_ports")
        return import_module("thorlabs_apt_device")
    except ImportError as error:
        raise MissingDependency(
            f"stage: a Thorlabs stage needs {error.name}; {install_extra('rig')}"
        ) from error


def messages() -> ModuleType:
    """Return the library's functions that each build a message, named as in the APT protocol."""
    library()
    return import_module("thorlabs_apt_device.protocol")


def port_of(serial_number: str) -> str:
    """Find the serial port whose USB device has this serial number.

    Raises
    ------
    DeviceLost
        If there is none.
    """
    library()
    ports = import_module("serial.tools.list_ports").comports()
    # The driver of Windows adds the letter of the chip's channel.
    known = (serial_number, f"{serial_number}A")
    for port in ports:
        if port.serial_number in known:
            return str(port.device)
    seen = ", ".join(f"{port.device} ({port.serial_number or 'no number'})" for port in ports) or "none"
    raise DeviceLost(
        f"stage: no port has the serial number {serial_number} (ports: {seen}); is it plugged in and on?"
    )


def why_closed(port: str, error: OSError) -> str:
    """Return in one line why a port cannot be opened, and what to do about it there.

    pyserial quotes the refusals of Windows in its text, where a port that another program has open is denied.
    """
    failed = f"stage: {port} cannot be opened ({error})"
    if not _WINDOWS_PORT.match(port):
        return f"{failed}; is it plugged in, and yours?"
    if "PermissionError" in str(error):
        return f"{failed}; another program has it: close Kinesis or APT"
    return (
        f"{failed}; is it plugged in and on? If no COM port appears, tick 'Load VCP' for the APT USB device "
        "in the Device Manager (Advanced), and plug it in again"
    )


@cache
def _motor() -> type[Motor]:
    """Return the library's motor class, extended to pass messages and failures on to an `AptConnection`."""

    class ReportingMotor(library().APTDevice_Motor):  # type: ignore[misc]
        def __init__(self, connection: AptConnection, **options: object) -> None:
            self.connection = connection  # before the reader starts
            self._head, self._head_s = b"", 0.0
            super().__init__(**options)

        def _process_message(self, m: Message) -> None:
            self.connection.receive(m)
            super()._process_message(m)

        def _schedule_reads(self) -> None:
            if self.connection.lost:
                return
            self.connection.listen()
            try:
                self._resynchronise()
                super()._schedule_reads()
            except OSError as error:
                self.connection.lose(f"reading failed: {error}")
            except Exception:  # bytes that look like a message and are none; the library would read no more
                self.connection.unreadable += 1
                self._loop.call_later(self.read_interval, self._schedule_reads)

        def _resynchronise(self) -> None:
            """Take all bytes that came, and give up a message that does not become complete.

            The library reads a few bytes at a time, so that a burst of noise lasted seconds; and noise that
            looks like the head of a message would swallow the messages behind it.
            """
            unpacker, now = self._unpacker, time.monotonic()
            unpacker.buf += self._port.read(READ_BYTES)
            if unpacker.buf[:6] != self._head:
                self._head, self._head_s = unpacker.buf[:6], now
            elif len(unpacker.buf) >= 6 and now - self._head_s > MESSAGE_S:
                unpacker.buf = unpacker.buf[1:]
                self.connection.unreadable += 1

        def _schedule_updates(self) -> None:
            # One request at a time: a controller that answers slowly would never answer all.
            if self.connection.expects_status():
                super()._schedule_updates()
            else:
                self._loop.call_later(self.update_interval, self._schedule_updates)

        def _write(self, command_bytes: bytes) -> None:
            if self.connection.lost:
                return
            try:
                super()._write(command_bytes)
            except Exception as error:  # the port's own kinds differ between systems
                self.connection.lose(f"writing failed: {error}")

    return cast("type[Motor]", ReportingMotor)


class AptConnection:
    """An open connection to one controller.

    Parameters
    ----------
    port : str
        Name of the serial port.
    watchdog_s : float
        A controller that is silent for so long is lost.

    Raises
    ------
    DeviceLost
        If the port cannot be opened, or another program has it.
    """

    def __init__(self, port: str, *, watchdog_s: float) -> None:
        self.port = port
        self.watchdog_s = watchdog_s
        self.lost = ""
        self.unreadable = 0
        self._heard = threading.Condition()
        self._report: StatusReport | None = None
        self._answers: dict[str, Message] = {}
        self._silent_s = self._asked_s = 0.0
        self._listened_s = self._status_s = time.monotonic()
        endpoint = library().EndPoint.USB
        self._lock = PortLock(port)
        try:
            self._motor: Motor = _motor()(
                self,
                serial_port=port,
                home=False,  # the library's own default drives the stage a second after opening
                status_updates="polled",
                controller=endpoint,
                bays=(endpoint,),
                channels=(CHANNEL,),
            )
        except OSError as error:
            self._lock.release()
            raise DeviceLost(why_closed(port, error)) from error
        self._motor._unpacker.on_error = "continue"
        # A blocking read holds back every command for up to 100 ms.
        self._motor.read_interval = READ_INTERVAL_S
        self._motor._port.timeout = 0

    # --- called by the reader's thread ---

    def receive(self, message: Message) -> None:
        """Keep a message, and the status in it."""
        now = time.monotonic()
        with self._heard:
            self._answers[message.msg] = message
            if message.msg in STATUS and message.chan_ident == CHANNEL:  # another is noise
                motions = ("moving_forward", "moving_reverse", "jogging_forward", "jogging_reverse", "homing")
                self._report = StatusReport(
                    number=self._report.number + 1 if self._report else 1,
                    received_s=now,
                    position_counts=message.position,
                    moving=any(getattr(message, motion) for motion in motions),
                    homing=message.homing,
                    homed=message.homed,
                    enabled=message.channel_enabled,
                )
                self._status_s, self._silent_s, self._asked_s = now, 0.0, 0.0
            self._heard.notify_all()

    def listen(self) -> None:
        """Add the time since the last call to the silence."""
        now = time.monotonic()
        self._silent_s += min(now - self._listened_s, MAX_LISTENED_S)
        self._listened_s = now

    def expects_status(self) -> bool:
        """Whether the next status may be asked for: the last was answered, or is not awaited any more."""
        now = time.monotonic()
        if now - self._asked_s < ASK_AGAIN_S:
            return False
        self._asked_s = now
        return True

    def lose(self, why: str) -> None:
        """Keep why the port is lost."""
        with self._heard:
            self.lost = self.lost or why
            self._heard.notify_all()

    # --- called by the stage ---

    @property
    def age_s(self) -> float:
        """Time since the last status, s."""
        return time.monotonic() - self._status_s

    def check(self) -> None:
        """Raise ``DeviceLost`` where the port failed, or no status came for the watchdog's time."""
        if self.lost:
            raise DeviceLost(f"stage: {self.port} is lost ({self.lost}); plug it in and open it again")
        if self._silent_s > self.watchdog_s or self.age_s > DEAF_AFTER * self.watchdog_s:
            raise DeviceLost(
                f"stage: {self.port} has reported no status for {self.age_s:.1f} s; "
                "check its cable and its power"
            )

    def send(self, message: bytes) -> None:
        """Send a message; ``DeviceLost`` where the port failed."""
        loop = self._motor._loop
        if self.lost or loop is None:
            self.lose("it is closed")
            self.check()
        try:
            loop.call_soon_threadsafe(self._motor._write, message)
        except RuntimeError as error:
            self.lose(str(error))
            self.check()

    def ask(self, request: bytes, answer: str, *, timeout_s: float = 1.5) -> Message:
        """Send a request, again and again, until its answer comes."""
        deadline = time.monotonic() + timeout_s
        with self._heard:
            self._answers.pop(answer, None)
        while time.monotonic() < deadline:
            self.send(request)
            if self._wait(lambda: answer in self._answers or bool(self.lost), ASK_AGAIN_S):
                if self.lost:
                    self.check()
                return self._answers[answer]
        raise DeviceLost(
            f"stage: {self.port} does not answer within {timeout_s:g} s; is it a Thorlabs controller, and on?"
        )

    def answered(self, answer: str) -> bool:
        """Whether this message arrived since `forget` was last called for it."""
        return answer in self._answers

    def forget(self, answer: str) -> None:
        """Forget that this message arrived."""
        with self._heard:
            self._answers.pop(answer, None)

    def last(self) -> StatusReport | None:
        """Newest status, None before the first."""
        return self._report

    def next_report(self, after: int, *, timeout_s: float) -> StatusReport:
        """Wait for a status that is newer than the one of this number.

        Raises
        ------
        DeviceLost
            If none comes in time, or the watchdog's time has passed.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            self._wait(lambda: bool(self.lost) or self._newer(after), 0.02)
            report = self._report
            if report is not None and report.number > after and not self.lost:
                return report
            self.check()
            if time.monotonic() > deadline:
                raise DeviceLost(
                    f"stage: {self.port} reported no status within {timeout_s:g} s; check its cable"
                )

    def close(self) -> None:
        """Close the port and end the reader; harmless when repeated.  The library stops the motor first."""
        self._motor.close()
        self._motor._thread.join(timeout=2.0)
        self._lock.release()
        atexit.unregister(self._motor._atexit)
        self.lose("it is closed")

    def _newer(self, after: int) -> bool:
        return self._report is not None and self._report.number > after

    def _wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        with self._heard:
            return self._heard.wait_for(done, timeout_s)
