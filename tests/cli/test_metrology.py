"""`lee metrology` as a user meets it."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lee.cli import run
from lee.devices.virtual.scene.texture import smooth_field
from lee.metrology.results_folder import FILES
from lee.storage.map_tiff import write_map

X = np.arange(120)


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    rng = np.random.default_rng(0)
    for k in range(3):
        write_map(folder / f"{k}.tif", rng.normal(0, 0.1, (60, 80)).astype(np.float32), 0.5)
    step = np.where(X > 60, 2.0, 0.0) + rng.normal(0, 0.05, (64, 120))
    write_map(folder / "edge.tif", step.astype(np.float32), 0.5)
    (folder / "steps.csv").write_text("map,step_um\nedge.tif,2\n")
    return folder


@pytest.mark.parametrize(
    ("command", "given", "extra", "printed"),
    [
        ("noise", ["0.tif", "1.tif"], ["--interval-s", "5"], "noise density"),
        ("repeatability", ["0.tif", "1.tif", "2.tif"], [], "repeatability"),
        ("flatness", ["0.tif", "1.tif"], ["--s-filter-um", "4"], "noise left"),
        ("linearity", ["steps.csv"], ["--step", "edge"], "amplification"),
        ("resolution", ["edge.tif"], [], "lateral period limit"),
    ],
)
def test_each_writes_tables_a_figure_and_json(maps, tmp_path, capsys, command, given, extra, printed):
    out = tmp_path / "out"
    line = ["metrology", command, *(str(maps / name) for name in given), "-o", str(out), *extra]
    assert run(line) == 0
    shown = capsys.readouterr().out
    assert printed in shown
    assert "± holds" in shown
    assert {path.name for path in out.iterdir()} == FILES
    described = json.loads((out / "metrology.json").read_text())
    assert described["kind"] == command
    table = pd.read_csv(out / "quantities.csv").set_index("name")
    assert set(table.index) == set(described["quantities"])
    assert len(pd.read_csv(out / "details.csv")) > 0
    with Image.open(out / "figure.png") as image:
        assert image.width == 1600
    assert run(line) == 1
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["noise", "0.tif"], "noise: 1 maps were given; 2 or more are needed"),
        (["repeatability", "0.tif", "1.tif"], "2 maps were given; 3 or more are needed"),
        (["noise", "0.tif", "edge.tif"], "edge.tif: 120 × 64 px of 0.5 µm, but"),
        (["linearity", "0.tif"], "0.tif: cannot be read as CSV"),
        (["resolution", "none.tif"], "does not exist"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(maps, tmp_path, capsys, line, message):
    command, *given = line
    out = tmp_path / "out"
    assert run(["metrology", command, *(str(maps / name) for name in given), "-o", str(out)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_two_maps_are_compared(tmp_path, capsys):
    rng = np.random.default_rng(2)
    relief = smooth_field((120, 130), 8, rng)
    write_map(tmp_path / "first.tif", relief[5:-5, 3:-7] + 0.02 * smooth_field((110, 120), 2, rng), 0.5)
    write_map(tmp_path / "second.tif", relief[:, ::-1].copy(), 0.5)
    maps = [str(tmp_path / name) for name in ("first.tif", "second.tif")]
    assert run(["compare", *maps, "-o", str(tmp_path / "compared")]) == 0
    shown = capsys.readouterr().out
    assert "first map mirrored left to right" in shown
    assert "lateral period limit" in shown
    assert {path.name for path in (tmp_path / "compared").iterdir()} == FILES
    described = json.loads((tmp_path / "compared" / "metrology.json").read_text())
    assert described["quantities"]["correlation"]["value"] > 0.99
    assert len(described["metadata"]["bias_by_height"]["height_um"]) == 12
    line = ["metrology", "resolution", maps[0], "--known", maps[1], "-o", str(tmp_path / "known")]
    assert run(line) == 0
