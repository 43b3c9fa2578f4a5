"""The vendor's PySpin, and no other package of that name: its shared system, and its nodes by name."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, cast

from lee.devices.faults import DeviceLost
from lee.devices.found_camera import FoundCamera
from lee.devices.spinnaker.pyspin import CameraList, CameraPtr, Node, NodeMap, PySpin, System
from lee.errors import InputError, MissingDependency, reason_of

WHERE = "get the camera vendor's wheel (Teledyne's Spinnaker SDK for Python), or take driver = \"aravis\""
_NAMESAKE = (
    "camera: the PySpin installed here shows spinning bars and drives no camera; "
    f"pip uninstall PySpin, and {WHERE}"
)
# Names that every version of the vendor's package has.
_VENDORS_OWN = ("System", "CameraPtr", "SpinnakerException", "CEnumerationPtr")
# Errors of the library itself, and a node's own timeout: such a camera does not answer.
_LOST = (*range(-1999, -1000), -2007)
_TIMEOUT = -1011
_HELD_BY_ANOTHER = (-1004, -1005, -1022)


def vendors_own() -> PySpin:
    """Import the vendor's PySpin.

    Raises
    ------
    MissingDependency
        If there is none, it cannot be loaded, or it is the other package of that name.
    """
    try:
        module = importlib.import_module("PySpin")
    except ModuleNotFoundError as error:
        # Where the namesake was installed by "pip install PySpin", it is imported as pyspin.
        if error.name == "PySpin" and importlib.util.find_spec("pyspin") is not None:
            raise MissingDependency(_NAMESAKE) from error
        if error.name == "PySpin":
            raise MissingDependency(f"camera: PySpin is not installed; {WHERE}") from error
        raise MissingDependency(f"camera: PySpin needs {error.name}; {WHERE}") from error
    except Exception as error:  # libraries of the vendor that do not fit fail in many ways
        reason = reason_of(error)
        raise MissingDependency(f"camera: PySpin cannot be loaded ({reason}); {WHERE}") from error
    if not all(hasattr(module, name) for name in _VENDORS_OWN):
        raise MissingDependency(_NAMESAKE)
    return cast(PySpin, module)


def timed_out(error: Exception) -> bool:
    """Whether an error of the library means that nothing came in time."""
    return getattr(error, "errorcode", 0) == _TIMEOUT


def message_of(error: Exception) -> str:
    """Return an error of the library in one line, and drop its traceback.

    That holds a pointer to the camera: while the error is kept, the system could not be released.
    """
    error.__traceback__ = None
    return reason_of(error)


def raise_meaning(error: Exception, what: str) -> NoReturn:
    """Raise the error of lee that an error of the library means.

    ``InputError`` where a node refuses a value or a command, ``DeviceLost`` for anything else.
    """
    reason = message_of(error)
    if getattr(error, "errorcode", -1001) in _LOST:
        raise DeviceLost(
            f"camera: it does not answer ({reason}); check its cable and open it again"
        ) from error
    raise InputError(f"camera: {what} is refused ({reason}); set what this camera can do") from error


class Spinnaker:
    """The library with its system, held while a camera is open.

    The system is one for the whole program: the last `release` of all releases it, and by then no pointer to
    a camera may be left.
    """

    _guard = threading.Lock()
    _held = 0

    def __init__(self) -> None:
        self.module = vendors_own()
        with Spinnaker._guard:
            try:
                self._system: System | None = self.module.System.GetInstance()
            except self.module.SpinnakerException as error:
                raise InputError(
                    f"camera: Spinnaker does not start ({message_of(error)}); {WHERE}"
                ) from error
            Spinnaker._held += 1

    def found(self) -> list[FoundCamera]:
        """Look which cameras there are."""
        with self._cameras() as cameras:
            return [self._described(cameras.GetByIndex(k)) for k in range(cameras.GetSize())]

    def opened(self, serial: str) -> CameraPtr:
        """Return the pointer of a camera, initialised; whoever takes it drops it before `release`.

        Raises
        ------
        InputError
            If another program holds it.
        DeviceLost
            If it does not answer.
        """
        with self._cameras() as cameras:
            camera = cameras.GetBySerial(serial)
            try:
                camera.Init()
            except self.module.SpinnakerException as error:
                del camera  # which this frame would keep as long as the error
                if getattr(error, "errorcode", 0) in _HELD_BY_ANOTHER:
                    message_of(error)
                    raise InputError(f"camera: another program controls {serial}; close that one") from error
                raise_meaning(error, "opening it")
            return camera

    def release(self) -> None:
        """Release the system; harmless when repeated."""
        with Spinnaker._guard:
            if self._system is None:
                return
            system, self._system = self._system, None
            Spinnaker._held -= 1
            if Spinnaker._held == 0:
                # A camera that was pulled out can leave something behind.
                with suppress(self.module.SpinnakerException):
                    system.ReleaseInstance()

    @contextmanager
    def _cameras(self) -> Iterator[CameraList]:
        assert self._system is not None
        cameras = self._system.GetCameras()
        try:
            yield cameras
        finally:
            cameras.Clear()

    def _described(self, camera: CameraPtr) -> FoundCamera:
        nodes = Nodes(self.module, camera.GetTLDeviceNodeMap())
        serial = nodes.text("DeviceSerialNumber")
        return FoundCamera(
            serial=serial,
            names=(serial,),
            vendor=nodes.text("DeviceVendorName"),
            model=nodes.text("DeviceModelName"),
            network="GigE" in nodes.text("DeviceType"),
        )


class Nodes:
    """The nodes of one of a camera's maps by their names.

    Setting raises ``InputError`` where a node refuses a value and ``DeviceLost`` where the camera does not
    answer. One that is not there, or not now, gives None and takes nothing.
    """

    def __init__(self, module: PySpin, node_map: NodeMap) -> None:
        self._module, self._map = module, node_map

    def text(self, name: str) -> str:
        """Return the value of a node of any kind, as text; "" where there is none."""
        node = self._node("CValuePtr", name)
        return str(node.ToString()) if node is not None else ""

    def number(self, name: str, *, fresh: bool = False) -> float | None:
        """Return a whole or real number; ``fresh``: from the camera, not from the library's cache."""
        node = self._numeric(name)
        if node is None:
            return None
        try:
            value = node.GetValue(False, True) if fresh else node.GetValue()
        except self._module.SpinnakerException as error:
            raise_meaning(error, name)
        return float(value)

    def bounds(self, name: str) -> tuple[float, float] | None:
        """Return the lowest and the highest value."""
        node = self._numeric(name)
        return None if node is None else (float(node.GetMin()), float(node.GetMax()))

    def step(self, name: str) -> int:
        """Return the step in which a whole number can be set."""
        node = self._node("CIntegerPtr", name)
        return max(1, int(node.GetInc())) if node is not None else 1

    def choices(self, name: str) -> list[str]:
        """Return what an enumeration can be set to now."""
        node = self._node("CEnumerationPtr", name)
        if node is None:
            return []
        entries = [self._module.CEnumEntryPtr(entry) for entry in node.GetEntries()]
        return [str(entry.GetSymbolic()) for entry in entries if self._module.IsReadable(entry)]

    def set_number(self, name: str, value: float) -> bool:
        """Set a whole number or a real one; False where the node takes none."""
        node = self._numeric(name)
        if node is None or not self._module.IsWritable(node):
            return False
        whole = isinstance(node, self._module.CIntegerPtr)
        self._set(name, node.SetValue, round(value) if whole else float(value))
        return True

    def set_switch(self, name: str, on: bool) -> bool:
        """Switch something on or off; return whether it is so then."""
        node = self._node("CBooleanPtr", name)
        if node is None:
            return False
        if bool(node.GetValue()) != on and self._module.IsWritable(node):
            self._set(name, node.SetValue, on)
        return bool(node.GetValue()) == on

    def choose(self, name: str, entry: str) -> bool:
        """Set an enumeration; False where it, or this entry of it, is not there."""
        if entry not in self.choices(name):
            return False
        node = self._node("CEnumerationPtr", name)
        assert node is not None
        if str(node.ToString()) == entry:
            return True
        if not self._module.IsWritable(node):
            return False
        chosen = self._module.CEnumEntryPtr(node.GetEntryByName(entry))
        self._set(name, node.SetIntValue, chosen.GetValue())
        return True

    def execute(self, name: str) -> bool:
        """Give a command; False where there is none of that name."""
        node = self._node("CCommandPtr", name)
        if node is None or not self._module.IsWritable(node):
            return False
        self._set(name, node.Execute)
        return True

    def _numeric(self, name: str) -> Node | None:
        """Return a number's node, a whole one's or a real one's."""
        node = self._map.GetNode(name)
        if not self._module.IsReadable(node):
            return None
        whole = node.GetPrincipalInterfaceType() == self._module.intfIInteger
        return self._module.CIntegerPtr(node) if whole else self._module.CFloatPtr(node)

    def _node(self, kind: str, name: str) -> Node | None:
        """Return a node by its kind of pointer; None where it is not there, or not now."""
        node: Node = getattr(self._module, kind)(self._map.GetNode(name))
        there = self._module.IsAvailable if kind == "CCommandPtr" else self._module.IsReadable
        return node if there(node) else None

    def _set(self, name: str, call: Callable[..., None], *value: float) -> None:
        try:
            call(*value)
        except self._module.SpinnakerException as error:
            raise_meaning(error, " = ".join([name, *map(str, value)]))
