"""`lee particles` as a user meets it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from lee.cli import run as lee_cli
from lee.devices import virtual as rig
from lee.devices.virtual.runs.scan_file import write_ome_scan
from lee.particles.calibration.size_calibration import Calibration
from lee.particles.figures.report import FIGURES
from lee.particles.table import COLUMNS, TRACKPY, read_table
from lee.storage.map_tiff import read_map
from lee.surfaces.surface import Surface
from tests.support.blank_figures import undrawn
from tests.support.particle_scans import IN_GAUSSIAN, matched, truth_of

pytestmark = pytest.mark.usefixtures("undrawn")
PIXEL_UM = 0.25
SCENE = rig.gentle((112, 112), PIXEL_UM, 3, relief_um=2.0)
Z_UM = SCENE.z_range(0.3, 2.0)
LATER = [SCENE.with_nuclei(15, 1, (180.0, 330.0))]
LATER.append(LATER[0].with_nuclei(6, 2, (180.0, 330.0)))
ALWAYS = {"particles.csv", "particles.json", "over_time.csv", "report.html", "density_per_um2.tif"}
EVER = {"particles.png", "particle_flags.png", "density.png", "sizes.png"}


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Three scans of one place: nothing, nuclei, more of them; and single images of the first two."""
    folder = tmp_path_factory.mktemp("scans")
    for k, scene in enumerate((SCENE, *LATER)):
        frames = rig.render_scan(scene, z_um=Z_UM, seed=k).frames
        write_ome_scan(folder / f"s{k}.ome.tif", frames, Z_UM, PIXEL_UM)
    flat = rig.flat((112, 112), PIXEL_UM, 4)
    for k, scene in enumerate((flat, flat.with_nuclei(12, 5, (200.0, 330.0)))):
        frame = rig.render_scan(scene, z_um=[0.1], seed=k).frames[0]
        Image.fromarray(frame).save(folder / f"i{k}.png")
        tifffile.imwrite(folder / f"i{k}.tif", frame)
    for name, shape in (("plane", (112, 112)), ("small", (50, 60))):
        level = np.zeros(shape, np.float32)
        Surface(level, level, level + 1, np.ones(shape, bool), level, PIXEL_UM).save(folder / name)
    diameter = np.geomspace(120, 360, 40)
    counts = IN_GAUSSIAN * rig.intensity_counts(diameter, SCENE)
    table = pd.DataFrame({"intensity_counts": counts, "diameter_nm": diameter})
    table.to_csv(folder / "sem.csv", index=False)
    Calibration.fit(counts, diameter).save(folder / "sizes.json")
    return folder


@pytest.fixture(scope="module")
def done(scans, tmp_path_factory):
    """The folder two scans give, with all there is to ask for."""
    out = tmp_path_factory.mktemp("done") / "nuclei"
    options = ["-o", str(out), "--calibration", str(scans / "sizes.json"), "--trackpy"]
    pair = [str(scans / f"s{k}.ome.tif") for k in (0, 1)]
    assert lee_cli(["particles", *pair, *options]) == 0
    return out


