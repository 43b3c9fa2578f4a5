"""Diameters by a calibration are right within their sigma, and never given beyond its range."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lee.errors import InputError, StorageError
from lee.particles.calibration.size_calibration import Calibration, load_calibration, read_calibration_table
from lee.particles.figures.calibration_figure import calibration_figure
from lee.particles.table import FLAGS

LAWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "resonant": lambda d: 1e4 * (d / 200) ** 6 / (1 + (d / 200) ** 4),
    "square": lambda d: 1e4 * (d / 200) ** 2,
    "cube": lambda d: 1e4 * (d / 200) ** 3,
    "sixth": lambda d: 1e4 * (d / 200) ** 6,
}
# Particles, errors of intensity and diameter, scatter of diameter.
CASES = [(12, 0.2, 0.02, 0.05), (12, 0.03, 0.08, 0.1), (30, 0.1, 0.05, 0.05), (200, 0.2, 0.08, 0.1)]


def noisy(rng: np.random.Generator, values: np.ndarray, share: float) -> np.ndarray:
    return values * np.clip(1 + share * rng.normal(size=len(values)), 0.05, None)


def drawn(
    rng: np.random.Generator, law: str, case: tuple[int, float, float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, counts_share, nm_share, scatter = case
    nm = np.exp(rng.uniform(np.log(60), np.log(600), n))
    counts = noisy(rng, LAWS[law](nm * np.exp(scatter * rng.normal(size=n))), counts_share)
    return counts, noisy(rng, nm, nm_share), nm


def example(n: int = 30, seed: int = 0) -> Calibration:
    counts, nm, _ = drawn(np.random.default_rng(seed), "resonant", (n, 0.1, 0.05, 0.05))
    return Calibration.fit(counts, nm, 0.1 * counts, 0.05 * nm)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


HEADER = "intensity_counts,diameter_nm\n"
ROWS = "".join(f"{10 * 2**k},{100 * 1.3**k:g}\n" for k in range(8))


# --- how right it is ---


@pytest.mark.parametrize(
    ("law", "given"),
    [
        pytest.param("cube", True, marks=pytest.mark.slow),
        pytest.param("cube", False, marks=pytest.mark.slow),
        pytest.param("square", True, marks=pytest.mark.slow),
        pytest.param("square", False, marks=pytest.mark.slow),
        pytest.param("sixth", True, marks=pytest.mark.slow),
        ("sixth", False),
        ("resonant", True),
        pytest.param("resonant", False, marks=pytest.mark.slow),
    ],
)
def test_diameters_are_right_and_within_their_stated_error(law: str, given: bool) -> None:
    off, held = [], []
    for case in CASES:
        within = []
        for seed in range(7 if case[0] < 100 else 2):
            rng = np.random.default_rng([seed, case[0], 7])
            counts, nm, _ = drawn(rng, law, case)
            errors = (case[1] * counts, case[2] * nm) if given else (None, None)
            calibration = Calibration.fit(counts, nm, *errors)
            counts, measured, true = drawn(rng, law, (400, *case[1:]))
            found, sigma, flags = calibration.diameter(counts, case[1] * counts if given else None)
            inside = flags == ""
            # Without errors all that is known is how far a diameter measured likewise lies off.
            truth = true if given else measured
            within.append((np.abs(found - truth)[inside] <= sigma[inside]).mean())
            off.append(np.median(found[inside] / true[inside]) - 1)
        held.append(np.mean(within))
    assert abs(np.mean(off)) < 0.015
    assert 0.6 < np.mean(held) < 0.78
    assert min(held) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("given", [True, False])
def test_beads_of_few_sizes_do_not_draw_the_curve_into_steps(law: str, given: bool) -> None:
    errors = []
    for seed in range(3):
        nm = np.repeat([80.0, 150, 300, 500], 12)
        counts = LAWS[law](nm) * np.exp(0.1 * np.random.default_rng(seed).normal(size=48))
        given_errors = (0.1 * counts, 0.02 * nm) if given else ()
        calibration = Calibration.fit(counts, nm, *given_errors)
        between = np.geomspace(90, 450, 50)
        errors.append(np.log(calibration.diameter(LAWS[law](between))[0] / between))
    assert np.abs(np.mean(errors, axis=0)).max() < 0.08


def test_exact_particles_are_met() -> None:
    nm = np.geomspace(60, 600, 20)
    for law in LAWS.values():
        between = np.geomspace(61, 590, 57)
        found, sigma, _ = Calibration.fit(law(nm), nm).diameter(law(between))
        np.testing.assert_allclose(found, between, rtol=0.01)
        assert (sigma / found).max() < 0.03


def test_a_few_outliers_change_little() -> None:
    rng = np.random.default_rng(3)
    counts, nm, _ = drawn(rng, "cube", (40, 0.05, 0.03, 0.0))
    clean = Calibration.fit(counts, nm, 0.05 * counts, 0.03 * nm)
    wrong = nm.copy()
    wrong[:4] *= [3, 0.3, 2.5, 0.4]
    found = Calibration.fit(counts, wrong, 0.05 * counts, 0.03 * wrong)
    assert not found.used[:4].any()
    assert found.used[4:].all()
    inside = np.geomspace(*clean.range_counts, 50)[2:-2]
    ratio = found.diameter(inside)[0] / clean.diameter(inside)[0]
    np.testing.assert_allclose(ratio[np.isfinite(ratio)], 1, atol=0.03)
    assert found.scatter < 0.04


def test_one_outlier_of_twelve_is_found() -> None:
    found = []
    for seed in range(12):
        counts, nm, _ = drawn(np.random.default_rng(seed), "square", (12, 0.1, 0.05, 0.03))
        middle = np.argsort(counts)[6]
        nm[middle] *= 2.5 if seed % 2 else 0.4
        calibration = Calibration.fit(counts, nm, 0.1 * counts, 0.05 * nm)
        found.append(not calibration.used[middle] and calibration.used.sum() >= 10)
    assert np.mean(found) > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_rises_everywhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = np.exp(rng.uniform(0, 8, 40))
    nm = 200 * (1 + (counts > 50)) * np.exp(0.15 * rng.normal(size=40))  # a step, flat beside it
    calibration = Calibration.fit(counts, nm)
    found = calibration.diameter(np.geomspace(*calibration.range_counts, 500)[1:-1])[0]
    assert (np.diff(found) > 0).all()


def test_sigma_holds_the_particles_own_error_the_curves_and_the_scatter() -> None:
    calibration = example()
    counts = np.array([1000.0, 1000.0])
    nm, sigma, _ = calibration.diameter(counts, [0.0, 300.0])
    x = np.log(counts[:1])
    own = calibration.curve.slope(x) * 0.3
    rest = calibration.curve.variance(x) + calibration.scatter**2
    np.testing.assert_allclose(sigma / nm, np.sqrt(np.r_[rest, rest + own**2]))


# --- its range ---


def test_beyond_the_range_there_is_no_diameter() -> None:
    calibration = example()
    low, high = calibration.range_counts
    counts = [low * 0.999, low, high, high * 1.001, 0.0, -5.0, np.inf, np.nan]
    nm, sigma, flags = calibration.diameter(counts, np.full(8, 0.5 * high))
    below, above = "below_range", "above_range"
    assert flags.tolist() == [below, "", "", above, below, below, above, ""]
    assert {below, above} <= FLAGS.keys()
    inside = [False, True, True, *[False] * 5]
    assert np.isfinite(nm).tolist() == np.isfinite(sigma).tolist() == inside
    assert [len(one) for one in calibration.diameter([])] == [0, 0, 0]
    nm, sigma, _ = calibration.diameter([low], [np.nan])
    assert np.isfinite(nm[0])
    assert np.isnan(sigma[0])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([[1.0]],), r"intensity_counts has the shape \(1, 1\): give \(N,\)"),
        ((["x"],), "intensity_counts holds values that are not numbers"),
        (([1.0, 2.0], [1.0]), "2 intensities, but 1 errors of intensities"),
        (([1.0], [-1.0]), "intensity_sigma_counts is -1: give errors of 0 or more"),
    ],
)
def test_bad_particles_are_reported(arguments: tuple, match: str) -> None:
    with pytest.raises(InputError, match=match):
        example().diameter(*arguments)


# --- the table ---


def test_a_table_is_read(tmp_path: Path) -> None:
    rows = "".join(f'{k},"{2 * k}", {10 * k} ,b\r\n\r\n' for k in range(1, 7))
    text = "\ufeffdiameter_sigma_nm,intensity_counts, diameter_nm,name\r\n" + rows
    found = read_calibration_table(write(tmp_path / "beads.csv", text))
    assert list(found) == ["intensity_counts", "diameter_nm", "diameter_sigma_nm"]
    assert found["diameter_nm"].tolist() == [10, 20, 30, 40, 50, 60]
    calibration = load_calibration(tmp_path / "beads.csv")
    np.testing.assert_array_equal(calibration.points["diameter_sigma_nm"], found["diameter_sigma_nm"])
    assert calibration.diameter([7.0])[0] == pytest.approx(35, rel=0.02)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "the file is empty: give a table with the columns intensity_counts, diameter_nm"),
        (
            "counts,nm\n1,2\n",
            r"line 1: the column intensity_counts is missing \(found counts, nm\): the first line must name",
        ),
        (
            "intensity_counts;diameter_nm\n1;2\n",
            "line 1: cells are separated by semicolons: separate them by commas",
        ),
        ("intensity_counts\tdiameter_nm\n1\t2\n", "line 1: cells are separated by tabs"),
        ("diameter_nm," + HEADER + "1,2,3\n", "line 1: the column diameter_nm appears 2 times: keep one"),
        (
            "intensity_counts,diameter_nm,diameter_sigma\n1,2,3\n",
            "line 1: the column diameter_sigma is unknown: name it as one of",
        ),
        (HEADER + ROWS + "5,\n", "line 10: diameter_nm is empty: give numbers above 0"),
        (HEADER + "\n5,many\n", "line 3: diameter_nm is 'many'"),
        (HEADER + "nan,5\n", "line 2: intensity_counts is 'nan'"),
        (HEADER + "inf,5\n", "line 2: intensity_counts is 'inf'"),
        (HEADER + "-3,5\n", "line 2: intensity_counts is '-3'"),
        (HEADER + "3,0\n", "line 2: diameter_nm is '0'"),
        (HEADER + "3,1,5\n", "line 2 has 3 cells, the header 2: separate cells by commas and write decimal"),
        (
            "intensity_counts,diameter_nm,intensity_sigma_counts\n1,2,0\n",
            "line 2: intensity_sigma_counts is '0': give numbers above 0, or leave intensity_sigma_co",
        ),
        (HEADER + "1,2\n3,4\n", "there are 2 particles: a calibration needs 5 or more"),
        (HEADER, "there are 0 particles: a calibration needs 5 or more"),
        (HEADER + "1,5\n2,5\n3,5\n4,5\n5,5\n", "diameter_nm is 5 in all rows: give particles of different"),
        (HEADER + "5,1\n5,2\n5,3\n5,4\n5,5\n", "intensity_counts is 5 in all rows"),
        (HEADER + '"1,5\n', "unexpected end of data"),
    ],
)
def test_bad_tables_are_reported_in_one_line(tmp_path: Path, text: str, match: str) -> None:
    path = write(tmp_path / "beads.csv", text)
    with pytest.raises(InputError, match=match) as caught:
        load_calibration(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.csv: cannot be read .No such file"):
        load_calibration(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r": cannot be read .Is a directory"):
        read_calibration_table(tmp_path)
    (tmp_path / "excel.csv").write_bytes((HEADER + ROWS).encode("utf-16"))
    with pytest.raises(InputError, match=r"excel.csv is not UTF-8 text: save the table as CSV in UTF-8"):
        load_calibration(tmp_path / "excel.csv")
    with pytest.raises(InputError, match=r"a.xlsx: a size calibration is a .csv table or a .json file"):
        load_calibration(tmp_path / "a.xlsx")
    falling = "".join(f"{k},{10 - k}\n" for k in range(1, 9))
    with pytest.raises(InputError, match=r"down.csv: diameters do not rise with intensities"):
        load_calibration(write(tmp_path / "down.csv", HEADER + falling))


@pytest.mark.parametrize(
    ("counts", "nm", "match"),
    [
        ([1, 2, 3], [1, 2, 3], "there are 3 particles: a calibration needs 5 or more"),
        ([1, 2, 3, 4, 5], [1, 2, 3], r"diameter_nm has the shape \(3,\)"),
        ([1, 2, 3, 4, -5], [1, 2, 3, 4, 5], r"intensity_counts\[4\] is -5: give numbers above 0"),
        ([1, 2, 3, 4, 5], [1, 2, 3, np.nan, 5], r"diameter_nm\[3\] is nan"),
        ([1, 2, 3, 4, 5], ["a"] * 5, "diameter_nm holds values that are not numbers"),
        ([1, 2, 3, 4, 5], [7] * 5, "all diameters are equal"),
        ([7] * 5, [1, 2, 3, 4, 5], "all intensities are equal"),
        ([1, 2, 3, 4, 5], [2, 1, 5, 3, 4], "too much scatter to fit how diameters rise"),
    ],
)
def test_what_cannot_be_fitted_is_reported(counts: list, nm: list, match: str) -> None:
    with pytest.raises(InputError, match=match):
        Calibration.fit(counts, nm)


# --- the file ---


def test_a_saved_calibration_is_the_same_again(tmp_path: Path) -> None:
    calibration = example()
    path = calibration.save(tmp_path / "new" / "beads.json")
    again = load_calibration(path)
    counts = np.geomspace(1, 1e6, 99)
    for one, other in zip(
        calibration.diameter(counts, counts / 9), again.diameter(counts, counts / 9), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert [entry.name for entry in path.parent.iterdir()] == ["beads.json"]


def test_a_failed_save_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = example().save(tmp_path / "beads.json")
    before = path.read_bytes()

    def full(self: Path, *_: object, **__: object) -> None:
        self.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match="no space left to write"):
        example(seed=1).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["beads.json"]
    with pytest.raises(InputError, match=r"beads.txt: a calibration is written as .json"):
        example().save(tmp_path / "beads.txt")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": "other"}, "is not a size calibration: give a file written by `lee particles calibrate`"),
        ({"version": 2}, "is of version 2, but this version of lee reads 1: fit the calibration again"),
        ({"scatter": -1}, r"is damaged \(a number of the curve is out of range\)"),
        ({"scatter": None}, "is damaged"),
        ({"used": [True]}, r"is damaged \(used has not one true or false for each point\)"),
        ({"points": {"diameter_nm": [1, 2]}}, r"is damaged \(the column intensity_counts is missing\)"),
        ({"points": 5}, "is damaged"),
        ({"curve": {"low": 0}}, r"is damaged \(it lacks 'high'\)"),
        (
            {"curve": {"low": 0, "high": 1, "parameters": [1, 2, 3], "covariance": [[0]]}},
            "parameters and covariance of the curve differ in size",
        ),
        (
            {"curve": {"low": 0, "high": 1, "parameters": [1, 2, 3], "covariance": [[0] * 3] * 3}},
            "the curve is not that of the points",
        ),
    ],
)
def test_a_damaged_file_is_reported_in_one_line(tmp_path: Path, change: dict, match: str) -> None:
    path = example().save(tmp_path / "beads.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=match) as caught:
        load_calibration(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_is_no_json_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not JSON: give a file written by"):
        load_calibration(write(tmp_path / "a.json", HEADER + ROWS))
    with pytest.raises(InputError, match="is not a size calibration"):
        load_calibration(write(tmp_path / "b.json", "[1]"))
    with pytest.raises(InputError, match=r"c.json: cannot be read .No such file"):
        load_calibration(tmp_path / "c.json")


# --- the figure ---


@pytest.mark.parametrize("outliers", [0, 2])
@pytest.mark.parametrize("given", [True, False])
def test_the_figure_shows_range_and_outliers(given: bool, outliers: int) -> None:
    counts, nm, _ = drawn(np.random.default_rng(1), "cube", (30, 0.05, 0.03, 0.02))
    nm[:outliers] *= 3
    calibration = Calibration.fit(counts, nm, *((0.05 * counts, 0.03 * nm) if given else ()))
    figure = calibration_figure(calibration, title="beads")
    figure.canvas.draw()
    above, _ = figure.axes
    assert figure.get_size_inches()[0] * figure.dpi == pytest.approx(1600)
    assert f"{30 - outliers} particles" in above.get_title()
    names = [text.get_text() for text in above.get_legend().get_texts()]
    assert ("outliers, ignored" in names) == bool(outliers)
