"""Aravis, the library for GenICam cameras, called through ctypes: no binding, no compiler.

It needs ``libaravis-0.8.so.0`` alone. A refusal becomes ``InputError``, a camera that does not answer
``DeviceLost``, both with the library's own reason in one line.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from lee.devices.faults import DeviceLost
from lee.errors import InputError, MissingDependency

ARAVIS, GOBJECT, GLIB = "libaravis-0.8.so.0", "libgobject-2.0.so.0", "libglib-2.0.so.0"
SUCCESS = 0
INCOMPLETE = (2, 3, 4, 5)  # timeout, missing packets, wrong packet id, size mismatch
PACKET_SOCKET_DISABLED = 1

_G_TYPE_INT = 6 << 2
# Not connected, transfer failed, timeout, not found, not the controller any more.
_LOST = (2, 4, 5, 6, 10)
_TYPES: dict[str, Any] = {
    "v": None,
    "p": ctypes.c_void_p,
    "s": ctypes.c_char_p,
    "i": ctypes.c_int,
    "u": ctypes.c_uint,
    "U": ctypes.c_uint32,
    "H": ctypes.c_uint16,
    "q": ctypes.c_int64,
    "Q": ctypes.c_uint64,
    "d": ctypes.c_double,
    "z": ctypes.c_size_t,
}
# Type of the result, types of the arguments, and ! for those that can end in a GError.
_ARAVIS_FUNCTIONS = {
    "arv_enable_interface": "v:s",
    "arv_update_device_list": "v:",
    "arv_get_n_devices": "u:",
    "arv_get_device_id": "s:u",
    "arv_get_device_physical_id": "s:u",
    "arv_get_device_address": "s:u",
    "arv_get_device_model": "s:u",
    "arv_get_device_serial_nbr": "s:u",
    "arv_get_device_protocol": "s:u",
    "arv_device_error_quark": "U:",
    "arv_device_read_register": "i:pQp!",
    "arv_gv_device_is_controller": "i:p",
    "arv_camera_new": "p:s!",
    "arv_camera_get_device": "p:p",
    "arv_camera_get_vendor_name": "s:p!",
    "arv_camera_get_model_name": "s:p!",
    "arv_camera_get_device_serial_number": "s:p!",
    "arv_camera_is_gv_device": "i:p",
    "arv_camera_gv_set_stream_options": "v:pi",
    "arv_camera_is_feature_available": "i:ps!",
    "arv_camera_is_enumeration_entry_available": "i:pss!",
    "arv_camera_dup_available_enumerations_as_strings": "p:psp!",
    "arv_camera_get_string": "s:ps!",
    "arv_camera_set_string": "v:pss!",
    "arv_camera_set_pixel_format_from_string": "v:ps!",
    "arv_camera_get_pixel_format_as_string": "s:p!",
    "arv_camera_get_sensor_size": "v:ppp!",
    "arv_camera_set_region": "v:piiii!",
    "arv_camera_get_region": "v:ppppp!",
    "arv_camera_get_width_increment": "i:p!",
    "arv_camera_get_height_increment": "i:p!",
    "arv_camera_get_x_offset_increment": "i:p!",
    "arv_camera_get_y_offset_increment": "i:p!",
    "arv_camera_set_exposure_time": "v:pd!",
    "arv_camera_get_exposure_time": "d:p!",
    "arv_camera_get_exposure_time_bounds": "v:ppp!",
    "arv_camera_is_gain_available": "i:p!",
    "arv_camera_set_gain": "v:pd!",
    "arv_camera_get_gain": "d:p!",
    "arv_camera_get_gain_bounds": "v:ppp!",
    "arv_camera_is_frame_rate_available": "i:p!",
    "arv_camera_set_frame_rate": "v:pd!",
    "arv_camera_get_frame_rate": "d:p!",
    "arv_camera_get_frame_rate_bounds": "v:ppp!",
    "arv_camera_set_trigger": "v:ps!",
    "arv_camera_clear_triggers": "v:p!",
    "arv_camera_software_trigger": "v:p!",
    "arv_camera_get_payload": "u:p!",
    "arv_camera_create_stream": "p:ppp!",
    "arv_camera_start_acquisition": "v:p!",
    "arv_camera_stop_acquisition": "v:p!",
    "arv_stream_push_buffer": "v:pp",
    "arv_stream_try_pop_buffer": "p:p",
    "arv_stream_timeout_pop_buffer": "p:pQ",
    "arv_stream_get_n_buffers": "v:ppp",
    "arv_stream_get_statistics": "v:pppp",
    "arv_gv_stream_get_port": "H:p",
    "arv_buffer_new_allocate": "p:z",
    "arv_buffer_get_status": "i:p",
    "arv_buffer_get_frame_id": "Q:p",
    "arv_buffer_set_frame_id": "v:pQ",
    "arv_buffer_get_timestamp": "Q:p",
    "arv_buffer_set_timestamp": "v:pQ",
    "arv_buffer_get_data": "p:pp",
    "arv_buffer_get_image_width": "i:p",
    "arv_buffer_get_image_height": "i:p",
    "arv_buffer_get_image_padding": "v:ppp",
    "arv_buffer_get_image_data": "p:pp",
}
_GOBJECT_FUNCTIONS = {
    "g_object_unref": "v:p",
    "g_object_set_property": "v:psp",
    "g_value_init": "p:pz",
    "g_value_set_int": "v:pi",
}
_GLIB_FUNCTIONS = {"g_free": "v:p", "g_error_free": "v:p"}


class _GError(ctypes.Structure):
    _fields_ = (("domain", ctypes.c_uint32), ("code", ctypes.c_int), ("message", ctypes.c_char_p))


class _GValue(ctypes.Structure):
    _fields_ = (("type", ctypes.c_size_t), ("data", ctypes.c_uint64 * 2))


class Library:
    """Aravis' functions by their names; ``library("arv_camera_new", b"Fake_1")``.

    Texts are bytes. A GError is raised: ``DeviceLost`` where the device does not answer, else ``InputError``.
    """

    def __init__(self) -> None:
        self._functions: dict[str, tuple[Any, bool]] = {}
        for name, functions in (
            (ARAVIS, _ARAVIS_FUNCTIONS),
            (GOBJECT, _GOBJECT_FUNCTIONS),
            (GLIB, _GLIB_FUNCTIONS),
        ):
            try:
                loaded = ctypes.CDLL(name)
                for function, signature in functions.items():
                    self._functions[function] = _declared(loaded, function, signature)
            except (OSError, AttributeError) as error:
                raise MissingDependency(
                    f"camera: Aravis cannot be loaded ({error}); install it (Debian: libaravis-0.8-0)"
                ) from error
        self._device_errors = self("arv_device_error_quark")

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Call a function."""
        function, fails = self._functions[name]
        if not fails:
            return function(*arguments)
        error = ctypes.POINTER(_GError)()
        result = function(*arguments, ctypes.byref(error))
        if error:
            self._raise(error)
        return result

    def _raise(self, error: Any) -> None:
        held = error.contents
        reason = " ".join((held.message or b"no reason given").decode(errors="replace").split())
        lost = held.domain == self._device_errors and held.code in _LOST
        self("g_error_free", error)
        if lost:
            raise DeviceLost(f"camera: it does not answer ({reason}); check its cable and open it again")
        raise InputError(f"camera: {reason}")

    def text(self, name: str, *arguments: Any) -> str:
        """Call a function that returns a text."""
        return str((self(name, *arguments) or b"").decode(errors="replace"))

    def ints(self, name: str, source: int, count: int) -> list[int]:
        """Call a function that gives so many ints by pointers."""
        values = [ctypes.c_int() for _ in range(count)]
        self(name, source, *map(ctypes.byref, values))
        return [value.value for value in values]

    def bounds(self, name: str, camera: int) -> tuple[float, float]:
        """Call a function that gives the lowest and the highest value."""
        low, high = ctypes.c_double(), ctypes.c_double()
        self(name, camera, ctypes.byref(low), ctypes.byref(high))
        return low.value, high.value

    def choices(self, camera: int, feature: str) -> list[str]:
        """Return the values that an enumeration can have."""
        count = ctypes.c_uint()
        name = "arv_camera_dup_available_enumerations_as_strings"
        held = self(name, camera, feature.encode(), ctypes.byref(count))
        if not held:
            return []
        with self._freed(held):
            texts = ctypes.cast(held, ctypes.POINTER(ctypes.c_char_p))
            return [(texts[k] or b"").decode(errors="replace") for k in range(count.value)]

    def set_property(self, instance: int, name: str, value: int) -> None:
        """Set a whole-number or enumeration property of an object."""
        held = _GValue()
        self("g_value_init", ctypes.byref(held), _G_TYPE_INT)
        self("g_value_set_int", ctypes.byref(held), value)
        self("g_object_set_property", instance, name.encode(), ctypes.byref(held))

    @contextmanager
    def _freed(self, pointer: int) -> Iterator[None]:
        try:
            yield
        finally:
            self("g_free", pointer)


def _declared(loaded: ctypes.CDLL, name: str, signature: str) -> tuple[Any, bool]:
    returned, taken = signature.split(":")
    fails = taken.endswith("!")
    function = getattr(loaded, name)
    function.restype = _TYPES[returned]
    function.argtypes = [_TYPES[kind] for kind in taken.rstrip("!")] + [ctypes.c_void_p] * fails
    return function, fails


@cache
def library() -> Library:
    """Load Aravis, once.

    Raises
    ------
    MissingDependency
        If it is not installed; the message names what to install.
    """
    return Library()


def version() -> str:
    """Version of the Aravis that is installed; "" where it does not report one."""
    try:
        loaded = ctypes.CDLL(ARAVIS)
        return ".".join(
            str(getattr(loaded, f"arv_get_{part}_version")()) for part in ("major", "minor", "micro")
        )
    except (OSError, AttributeError):
        return ""