def outcome_of(capsys, *arguments):
    capsys.readouterr()
    code = lee_cli(["particles", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# --- two scans ---


def test_two_scans_give_a_folder(done):
    names = {entry.name for entry in done.iterdir()}
    assert names >= {*ALWAYS, *EVER, "by_curvature.csv"}
    assert names <= {*ALWAYS, *FIGURES, "by_curvature.csv"}


def test_the_table_holds_the_particles(done):
    table = read_table(done / "particles.csv")
    truth = truth_of(LATER[0], rig.Sensor())
    i, j = matched(truth, table, 0.4)
    assert len(i) >= 13
    assert len(table) - len(j) <= 4
    ratio = table["diameter_nm"].to_numpy()[j] / truth["diameter_nm"].to_numpy()[i]
    assert np.nanmedian(ratio) == pytest.approx(1, abs=0.05)
    assert table["z_um"].notna().mean() > 0.9
    assert table["time_s"].isna().all()
    assert set(TRACKPY) <= set(table)
    assert (table["frame"] == 0).all()
    np.testing.assert_allclose(table["x"] * PIXEL_UM, table["x_um"], atol=1e-4)


def test_the_description_states_what_it_was_made_with(done, scans):
    described = json.loads((done / "particles.json").read_text())
    table = read_table(done / "particles.csv")
    assert described["format"] == "lee particles"
    assert described["particles"] == len(table)
    assert described["pixel_um"] == pytest.approx(PIXEL_UM)
    assert described["curvature_scale_um"] > 0
    (pair,) = described["pairs"]
    assert pair["time_s"] is None
    assert pair["particles"] == len(table)
    assert pair["shared_texture"] > 0.9
    asked = described["parameters"]
    assert asked["scans"] == [str(scans / "s0.ome.tif"), str(scans / "s1.ome.tif")]
    assert asked["calibration"] == str(scans / "sizes.json")
    assert asked["false_alarms"] == 1.0
    assert asked["disappearing"] is False
    for flag, count in described["flags"].items():
        assert sum(flag in words.split() for words in table["flag"]) == count


def test_the_density_adds_up_to_the_particles(done):
    density, pixel_um = read_map(done / "density_per_um2.tif")
    assert pixel_um == pytest.approx(PIXEL_UM)
    over_time = pd.read_csv(done / "over_time.csv")
    assert len(over_time) == 1
    count = len(read_table(done / "particles.csv"))
    assert np.nanmean(density) * density.size * PIXEL_UM**2 == pytest.approx(count, rel=0.3)


def test_the_report_holds_its_pictures(done):
    text = (done / "report.html").read_text(encoding="utf-8")
    drawn = {entry.name for entry in done.iterdir()} & set(FIGURES)
    assert len(re.findall(r'src="data:image/png', text)) == len(drawn)
    assert not re.findall(r'src="(?!data:)', text)
    for name in drawn:
        with Image.open(done / name) as image:
            assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_what_it_prints(scans, tmp_path, capsys, undrawn):
    """Without a calibration; and as a scan of nuclei that disappear, with Parquet, on a given surface."""
    pytest.importorskip("pyarrow")
    capsys.readouterr()
    arguments = ["reconstruct", str(scans / "s0.ome.tif"), "-o", str(tmp_path / "surface")]
    assert lee_cli([*arguments, "--device", "cpu"]) == 0
    code, out, err = outcome_of(
        capsys, scans / "s1.ome.tif", scans / "s0.ome.tif", "-o", tmp_path / "gone", "--disappearing",
        "--parquet", "--surface", tmp_path / "surface", "--threads", 1, "--false-alarms", 0.1,
        "--spot-sigma-px", 1.0, "--scale-um", 2,
    )  # fmt: skip
    assert (code, err) == (0, "")
    lines = out.splitlines()
    first = r"1\d particles, 0\.0\d+ per µm² of surface \(0\.\d+ to 0\.\d+\), signal-to-noise threshold \d"
    assert re.match(first, lines[0])
    assert lines[1] == "no calibration given (--calibration): sizes are intensities in counts"
    assert re.match(rf"{re.escape(str(tmp_path / 'gone' / 'report.html'))}, in \d+\.\d s", lines[2])
    table = read_table(tmp_path / "gone" / "particles.parquet")
    assert list(table) == list(COLUMNS)
    assert len(matched(truth_of(LATER[0], rig.Sensor()), table)[0]) >= 13
    assert table["diameter_nm"].isna().all()
    described = json.loads((tmp_path / "gone" / "particles.json").read_text())
    assert described["curvature_scale_um"] == pytest.approx(2.0, rel=0.02)
    assert described["parameters"]["disappearing"] is True
    assert described["pairs"][0]["spot_sigma_px"] == pytest.approx(1.0)
    valid = Surface.load(tmp_path / "surface").height_um
    assert abs(np.nanmedian(table["z_um"]) - np.nanmedian(valid)) < 2


# --- single images ---


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_two_images_are_enough(scans, tmp_path, capsys, suffix):
    out = tmp_path / "seen"
    code, printed, err = outcome_of(
        capsys, scans / f"i0.{suffix}", scans / f"i1.{suffix}", "-o", out, "--pixel-um", PIXEL_UM
    )
    assert (code, err) == (0, "")
    assert "per µm² of image" in printed
    assert {entry.name for entry in out.iterdir()} >= ALWAYS
    table = read_table(out / "particles.csv")
    assert len(table) >= 8
    assert table["z_um"].isna().all()


def write_image(path, frame, pixel_yx_um=(PIXEL_UM, PIXEL_UM), imagej=True):
    y, x = pixel_yx_um
    if imagej:
        tifffile.imwrite(path, frame, imagej=True, resolution=(1 / x, 1 / y), metadata={"unit": "um"})
    else:
        tifffile.imwrite(path, frame, ome=True, metadata={"axes": "YX", **_physical(y, x)})


def _physical(y, x):
    return {"PhysicalSizeY": y, "PhysicalSizeYUnit": "µm", "PhysicalSizeX": x, "PhysicalSizeXUnit": "µm"}


@pytest.mark.parametrize("imagej", [False, True])
@pytest.mark.parametrize("stating", [(0, 1), (0,), (1,)])
def test_images_that_state_their_pixels_need_no_option(scans, tmp_path, capsys, undrawn, imagej, stating):
    files = [tmp_path / name for name in ("before.tif", "after.tif")]
    for k, file in enumerate(files):
        frame = tifffile.imread(scans / f"i{k}.tif")
        if k in stating:
            write_image(file, frame, imagej=imagej)
        else:
            tifffile.imwrite(file, frame)
    code, _, err = outcome_of(capsys, *files, "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    detected = json.loads((tmp_path / "out" / "particles.json").read_text())["pairs"][0]
    assert detected["pixel_um"] == pytest.approx(PIXEL_UM, rel=1e-3)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (((0.1, 0.1), (0.2, 0.2)), "has pixels of 0.1 µm but"),
        (((0.1, 0.1), (0.1, 0.2)), "pixels of 0.2 × 0.1 µm are not square"),
    ],
)
def test_images_of_other_pixels_are_refused(scans, tmp_path, capsys, sizes, message):
    files = [tmp_path / name for name in ("before.tif", "after.tif")]
    for k, (file, size) in enumerate(zip(files, sizes, strict=True)):
        write_image(file, tifffile.imread(scans / f"i{k}.tif"), size)
    code, _, err = outcome_of(capsys, *files, "-o", tmp_path / "out")
    assert code == 1
    assert message in err
    code, _, err = outcome_of(capsys, *files, "-o", tmp_path / "out", "--pixel-um", PIXEL_UM)
    assert (code, err) == (0, "")


# --- several times ---


@pytest.fixture(scope="module")
def several(scans, tmp_path_factory):
    out = tmp_path_factory.mktemp("several") / "out"
    files = [str(scans / f"s{k}.ome.tif") for k in range(3)]
    with undrawn():
        assert lee_cli(["particles", *files, "-o", str(out), "--interval-s", "30", "--trackpy"]) == 0
    return out


def test_each_scan_is_held_against_the_one_before(several):
    table = read_table(several / "particles.csv")
    assert sorted(table["time_s"].unique()) == [30.0, 60.0]
    assert (table["time_s"] == 30).sum() == pytest.approx(15, abs=3)
    assert (table["time_s"] == 60).sum() == pytest.approx(6, abs=3)
    assert sorted(table["frame"].unique()) == [0, 1]
    assert (table.loc[table["time_s"] == 60, "frame"] == 1).all()
    names = {entry.name for entry in several.iterdir()}
    assert {"density_per_um2_30s.tif", "density_per_um2_60s.tif", "density_over_time.png"} <= names
    assert len(pd.read_csv(several / "over_time.csv")) == 2
    pairs = json.loads((several / "particles.json").read_text())["pairs"]
    assert [pair["time_s"] for pair in pairs] == [30.0, 60.0]


def test_maps_of_other_times_are_overwritten_too(several, scans, tmp_path, capsys, undrawn):
    several = shutil.copytree(several, tmp_path / "several")
    code, _, err = outcome_of(
        capsys, scans / "i0.png", scans / "i1.png", "-o", several, "--pixel-um", PIXEL_UM, "--overwrite"
    )
    assert (code, err) == (0, "")
    assert not list(several.glob("density_per_um2_*s.tif"))


def test_a_run_gives_the_times_and_some_can_be_chosen(tmp_path, capsys, undrawn):
    folder = tmp_path / "run"
    law = rig.GrowthLaw((rig.Phase("plating", 100.0, (5.0, 5.0)),))
    nuclei = [
        rig.Nucleus(5.0 + 4 * (k % 5), 5.0 + 4 * (k // 5), 300.0, born_s=born, growth_s=0.5)
        for k, born in enumerate([5.0] * 5 + [15.0] * 6 + [25.0] * 7)
    ]
    scene = rig.GrowingScene(
        rig.Scene(SCENE.height_um, SCENE.reflectance, PIXEL_UM, nuclei=nuclei), law, texture_s=np.inf
    )
    rig.render_run(folder, scene, scans=4, interval_s=10.0, frames_per_s=200.0, z_um=Z_UM)
    code, out, err = outcome_of(capsys, folder, "-o", tmp_path / "out", "--at-s", "11,31")
    assert (code, err) == (0, "")
    table = read_table(tmp_path / "out" / "particles.csv")
    assert sorted(table["time_s"].unique()) == [10.0, 30.0]
    assert (table["time_s"] == 10).sum() == pytest.approx(5, abs=2)
    assert (table["time_s"] == 30).sum() == pytest.approx(7, abs=2)
    assert [line.split(":")[0] for line in out.splitlines()[:2]] == ["10 s", "30 s"]


# --- folders that are there already ---


def test_a_result_is_overwritten_only_when_asked(done, scans, tmp_path, capsys, undrawn):
    done = shutil.copytree(done, tmp_path / "done")
    made = (done / "particles.json").stat().st_mtime_ns
    arguments = [scans / "i0.png", scans / "i1.png", "--pixel-um", PIXEL_UM, "-o", done]
    code, _, err = outcome_of(capsys, *arguments)
    assert code == 1
    assert (
        f"{done} exists already: choose another output name, or replace it (--overwrite, overwrite=True)"
        in err
    )
    assert (done / "particles.json").stat().st_mtime_ns == made
    assert outcome_of(capsys, *arguments, "--overwrite")[0] == 0
    assert not (done / "by_curvature.csv").exists()


def test_a_folder_of_other_things_is_never_overwritten(scans, tmp_path, capsys):
    (tmp_path / "thesis.doc").write_text("mine")
    code, _, err = outcome_of(
        capsys, scans / "i0.png", scans / "i1.png", "--pixel-um", 1, "-o", tmp_path, "--overwrite"
    )
    assert code == 1
    assert "also holds 'thesis.doc', which is no part of a result" in err
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.doc"]


@pytest.mark.parametrize(
    "step", ["lee.particles.results_folder.write_map", "lee.particles.figures.report.write_particle_report"]
)
def test_a_failure_leaves_nothing_behind(scans, tmp_path, capsys, monkeypatch, step):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, full)
    code, _, err = outcome_of(
        capsys, scans / "i0.png", scans / "i1.png", "--pixel-um", PIXEL_UM, "-o", tmp_path / "out"
    )
    assert code == 1
    assert "no space left to write" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


# --- calibrating ---


@pytest.mark.drawn
def test_calibrating_writes_a_curve_and_a_figure(scans, tmp_path, capsys):
    out, figure = tmp_path / "sizes.json", tmp_path / "sizes.png"
    code, printed, err = outcome_of(capsys, "calibrate", scans / "sem.csv", "-o", out, "--figure", figure)
    assert (code, err) == (0, "")
    assert re.search(r"sizes\.json: 12\d to 36\d nm for .* counts, from \d+ of 40 particles", printed)
    sizes, _, _ = Calibration.load(out).diameter(IN_GAUSSIAN * rig.intensity_counts([200.0], SCENE))
    assert sizes[0] == pytest.approx(200, rel=0.03)
    with Image.open(figure) as image:
        assert image.width > 300


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["{scans}/none.csv", "-o", "{tmp}/c.json"], 1, "none.csv"),
        (
            ["{scans}/sizes.json", "-o", "{tmp}/c.json"],
            1,
            "give a CSV table with the columns intensity_counts",
        ),
        (["{scans}/sem.csv", "-o", "{tmp}/c.txt"], 1, "a calibration is written as .json"),
        (["{scans}/sem.csv"], 2, "missing option '-o'"),
        (["{tmp}/few.csv", "-o", "{tmp}/c.json"], 1, "particles"),
    ],
)
def test_calibrations_that_cannot_be(scans, tmp_path, capsys, arguments, code, line):
    (tmp_path / "few.csv").write_text("intensity_counts,diameter_nm\n10,100\n20,120\n")
    filled = [argument.format(scans=scans, tmp=tmp_path) for argument in arguments]
    found, _, err = outcome_of(capsys, "calibrate", *filled)
    assert found == code
    assert line in err
    assert err.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["few.csv"]


