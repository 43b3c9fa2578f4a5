"""The numbers in the names of images: counts, heights with sign and decimals, gaps."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.storage.length_units import um_per_unit

_COUNT = re.compile(r"\d+")
# A sign belongs to a number unless it follows another one, as in a date.
_VALUE = re.compile(r"(?:(?<![\d])[-+−])?\d+(?:[.,]\d+)?")
_UNIT = re.compile(
    r"^[ _]?((?:[uµμn]|m)m|microns?|micromet(?:er|re)s?|nanomet(?:er|re)s?)(?![^\W\d_])", re.IGNORECASE
)
# A date with the time of day behind it, in one number or in two; or seconds, ms, µs since 1970.
_STAMP = re.compile(r"^(?:(?:19|20)\d{6}[0-2]\d[0-5]\d[0-5]\d\d*|1[4-9]\d{8}(?:\d{3})*)$")
_DATE_BEFORE = re.compile(r"(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d\D{1,3}$")
_TIME_OF_DAY = re.compile(r"^[0-2]\d[0-5]\d[0-5]\d\d*$")
# The same with separators, as programs of cameras write it.
_CLOCK = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.]?)([01]\d)\2([0-3]\d)[ _T.\-]{1,3}"
    r"([0-2]\d)([-_.h])([0-5]\d)[-_.m]([0-5]\d)(?!\d)"
)
_WORD = re.compile(r"([^\W\d_]+)[\s_=.\-]*$")

_AXES = {
    **dict.fromkeys(("c", "ch", "chan", "channel", "w", "wavelength", "color", "colour"), "c"),
    **dict.fromkeys(("t", "tp", "time", "timepoint"), "t"),
    **dict.fromkeys(
        ("p", "pos", "position", "xy", "s", "site", "series", "f", "fov", "field", "tile", "m"), "p"
    ),
    **dict.fromkeys(("z", "slice", "plane", "focus", "layer", "zpos", "height", "h"), "z"),
}
_HEIGHT_WORDS = {"z", "h", "height", "focus", "zpos"}
# Counters with fewer digits do not roll over within one scan.
_ROLL_OVER = {999, 9999, 99999, 999999, 32767, 65535}


@dataclass(frozen=True, eq=False)
class Column:
    """One of the numbers that all names have.

    Attributes
    ----------
    values : (N,) float64
        In the order of the names.
    word : str
        Word before it, small; empty if there is none.
    um_per_unit : float
        Size of the unit of length after it; 1 where there is none.
    is_height : bool
        Whether it is the height of the frame: with a unit, or with decimals after a word like z.
    unit_note : str
        For the provenance: what was assumed of the unit.
    resolution : float
        Value of one in the last digit.
    is_time : bool
        Whether it looks like a time of day after a date, or a count of seconds: no counter of frames.
    doubtful_sign : bool
        Whether all have a "-" before them that was not taken for a sign.
    """

    values: NDArray[np.float64]
    word: str
    um_per_unit: float = 1.0
    is_height: bool = False
    unit_note: str = ""
    resolution: float = 0.0
    is_time: bool = False
    doubtful_sign: bool = False

    @property
    def axis(self) -> str | None:
        """Axis that the word names: c, t, p or z."""
        return _AXES.get(self.word)

    @property
    def varies(self) -> bool:
        """Whether it is not the same in all names."""
        return bool(np.ptp(self.values) > 0)

    @property
    def unique(self) -> bool:
        """Whether no two names have the same."""
        return np.unique(self.values).size == self.values.size

    @property
    def even(self) -> bool:
        """Whether the values, sorted, are one step apart within rounding."""
        steps = np.diff(np.sort(self.values))
        if steps.size == 0 or steps.min() <= 0:
            return False
        # Rounding changes steps by one in the last digit; where that is the step itself, it may be a gap.
        rounding = self.resolution if steps.min() > 1.5 * self.resolution else 0.0
        exact = 1e-6 * steps.min() + 4 * np.finfo(np.float64).eps * np.abs(self.values).max()
        return bool(np.ptp(steps) <= 1.01 * rounding + exact)


class Gap(NamedTuple):
    """Numbers that are missing, and the place of the last one before the first of them."""

    missing: list[float]
    after: int


def text_of(stem: str) -> str:
    """Return a name with # for every number."""
    return re.sub(r"\s+", " ", _VALUE.sub("#", _with_one_time(stem).casefold()))


def _with_one_time(stem: str) -> str:
    """Write date and time of day as one number, so that minutes and hours count, too."""
    return _CLOCK.sub(r"\1\3\4\5\7\8", stem)


