"""The drivers by the names that a rig's file has for them: those of lee, and those that other packages add.

Another package adds one by an entry point of the group ``lee.cameras`` or ``lee.stages``: its name is the
driver's, its value the driver's class.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from lee.devices.drivers import CameraDriver, Driver, StageDriver
from lee.errors import InputError, MissingDependency

D = TypeVar("D", bound=Driver)


class Registry(Generic[D]):
    """Drivers of one kind of device; each is imported when it is asked for.

    Parameters
    ----------
    kind : type
        Base class of its drivers.
    group : str
        Entry points that add to it.
    built_in : mapping
        Of a driver's name to ``module:class``; entry points cannot replace these.
    """

    def __init__(self, kind: type[D], group: str, built_in: Mapping[str, str]) -> None:
        self._kind, self._group = kind, group
        self._added: dict[str, type[D]] = {}
        self._known = {name: EntryPoint(name, place, group) for name, place in built_in.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all drivers, those of lee first."""
        return (*self._entries(), *self._added)

    def add(self, name: str, driver: type[D]) -> None:
        """Offer a driver in this process only.

        Raises
        ------
        InputError
            If there is one of that name already, or it is no driver of this kind.
        """
        if name in self.names:
            raise InputError(f"{self._group}: there is a driver {name!r} already; give yours another name")
        self._added[name] = self._checked(driver, name)

    def __getitem__(self, name: str) -> type[D]:
        """Import a driver.

        Raises
        ------
        InputError
            If there is none of that name.
        MissingDependency
            If the package that offers it cannot be imported.
        """
        if name in self._added:
            return self._added[name]
        entry = self._entries().get(name)
        if entry is None:
            raise InputError(
                f"{self._group}: there is no driver {name!r}; it is one of {', '.join(self.names)}"
            )
        try:
            driver = entry.load()
        except (ImportError, AttributeError) as error:
            raise MissingDependency(
                f"{self._group}: the driver {name!r} ({entry.value}) cannot be loaded ({error}); "
                "install it again, or remove the package that offers it"
            ) from error
        return self._checked(driver, f"{name} = {entry.value}")

    def _checked(self, driver: object, name: str) -> type[D]:
        if not (isinstance(driver, type) and issubclass(driver, self._kind)):
            raise InputError(
                f"{self._group}: {name} is not a {self._kind.__name__}; update the package that offers it"
            )
        return driver

    def _entries(self) -> dict[str, EntryPoint]:
        added = {entry.name: entry for entry in entry_points(group=self._group)}
        return {**self._known, **added, **self._known}


camera_drivers = Registry(
    CameraDriver,
    "lee.cameras",
    {
        "virtual": "lee.devices.virtual.hardware.driver:VirtualCameraDriver",
        "aravis": "lee.devices.aravis.driver:AravisDriver",
        "spinnaker": "lee.devices.spinnaker.driver:SpinnakerDriver",
        "mmcore": "lee.devices.mmcore.driver:MmcoreDriver",
    },
)
stage_drivers = Registry(
    StageDriver,
    "lee.stages",
    {
        "virtual": "lee.devices.virtual.hardware.driver:VirtualStageDriver",
        "thorlabs": "lee.devices.thorlabs.driver:ThorlabsDriver",
        "mmcore": "lee.devices.mmcore.driver:MmcoreStageDriver",
    },
)