# --- help, and what goes wrong ---


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["calibrate", "--help"], ["find", "--help"]])
def test_help_shows_an_example(capsys, arguments):
    code, out, err = outcome_of(capsys, *arguments)
    assert (code, err) == (0, "")
    assert "Example:" in out
    assert "lee particles " in out
    assert "Usage: lee particles" in out


def test_help_names_both_commands(capsys):
    _, out, _ = outcome_of(capsys, "--help")
    assert "BEFORE AFTER" in out
    assert "--false-alarms" in out
    assert re.search(r"Commands:\s+calibrate", out)
    assert lee_cli(["--help"]) == 0
    assert "particles" in capsys.readouterr().out


@pytest.mark.slow
def test_it_is_a_program(scans, tmp_path):
    command = [sys.executable, "-m", "lee", "particles", str(scans / "i0.png"), str(tmp_path / "none.png")]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("lee: ")
    assert "Traceback" not in done.stderr


S, T, U = (f"{{scans}}/s{k}.ome.tif" for k in range(3))


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        ([S, "{tmp}/none.ome.tif"], 1, "none.ome.tif: no such file"),
        (["{tmp}/none"], 1, "no such folder"),
        ([S], 1, "s0.ome.tif: this is one scan; give BEFORE and AFTER, or the folder of a run"),
        (["{tmp}"], 1, "holds no scans"),
        ([S, T, U], 1, "the times of these 3 scans are not known; give the seconds from scan to scan"),
        ([S, T, "--at-s", "10"], 1, "the times of the scans are not known"),
        ([S, "{scans}/i0.png"], 1, "one of before and after is a stack, the other is not"),
        (["{scans}/i0.png", "{scans}/i1.png"], 1, "give the size of its pixels (--pixel-um)"),
        ([S, T, "--calibration", "{scans}/none.json"], 1, "none.json"),
        ([S, T, "--calibration", "{tmp}/odd.json"], 1, "odd.json is not a size calibration"),
        ([S, T, "--surface", "{scans}/none"], 1, "does not exist"),
        (
            [S, T, U, "--interval-s", "5", "--surface", "{scans}/plane"],
            1,
            "one surface was given for 2 pairs",
        ),
        ([S, T, "--surface", "{scans}/small"], 1, "the frames are (112, 112) but the surface is (50, 60)"),
        ([S, T, "--false-alarms", "0"], 2, "0.0 is not in the range x>0"),
        ([S, T, "--false-alarms", "few"], 2, "'few' is not a valid float"),
        ([S, T, "--spot-sigma-px", "9"], 2, "9.0 is not in the range 0.5<=x<=6"),
        ([S, T, "--interval-s", "soon"], 2, "soon is not a time"),
        ([S, T, "--at-s", "1,soon"], 2, "soon is not a time"),
        ([S, T, "--scale-um", "much"], 2, "much is not a length"),
        ([S, T, "--pixel-um", "0"], 2, "0 is not a length"),
        ([S, T, "--frames"], 2, "no such option"),
        ([], 2, ""),
    ],
)
def test_each_fault_is_one_line(scans, tmp_path, capsys, arguments, code, line):
    (tmp_path / "odd.json").write_text("{}")
    filled = [argument.format(scans=scans, tmp=tmp_path) for argument in arguments]
    found, _, err = outcome_of(capsys, *filled, "-o", tmp_path / "out")
    assert found == code
    assert line in err
    assert err.count("\n") == 1
    assert err.startswith("lee: ")
    assert not (tmp_path / "out").exists()


def test_scans_that_do_not_fit_are_named(scans, tmp_path, capsys):
    other = rig.render_scan(rig.gentle((112, 112), PIXEL_UM, 8, relief_um=2.0), z_um=Z_UM, seed=1).frames
    write_ome_scan(tmp_path / "far.ome.tif", other, Z_UM, PIXEL_UM)
    code, _, err = outcome_of(capsys, scans / "s0.ome.tif", tmp_path / "far.ome.tif", "-o", tmp_path / "out")
    assert code == 1
    assert "s0.ome.tif and far.ome.tif: particles: before and after share only" in err
    assert not (tmp_path / "out").exists()
