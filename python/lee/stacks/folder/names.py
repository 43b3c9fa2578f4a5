"""The names of a folder's images: whether they form one unbroken, unique, rightly ordered series.

Names are split into text and numbers. Files whose text differs from that of the others do not belong to the
series. Of the numbers, one counts the frames, or is their height; several that run through all combinations
are channels, times or positions.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.stacks.folder.numbers import Column, columns_of, missing_numbers, rolled_over, text_of

# "name (1)", "name - Copy", "Copy of name", as desktops call what was copied or downloaded twice.
_COPY = re.compile(
    r"^(?:copy of |kopie von |copie de )(?P<of>.+)$|"
    r"^(?P<base>.+?)(?:[ _]?\(\d+\)|[ _–-]*(?:copy|kopie|copie|copia)(?:[ _]?\(?\d+\)?)?)$",
    re.IGNORECASE,
)
_MIN_SERIES = 3
_SHOWN = 4


@dataclass
class FrameOrder:
    """The images of a folder in the order of the scan.

    Attributes
    ----------
    files : list of Path
    z_um : (Z,) float64, µm, or None
        Heights that the names state; `z_um_source` says so.
    uneven : str
        Why the frames are not one step apart; empty if they may be.
    notes : list of str
        Of what the user is to be warned.
    axes : dict of str to int
        Lengths of the axes, outermost first, where the names run through channels, times or positions too;
        `files` are in that order. Empty for one series.
    """

    files: list[Path]
    z_um: NDArray[np.float64] | None = None
    z_um_source: str = ""
    uneven: str = ""
    notes: list[str] = field(default_factory=list)
    axes: dict[str, int] = field(default_factory=dict)


def order_of(folder: Path, files: Sequence[Path]) -> FrameOrder:
    """Judge the names of a folder's images.

    Raises
    ------
    InputError
        If they are not one series: frames twice, several series, numbers that contradict each other.
    """
    if len(files) < 2:
        return FrameOrder(list(files))
    series, notes = _one_text(folder, files)
    if series is None:
        files = sorted(files, key=lambda path: path.name.casefold())
        _refuse_twice(folder, files, [path.stem.casefold() for path in files])
        note = (
            f"the names of its {len(files)} images are not numbered; they are taken in alphabetical order, "
            f"from {files[0].name} to {files[-1].name}"
        )
        return FrameOrder(files, notes=[note])
    columns = columns_of([path.stem for path in series])
    varying = [column for column in columns if column.varies]
    rows = list(zip(*(column.values for column in varying), strict=True)) or [()] * len(series)
    _refuse_twice(folder, series, rows)
    order = _by_counter(folder, series, varying)
    if order is None:
        order = _by_combinations(folder, series, varying, rows)
    order.notes[:0] = notes
    return order


def _one_text(folder: Path, files: Sequence[Path]) -> tuple[list[Path] | None, list[str]]:
    """Return the files that differ only in numbers, and notes of those left out; None if few have numbers."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        groups[text_of(path.stem)].append(path)
    ranked = sorted(groups.values(), key=lambda group: (-len(group), len(group[0].name)))
    main, others = ranked[0], [path for group in ranked[1:] for path in group]
    if len(main) < 2 or (len(main) < _MIN_SERIES and others):
        return None, []
    stems = {path.stem.casefold() for path in files}
    copies = [path for path in others if _is_copy(path.stem, stems)]
    copied = set(copies)
    rest = [path for path in others if path not in copied]
    large = [group for group in ranked[1:] if len(set(group) - copied) >= _MIN_SERIES]
    if large:
        listed = "; ".join(f"{len(group)} like {group[0].name}" for group in [main, *large][:_SHOWN])
        raise InputError(
            f"{folder}: its images are {len(large) + 1} series ({listed}); give a folder that holds one "
            "of them"
        )
    if len(rest) >= len(main):
        return None, []
    if len(rest) > max(2, len(main) // 4):
        raise InputError(
            f"{folder}: {len(rest)} of its images, such as {rest[0].name}, are not named like the "
            f"{len(main)} such as {main[0].name}; give a folder that holds the frames of one scan"
        )
    text = text_of(main[0].stem)
    first = next(
        (path for path in rest if text_of(path.stem) == re.sub(r"[\s_.\-(]*#[\s)]*$", "", text)), None
    )
    if first is not None:
        raise InputError(
            f"{first}: has no number, unlike {main[0].name}; number it if it is a frame, or take it out of "
            "the folder"
        )
    notes = []
    if copies:
        notes.append(f"{_names(copies)} {_is(copies)} a copy of another frame by name and left out")
    if rest:
        notes.append(
            f"{_names(rest)} {_is(rest)} not named like the {len(main)} frames such as {main[0].name}, "
            "and left out"
        )
    return main, notes


def _is_copy(stem: str, stems: set[str]) -> bool:
    found = _COPY.match(stem)
    return found is not None and (found["of"] or found["base"]).strip().casefold() in stems


def _refuse_twice(folder: Path, files: Sequence[Path], keys: Sequence[object]) -> None:
    first: dict[object, Path] = {}
    for path, key in zip(files, keys, strict=True):
        if key in first:
            twice = sum(n - 1 for n in Counter(keys).values())
            raise InputError(
                f"{folder}: {first[key].name} and {path.name} are the same frame by name"
                f"{f', and {twice - 1} more are there twice' if twice > 1 else ''}; keep one of each"
            )
        first[key] = path


def _by_counter(folder: Path, files: list[Path], varying: list[Column]) -> FrameOrder | None:
    """Order by the number that is another for every file; None if there is none."""
    unique = [column for column in varying if column.unique]
    if not unique:
        return None
    split = [column for column in varying if column.axis in ("c", "p") and not column.unique]
    if split:
        raise InputError(
            f"{folder}: its images are several series: {_shown(split)} differ, as in {files[0].name} and "
            f"{files[-1].name}; give a folder that holds one of them"
        )
    even = [column for column in unique if column.even]
    counts = [column for column in even or unique if not column.is_height] or (even or unique)
    counter = next((column for column in reversed(counts) if column.axis == "z"), counts[-1])
    height = next((column for column in unique if column.is_height), None)
    order = np.argsort(counter.values, kind="stable")
    for other in [column for column in unique if column.even or column.is_height]:
        steps = np.diff(other.values[order])
        backwards = (steps < 0).all() and (other.is_height or counter.is_height or counter.axis == "z")
        if not ((steps > 0).all() or backwards):
            raise InputError(
                f"{folder}: the numbers in its names order the images in two ways, {_shown([counter])} and "
                f"{_shown([other])}; rename them with one number"
            )
    found = FrameOrder([])
    if not counter.even and not counter.is_height:
        order = _uneven(files, counter, order, found)
    found.files = [files[k] for k in order]
    if height is not None:
        found.z_um = height.values[order] * height.um_per_unit
        found.z_um_source = f"file names{height.unit_note}"
        if not height.even:
            found.uneven = (
                f"the heights in the names, from {found.files[0].name} to {found.files[-1].name}, are not "
                "one step apart; omit the step, they are used as they are"
            )
    if counter.doubtful_sign:
        found.notes.append(
            f"the - in {found.files[0].name} is taken for a separator, not for a sign; if it is a sign, give "
            "the height of every frame: z_um (--z-csv)"
        )
    return found


def _uneven(
    files: list[Path], counter: Column, order: NDArray[np.intp], found: FrameOrder
) -> NDArray[np.intp]:
    """Explain numbers that are no unbroken count: a counter that rolled over, a gap, or times."""
    values = counter.values[order]
    turn = rolled_over(values)
    if turn is not None:
        found.notes.append(
            f"the numbers roll over from {files[order[-1]].name} to {files[order[0]].name}; the frames are "
            "taken in this order"
        )
        return np.roll(order, -turn)
    gap = None if counter.is_time else missing_numbers(values)
    if gap is None:
        found.notes.append(
            f"the numbers from {files[order[0]].name} to {files[order[-1]].name} are no unbroken count; the "
            "frames are taken in their order, a step apart"
        )
        return order
    shown = [f"{value:g}" for value in gap.missing[:_SHOWN]]
    more = f" and {len(gap.missing) - _SHOWN} more" if len(gap.missing) > _SHOWN else ""
    found.uneven = (
        f"the numbers in its names have a gap: {', '.join(shown)}{more} missing, the first between "
        f"{files[order[gap.after]].name} and {files[order[gap.after + 1]].name}; put the frames back, or "
        "give the height of every frame: z_um (--z-csv)"
    )
    return order


def _by_combinations(
    folder: Path, files: list[Path], varying: list[Column], rows: Sequence[tuple[float, ...]]
) -> FrameOrder:
    """Order files whose numbers run through combinations, such as channel and z."""
    levels = [sorted(set(column.values.tolist())) for column in varying]
    combinations = int(np.prod([len(level) for level in levels]))
    axes = [column.axis for column in varying]
    order = sorted(range(len(files)), key=lambda k: rows[k])
    ordered = [files[k] for k in order]
    if combinations == len(files):
        if all(axes) and len(set(axes)) == len(axes):
            lengths = {str(axis): len(level) for axis, level in zip(axes, levels, strict=True)}
            return FrameOrder(ordered, axes=lengths)
        lengths_shown = " × ".join(str(len(level)) for level in levels)
        raise InputError(
            f"{folder}: the numbers in its names run through {lengths_shown} combinations "
            f"({_shown(varying)}), as of channels or positions and z; give a folder that holds one z-stack"
        )
    if combinations < 2 * len(files):
        there = set(rows)
        lacking = next(row for row in _product(levels) if row not in there)
        raise InputError(
            f"{folder}: the numbers in its names run through {combinations} combinations "
            f"({_shown(varying)}), of which {combinations - len(files)} are missing, {lacking} the first of "
            "them; give a folder that holds one whole z-stack"
        )
    note = (
        f"no number in the names counts the frames; they are taken in the order of all numbers, from "
        f"{ordered[0].name} to {ordered[-1].name}"
    )
    return FrameOrder(ordered, notes=[note])


def _product(levels: list[list[float]]) -> list[tuple[float, ...]]:
    rows: list[tuple[float, ...]] = [()]
    for level in levels:
        rows = [(*row, value) for row in rows for value in level]
    return rows


def _shown(columns: Sequence[Column]) -> str:
    return ", ".join(
        f"{column.word or 'a number'} {column.values.min():g} to {column.values.max():g}"
        for column in columns
    )


def _names(files: Sequence[Path]) -> str:
    shown = ", ".join(path.name for path in files[:_SHOWN])
    return shown + (f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else "")


def _is(files: Sequence[Path]) -> str:
    return "is" if len(files) == 1 else "are"
