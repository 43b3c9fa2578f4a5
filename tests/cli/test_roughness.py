"""`lee roughness` as a user meets it."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lee.cli import run
from lee.figures.roughness_folder import FILES, quantity
from lee.storage.map_tiff import read_map, write_map

HEIGHT = np.random.default_rng(0).normal(size=(60, 80)).astype(np.float32)
HEIGHT[:, 30:50] += 8
HEIGHT[5:9, 5:9] = np.nan


@pytest.fixture
def surface(tmp_path):
    write_map(tmp_path / "h.tif", HEIGHT, 0.5)
    return str(tmp_path / "h.tif")


def test_writes_a_table_a_figure_a_profile_and_json(surface, tmp_path, capsys):
    out = tmp_path / "rough"
    line = ["roughness", surface, "-o", str(out), "--s-filter-um", "2", "--l-filter-um", "25"]
    assert run([*line, "--noise-um", "0.1", "--line", "15,0,15,39", "--step", "groove"]) == 0
    printed = capsys.readouterr().out
    assert "80 × 60 px, 99.7 % measured" in printed
    assert "Sq corrected" in printed
    assert "a filter is one-sided" in printed
    assert "± holds random errors of the heights" in printed
    assert {path.name for path in out.iterdir()} == FILES
    described = json.loads((out / "roughness.json").read_text())
    table = pd.read_csv(out / "parameters.csv").set_index("name")
    for name, one in described["parameters"].items():
        value = one["value"]
        assert table.loc[name, "value"] == pytest.approx(np.nan if value is None else value, nan_ok=True)
    assert described["parameters"]["step_um"]["value"] == pytest.approx(8, abs=1.5)
    assert described["step"]["kind"] == "groove"
    values, pixel_um = read_map(out / "surface_um.tif")
    assert (values.shape, pixel_um) == (HEIGHT.shape, pytest.approx(0.5))
    assert len(pd.read_csv(out / "profile.csv")) == 79
    with Image.open(out / "roughness.png") as image:
        assert image.width == 1600


def test_a_parameter_is_shown_with_two_digits_of_its_uncertainty():
    assert quantity("Sq_corrected_um", 1.03981, 0.0123) == ("Sq corrected", "1.040 ± 0.012 µm")
    assert quantity("Spd_per_mm2", 7307.4, 131.6) == ("Spd", "7307 ± 132 1/mm²")
    assert quantity("Sdr_percent", 0.00107, np.nan) == ("Sdr", "0.00107 %")
    assert quantity("Str", np.nan, np.nan) == ("Str", "–")


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        (["--step", "edge"], 2, "--step and --width-um need a line: give --line too"),
        (["--line", "1,2,3"], 2, "give y0,x0,y1,x1 in µm"),
        (["--line", "0,0,0,100"], 1, "leaves the field"),
        (["--s-filter-um", "0.7"], 1, "S-filter: its cut-off is 1.4 pixels; give at least 2"),
        (["--l-filter-um", "31"], 1, "L-filter: its cut-off is 62 pixels"),
        (["--form-order", "11"], 2, "11 is not in the range 0<=x<=10"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(surface, tmp_path, capsys, extra, code, message):
    assert run(["roughness", surface, "-o", str(tmp_path / "rough"), *extra]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "rough").exists()


def test_an_older_folder_is_kept(surface, tmp_path, capsys, undrawn):
    line = ["roughness", surface, "-o", str(tmp_path / "rough")]
    assert run(line) == 0
    assert run(line) == 1
    assert "exists already" in capsys.readouterr().err
    assert run([*line, "--overwrite"]) == 0
