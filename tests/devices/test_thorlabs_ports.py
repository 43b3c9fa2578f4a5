"""Serial ports as Windows names and refuses them, in the words of pyserial."""

from types import SimpleNamespace

import pytest

from lee.devices.faults import DeviceLost
from lee.devices.thorlabs.apt import port_of, why_closed

SerialException = pytest.importorskip("serial").SerialException
pytest.importorskip("thorlabs_apt_device")


@pytest.mark.parametrize("port", ["COM3", r"\\.\COM12"])
def test_a_port_of_windows_says_who_has_it_or_how_it_appears(port):
    held = SerialException(f"could not open port {port!r}: PermissionError(13, 'Access is denied.', None, 5)")
    assert why_closed(port, held).endswith("; another program has it: close Kinesis or APT")
    absent = SerialException(f"could not open port {port!r}: FileNotFoundError(2, 'No such file', None, 2)")
    assert "tick 'Load VCP' for the APT USB device" in why_closed(port, absent)
    assert "Kinesis" not in why_closed("/dev/ttyUSB0", held)


def test_the_number_is_found_as_windows_states_it(monkeypatch):
    ports = [
        SimpleNamespace(device="COM4", serial_number=None),
        SimpleNamespace(device="COM7", serial_number="26001234A"),
    ]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)
    assert port_of("26001234") == "COM7"
    with pytest.raises(DeviceLost, match=r"number 2600123 \(ports: COM4 \(no number\), COM7 \(26001234A\)\)"):
        port_of("2600123")
