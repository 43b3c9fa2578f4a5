"""Amplification and linearity from steps of known height: numbers, tables, and maps."""

import numpy as np
import pytest

from lee.errors import InputError
from lee.metrology import linearity
from lee.metrology.linearity import read_steps
from lee.storage.map_tiff import write_map

KNOWN = np.array([0.5, 1.0, 2.0, 5.0, 10.0])


def test_the_line_and_its_errors():
    rng = np.random.default_rng(0)
    own, given = np.full(5, 0.01), 0.003 * KNOWN
    off = []
    for _ in range(150):
        measured = 1.03 * (KNOWN + rng.normal(0, given)) + 0.02 + rng.normal(0, own)
        found = linearity(-measured, KNOWN, measured_se_um=own, known_sigma_um=given)
        slope, offset = found["amplification"], found["offset_um"]
        off.append([(slope.value - 1.03) / slope.sigma, (offset.value - 0.02) / offset.sigma])
    within = np.mean(np.abs(off) < 1, axis=0)
    assert (
        (within > 0.6) & (within < 0.85)
    ).all()  # a line that scatters more than its errors states larger ones


def test_a_step_off_the_line_is_the_linearity_deviation():
    measured = KNOWN.copy()
    measured[2] += 0.1
    found = linearity(measured, KNOWN, measured_se_um=0.005)
    deviation = found["linearity_um"]
    assert deviation.note == "at 2 µm"
    assert deviation.value == pytest.approx(
        np.abs(measured - np.polyval(np.polyfit(KNOWN, measured, 1), KNOWN)).max()
    )
    assert found["scatter_over_errors"].value > 5
    straight = linearity(1.02 * KNOWN + 0.001, KNOWN, measured_se_um=0.005)
    assert straight["linearity_um"].note.endswith("within its errors")
    assert straight["amplification"].value == pytest.approx(1.02)


def test_the_line_of_an_instrument_that_is_not_linear_is_the_plain_regression():
    """Errors far below the deviations do not decide where the line goes."""
    shown = KNOWN * (1 + 0.01 * KNOWN)
    line = np.polyfit(KNOWN, shown, 1)
    for own in ([0.001, 0.002, 0.001, 0.003, 0.001], [0.003, 0.001, 0.002, 0.001, 0.002]):
        found = linearity(shown, KNOWN, measured_se_um=own)
        assert found["linearity_um"].value == pytest.approx(
            np.abs(shown - np.polyval(line, KNOWN)).max(), rel=1e-3
        )
        assert found["amplification"].value == pytest.approx(line[0], rel=1e-4)
        # As large as the deviations, not as the errors.
        assert found["amplification"].sigma == pytest.approx(
            np.sqrt(np.polyfit(KNOWN, shown, 1, cov=True)[1][0, 0]), rel=0.01
        )


def test_few_heights_give_no_line_with_an_offset():
    found = linearity([1.1, 1.08], [1.0, 1.0])
    assert found["amplification"].value == pytest.approx(1.09)
    assert found["amplification"].sigma == pytest.approx(0.01, rel=0.01)
    assert np.isnan([found["offset_um"].value, found["linearity_um"].value]).all()
    assert found["linearity_um"].note == "three different known heights are needed"
    assert np.isnan(linearity([1.1], [1.0])["amplification"].sigma)


def test_steps_come_from_a_table_of_maps(tmp_path):
    rng = np.random.default_rng(1)
    x = np.arange(120)
    rows = ["map;step_um;step_sigma_um"]
    for k, height in enumerate((1.0, 3.0, 8.0)):
        groove = np.where((x > 45) & (x < 75), -1.05 * height, 0.0) + 0.002 * x
        write_map(tmp_path / f"{k}.tif", (groove + rng.normal(0, 0.02, (64, 120))).astype(np.float32), 0.5)
        rows.append(f"{k}.tif;{height};0,001")
    (tmp_path / "steps.csv").write_text("\n".join(rows))
    found = read_steps(tmp_path / "steps.csv")
    slope = found["amplification"]
    assert slope.value == pytest.approx(1.05, abs=4 * slope.sigma)
    assert slope.sigma < 0.005
    assert list(found.details["name"]) == ["0.tif", "1.tif", "2.tif"]
    write_map(tmp_path / "0.tif", np.zeros((64, 120), np.float32), 0.5)
    with pytest.raises(InputError, match=r"0.tif: step: the profile is straight"):
        read_steps(tmp_path / "steps.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("map,height\n", "its first line must be map,step_um"),
        ("map,step_um\n", "steps.csv: lists no step; give rows of map,step_um"),
        ("map,step_um\na.tif,high\n", "steps.csv, line 2: step_um is 'high'"),
        ("map,step_um\nnone.tif,1\n", "none.tif does not exist"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, message):
    (tmp_path / "steps.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_steps(tmp_path / "steps.csv")


@pytest.mark.parametrize(
    ("measured", "known", "options", "message"),
    [
        ([1.0], [1.0, 2.0], {}, "1 measured and 2 known heights; give one each"),
        ([1.0], [0.0], {}, "heights must be finite, and known ones not 0"),
        ([1.0], [1.0], {"measured_se_um": -1.0}, "standard errors must be µm, not below 0"),
    ],
)
def test_heights_that_cannot_be_used(measured, known, options, message):
    with pytest.raises(InputError, match=message):
        linearity(measured, known, **options)
