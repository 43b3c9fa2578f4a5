"""Which planes of a file with channels, times or positions are the z-stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lee.errors import InputError
from lee.stacks.internal_warnings import internal_warnings_hidden
from lee.stacks.reader import FrameSource, PlaneSet

# More than any scan has; a damaged or hostile header may state anything.
MAX_PLANES = 10**7
_OPTIONS = {"p": "position", "t": "time", "c": "channel"}
_AXIS_NAMES = {"z": "z", "t": "time", "c": "channel", "p": "position"}


@dataclass(frozen=True)
class Selection:
    """What the user chose; None where nothing.

    Attributes
    ----------
    channel, position : int or str
        Number, counted from 0, or the name that the file gives it.
    time : int
        Number, counted from 0.
    z_axis : str or int
        Axis along which the frames of the scan lie: z, t (time), c (channel) or p (position), or the number
        of an axis without a name.
    """

    channel: int | str | None = None
    time: int | str | None = None
    position: int | str | None = None
    z_axis: str | int | None = None

    def along(self, axis: str) -> int | str | None:
        """Return the choice along t, c or p."""
        return {"p": self.position, "t": self.time, "c": self.channel}.get(axis)


def select(opened: FrameSource | PlaneSet, selection: Selection, *, stepped: bool, where: str) -> FrameSource:
    """Return the one stack that was chosen of what a reader opened.

    Parameters
    ----------
    stepped : bool
        Whether the user gave heights: then one long axis is depth, even if it is called time.
    where : str
        The file, for messages.

    Raises
    ------
    InputError
        If more than one stack is left, or there is none of that number or name; the message lists what there
        is and the options that choose.
    """
    if isinstance(opened, FrameSource):
        alone = _Choice({"z": opened.shape[0]}, {}, where)
        alone.others(selection, alone.depth(selection, frozenset(), stepped=stepped))
        return opened
    if selection.position is not None and opened.axes.get("p", 1) > 1:
        opened.at_position(_Choice(opened.axes, opened.labels, where).index("p", selection.position))
    axes = opened.axes
    if max(axes.values(), default=0) > MAX_PLANES:
        raise InputError(
            f"{where}: states {max(axes.values())} planes along an axis, more than a scan has; it is "
            "damaged, copy it again"
        )
    chosen = _Choice(axes, opened.labels, where)
    depth = chosen.depth(selection, opened.scanned, stepped=stepped)
    fixed = chosen.others(selection, depth)
    with internal_warnings_hidden():
        source = opened.stack(depth, fixed)
    picked = {_AXIS_NAMES.get(axis, axis): index for axis, index in fixed.items() if axes[axis] > 1}
    if picked:
        source.metadata["selected"] = picked
    if depth not in ("z", None) and not depth.isdigit():
        source.metadata["z_axis"] = depth
    return source


class _Choice:
    """The axes of one file, and the choice among them."""

    def __init__(self, axes: dict[str, int], labels: Mapping[str, Sequence[str]], where: str) -> None:
        self._axes = axes
        self._labels = labels
        self._where = where
        self._long = [axis for axis, n in axes.items() if n > 1]

    def depth(self, selection: Selection, scanned: frozenset[str], *, stepped: bool) -> str | None:
        if selection.z_axis is not None:
            axis = str(selection.z_axis).strip().lower()
            if axis not in self._axes:
                raise InputError(
                    f"{self._where}: has no axis {selection.z_axis!r}: it holds {self._listed()}; "
                    f"give z_axis (--z-axis) as one of {', '.join(self._axes) or 'none'}"
                )
            return axis
        if not self._long:
            return next(iter(self._axes), None)
        if "z" in self._long:
            return "z"
        unnamed = [axis for axis in self._long if axis.isdigit()]
        if len(unnamed) == 1:
            return unnamed[0]
        open_axes = [axis for axis in self._long if selection.along(axis) is None]
        if not open_axes:
            return None
        if len(open_axes) == 1 and (open_axes[0] in scanned or (stepped and open_axes[0] == "t")):
            return open_axes[0]
        if unnamed:
            raise InputError(
                f"{self._where}: holds {self._listed()}, and does not name these axes; say which is z: "
                f"z_axis={' or '.join(unnamed)} (--z-axis), and the number along the other as channel, time "
                "or position (--channel, --time, --position)"
            )
        raise InputError(
            f"{self._where}: holds {self._listed()} and no z; if the scan lies along one of them, say so: "
            f"z_axis={' or '.join(repr(axis) for axis in self._long)} (--z-axis)"
        )

    def others(self, selection: Selection, depth: str | None) -> dict[str, int]:
        free = [
            name
            for axis, name in _OPTIONS.items()
            if axis not in self._axes and selection.along(axis) is not None
        ]
        fixed: dict[str, int] = {}
        missing: list[str] = []
        for axis, n in self._axes.items():
            if axis == depth:
                continue
            option = _OPTIONS.get(axis)
            if option is None and axis.isdigit() and n > 1 and free:
                option = free.pop(0)
            wanted = None if option is None else getattr(selection, option)
            if wanted is not None:
                fixed[axis] = self.index(axis, wanted)
            elif n == 1:
                fixed[axis] = 0
            elif option is not None:
                missing.append(f"{option} (--{option})")
            elif axis == "z":
                raise InputError(
                    f"{self._where}: holds {self._listed()}; the scan lies along z, omit z_axis (--z-axis)"
                )
            else:
                missing.append("channel, time or position")
        if depth in _OPTIONS and selection.along(depth) is not None:
            raise InputError(
                f"{self._where}: the scan lies along {_AXIS_NAMES[depth]}, so {_OPTIONS[depth]} cannot be "
                f"chosen; omit {_OPTIONS[depth]} (--{_OPTIONS[depth]}), or z_axis (--z-axis)"
            )
        if missing:
            raise InputError(
                f"{self._where}: holds {self._listed()}; one z-stack is measured at a time, give "
                f"{' and '.join(missing)}"
            )
        for name in free:
            wanted = getattr(selection, name)
            if wanted not in (0, "0"):
                raise InputError(
                    f"{self._where}: has no {name} {wanted!r}: it holds {self._listed()}; omit {name} "
                    f"(--{name})"
                )
        return fixed

    def index(self, axis: str, wanted: int | str) -> int:
        option = _OPTIONS.get(axis, axis)
        n, names = self._axes[axis], list(self._labels.get(axis, ()))
        if isinstance(wanted, str) and wanted in names:
            return names.index(wanted)
        try:
            index = int(wanted)
        except ValueError:
            index = -1
        if not 0 <= index < n:
            raise InputError(
                f"{self._where}: has no {option} {wanted!r}: it holds {self._listed()}; give {option} "
                f"(--{option}) from 0 to {n - 1}{' or a name' if names else ''}"
            )
        return index

    def _listed(self) -> str:
        parts = []
        for axis, n in self._axes.items():
            if n == 1 and len(self._axes) > 1:
                continue
            word = _AXIS_NAMES.get(axis)
            if axis == "z":
                parts.append(f"{n} plane{'s' * (n > 1)} of z")
            elif word is None:
                parts.append(f"{n} planes along axis {axis}")
            else:
                names = list(self._labels.get(axis, ()))[:8]
                shown = f" ({', '.join(f'{k}: {name}' for k, name in enumerate(names))})" if names else ""
                parts.append(f"{n} {word}{'s' * (n > 1)}{shown}")
        return ", ".join(parts) or "one plane"