def columns_of(stems: Sequence[str]) -> list[Column]:
    """Return the numbers of names that have the same text between them, as columns.

    A sign and decimals belong to a number where the numbers read so count evenly, or where those without do
    not: so 0.4 is below 1.2, while of the versions 1.9 and 1.10 the parts count.
    """
    stems = [_with_one_time(stem) for stem in stems]
    values, counts = _read(stems, _VALUE) or [], _read(stems, _COUNT)
    if counts is None:
        return values
    if len(values) == len(counts):  # they differ in signs only: a "-" before a count is a separator
        signed = any(column.is_height and (column.values < 0).any() for column in values)
        return values if signed else counts
    if any(column.even for column in values):
        return values
    if any(column.even for column in counts) or _all_combinations(counts):
        return counts
    return counts if any(c.unique for c in counts) and not any(v.unique for v in values) else values


def _all_combinations(columns: Sequence[Column]) -> bool:
    varying = [column.values for column in columns if column.varies]
    levels = [np.unique(values).size for values in varying]
    return len(levels) > 1 and math.prod(levels) == varying[0].size


def _read(stems: Sequence[str], number: re.Pattern[str]) -> list[Column] | None:
    """Columns of numbers of one form; None if the text between them differs."""
    found = [list(number.finditer(stem)) for stem in stems]
    texts = {tuple(number.split(stem.casefold())) for stem in stems}
    if len(texts) > 1 or len({len(row) for row in found}) > 1:
        return None
    return [_column(stems, [row[k] for row in found]) for k in range(len(found[0]))]


def _column(stems: Sequence[str], found: Sequence[re.Match[str]]) -> Column:
    texts = [match.group().replace(",", ".").replace("−", "-") for match in found]
    before = [stem[: match.start()] for stem, match in zip(stems, found, strict=True)]
    after = stems[0][found[0].end() :]
    word_match = _WORD.search(before[0])
    word = word_match.group(1).casefold() if word_match else ""
    unit_match = _UNIT.match(after)
    scale = um_per_unit(unit_match.group(1)) if unit_match else None
    minus = [text.startswith("-") for text in texts]
    fine = any("." in text for text in texts)
    after_text = bool(before[0]) and before[0][-1].isalpha()
    a_sign = any(minus) and (not all(minus) or (not after_text and (fine or scale is not None)))
    values = np.array([float(text if a_sign else text.lstrip("+-")) for text in texts])
    is_height = scale is not None or (word in _HEIGHT_WORDS and fine)
    digits = max((len(text.partition(".")[2]) for text in texts), default=0)
    return Column(
        values,
        word,
        1.0 if scale is None else scale,
        is_height,
        ", unit not stated, taken as µm" if is_height and scale is None else "",
        10.0**-digits if digits or is_height else 0.0,
        all(
            _STAMP.match(text) or (_TIME_OF_DAY.match(text) and _DATE_BEFORE.search(start))
            for text, start in zip(texts, before, strict=True)
        ),
        all(minus) and not a_sign and is_height,
    )


def rolled_over(values: NDArray[np.float64]) -> int | None:
    """Place, in sorted values, where a counter that ran over its last number began; None if none did."""
    steps = np.diff(values)
    largest = int(steps.argmax())
    low, high = values[: largest + 1], values[largest + 1 :]
    unit = steps.min()
    whole = all(np.ptp(np.diff(part)) == 0 if part.size > 2 else True for part in (low, high))
    if low[0] in (0, 1) and int(high[-1]) in _ROLL_OVER and whole and steps[largest] > values.size * unit:
        return largest + 1
    return None


def missing_numbers(values: NDArray[np.float64]) -> Gap | None:
    """Numbers missing in sorted values of which most are one step apart; None if they are no count."""
    steps = np.diff(values)
    rounded = np.round(steps, 9)
    kinds, counts = np.unique(rounded, return_counts=True)
    unit = float(kinds[counts.argmax()])
    multiples = steps / unit
    if counts.max() < 0.5 * steps.size or np.abs(multiples - np.round(multiples)).max() > 0.05:
        return None
    gaps = np.flatnonzero(np.round(multiples) > 1)
    if gaps.size == 0 or np.round(multiples).min() < 1:
        return None
    missing = [
        float(values[k] + unit * i)
        for k in gaps[:100]
        for i in range(1, min(round(float(multiples[k])), 1000))
    ]
    return Gap(missing, int(gaps[0]))
