"""The export to COMSOL: Java that runs against stand-ins, the same calls from Python, mesh and maps."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lee.errors import InputError, MissingDependency
from lee.twin import Cell
from lee.twin.comsol import export as comsol
from lee.twin.comsol.export import export_comsol
from lee.twin.comsol.model import record_model
from lee.twin.comsol.recorder import Call, InFolder, Recorder
from lee.twin.mesh.columns import MeshSize, make_columns

STUBS = Path(__file__).parents[1] / "support/comsol_stubs"
PIXEL_UM = 2.0
SIZE = MeshSize(columns=(5, 7), layers=4)
needs_java = pytest.mark.skipif(
    not (shutil.which("javac") and shutil.which("java")), reason="no javac: apt install default-jdk-headless"
)


def surface():
    y, x = np.mgrid[:30, :42] * PIXEL_UM
    return 8 * np.sin(x / 12) + 0.1 * y


def export(folder, **changed):
    options = {"pixel_um": PIXEL_UM, "cell": Cell(), "times_s": [1, 100], "mesh": SIZE, "build": "never"}
    return export_comsol(surface(), folder, **(options | changed))


def compiled(folder, out):
    """Compile the stand-ins and the export; return what it prints when it runs."""
    sources = [*map(str, STUBS.rglob("*.java")), str(folder / "LeeTwin.java")]
    done = subprocess.run(
        ["javac", "-Xlint:all", "-Werror", "-d", str(out), *sources], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ran = subprocess.run(
        ["java", f"-Dlee.folder={folder.resolve()}", "-cp", str(out), "LeeTwin"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ran.stdout.splitlines()


PLAY = """
import pathlib, sys
import jpype
jpype.startJVM(classpath=[sys.argv[1]])
sys.path.insert(0, sys.argv[3])
from tests.twin.test_comsol import SIZE, surface, recorded
model = jpype.JClass("com.comsol.model.util.ModelUtil").create("Model")
for part in ("parameters", "build", "solve"):
    recorded().play(model, part, pathlib.Path(sys.argv[2]))
jpype.java.lang.System.out.flush()
"""


def recorded(cell=None):
    cell = cell or Cell()
    columns = make_columns(surface(), pixel_um=PIXEL_UM, cell=cell, size=SIZE)
    return record_model(
        cell, columns, np.array([1.0, 100.0]), results=comsol.RESULTS,
        files=(comsol.MESH, comsol.HEIGHT, comsol.EXCHANGE, comsol.EFFICIENCY),
    )  # fmt: skip


@needs_java
def test_the_java_compiles_and_makes_the_calls_that_python_makes(tmp_path):
    pytest.importorskip("jpype")
    folder, out = export(tmp_path / "twin"), tmp_path / "classes"
    printed = compiled(folder, out)
    assert len(printed) > 100
    played = subprocess.run(
        [sys.executable, "-c", PLAY, str(out), str(folder), str(Path(__file__).parents[2])],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert played.returncode == 0, played.stderr
    assert played.stdout.splitlines() == printed
    assert any(str(folder.resolve() / "mesh.mphtxt") in line for line in printed)


@pytest.mark.slow
@needs_java
@pytest.mark.parametrize("cell", [Cell(gap_um=500.0), Cell(current_density_ma_per_cm2=0.0)])
def test_closed_and_idle_cells_compile_too(tmp_path, cell):
    printed = compiled(export(tmp_path / "twin", cell=cell), tmp_path / "classes")
    closed = cell.gap_um is not None
    assert any("-ianode" in line for line in printed) == closed
    assert any("DirichletBoundary" in line for line in printed) != closed
    assert not any("/0.0" in line for line in printed)


def test_the_equations_are_the_twins():
    """Signs and factors, evaluated from the recorded text itself."""
    text = "\n".join(recorded().java("build"))
    found = dict(re.findall(r'\.set\("(\w+)", "([^"]+)", "[^"]+"\);', text))
    given = dict(re.findall(r'set\("(\w+)", "([^"]+)"', "\n".join(recorded().java("parameters"))))
    cell = Cell()
    c, psi, v = 1650.0, -0.02, -0.15
    names = {name: float(value) for name, value in given.items()}
    names |= {"c": c, "psi": psi, "V_el": v, "eps": 2e-16, "x": 0.0, "y": 0.0, "log": np.log, "exp": np.exp}
    names |= {"max": max, "i0_map": lambda x, y: 30.0, "efficiency_map": lambda x, y: 0.8}
    for name in ("phi", "eta", "iloc", "rate"):
        names[name] = eval(found[name].replace("^", "**"), {}, names)
    thermal = cell.thermal_voltage_v
    phi = psi + thermal * cell.diffusion_potential * np.log(c / 2000)
    eta = v - phi
    current = 30 * (c / 2000) ** 0.5 * (np.exp(-0.5 * eta / thermal) - np.exp(1.5 * eta / thermal))
    assert names["iloc"] == pytest.approx(current)
    assert current > 0
    assert names["rate"] * 1e9 == pytest.approx(0.8 * cell.growth_nm_per_s * current / 800)
    flux = [eval(g, {}, names) for g in re.findall(r'feature\("flux1"\)\.setIndex\("g", "([^"]+)"', text)]
    # COMSOL: -n . Gamma = g. Plating takes (1 - t+) / (z F) of salt and the current out of the electrolyte.
    assert flux == pytest.approx([-0.602 * current / (2 * 96485.33212), -current])
    # At the start the potential falls from the plane to the electrode, and the total current is nearly right.
    start = re.search(r'feature\("init1"\)\.set\("psi", "([^"]+)"', text).group(1)
    low = eval(start, {}, names | {"z": names["z_top"]})
    assert low == pytest.approx(-800 * 100e-6 / 5)
    assert names["V_start"] - low == pytest.approx(cell.overpotential_v)


def test_the_mesh_is_whole_and_turned_the_right_way(tmp_path):
    folder = export(tmp_path / "twin")
    place, quads, faces, hexes, domains = read_mphtxt(folder / "mesh.mphtxt")
    assert place.shape == (6 * 8 * 5, 3)
    assert hexes.shape == (5 * 7 * 4, 8)
    assert set(domains) == {1}
    # Corners run x, y, z: the edges at the first corner span a right-handed box of positive volume.
    corner = place[hexes]
    edges = [corner[:, k] - corner[:, 0] for k in (1, 2, 4)]
    assert (np.einsum("ij,ij->i", np.cross(edges[0], edges[1]), edges[2]) > 0).all()
    assert sorted(set(faces)) == list(range(6))
    # Each outer face of a hexahedron is one quadrilateral, and there are no others.
    sides = [
        tuple(sorted(row[list(side)]))
        for row in hexes
        for side in (
            (0, 1, 2, 3), (4, 5, 6, 7), (0, 1, 4, 5), (2, 3, 6, 7), (0, 2, 4, 6), (1, 3, 5, 7),
        )
    ]  # fmt: skip
    counted = {side: sides.count(side) for side in set(sides)}
    assert {tuple(sorted(q)) for q in quads} == {side for side, count in counted.items() if count == 1}
    # The electrode's heights, y turned: rows run down the image.
    columns = make_columns(surface(), pixel_um=PIXEL_UM, cell=Cell(), size=SIZE)
    bottom = place[np.unique(quads[faces == 0])]
    order = np.lexsort((bottom[:, 0], bottom[:, 1]))
    assert np.allclose(bottom[order, 2].reshape(6, 8), columns.height_um[::-1] * 1e-6, atol=1e-15)
    # What the boxes of the model's selections hold.
    middle = float(re.search(r'"zmax", "([^"]+)"', "\n".join(recorded().java("build"))).group(1))
    inside = [(place[quads[faces == k]][..., 2] <= middle).all() for k in range(6)]
    above = [(place[quads[faces == k]][..., 2] >= middle).all() for k in range(6)]
    assert inside == [True, *[False] * 5]
    assert above == [False, True, *[False] * 4]


def read_mphtxt(path):
    """Read the format as its documentation describes it, comments dropped."""
    words = [w for line in path.read_text().splitlines() for w in line.split("#")[0].split()]
    at = words.index("Mesh")
    assert words[:at] == ["0", "1", "1", "5", "mesh1", "1", "3", "obj", "0", "0", "1", "4"]
    assert words[at + 1 : at + 3] == ["4", "3"]
    count, lowest = int(words[at + 3]), int(words[at + 4])
    assert lowest == 0
    at += 5
    place = np.array(words[at : at + 3 * count], float).reshape(-1, 3)
    at += 3 * count
    blocks = []
    kinds = int(words[at])
    at += 1
    for name, corners in (("quad", 4), ("hex", 8))[:kinds]:
        assert words[at : at + 3] == [str(len(name)), name, str(corners)]
        n = int(words[at + 3])
        at += 4
        elements = np.array(words[at : at + corners * n], int).reshape(-1, corners)
        at += corners * n
        assert int(words[at]) == n
        blocks += [elements, np.array(words[at + 1 : at + 1 + n], int)]
        at += 1 + n
    assert at == len(words)
    return place, *blocks


def test_maps_are_written_as_grids_with_y_up(tmp_path):
    exchange = np.full(surface().shape, 30.0)
    exchange[0, 5] = 45.0
    folder = export(tmp_path / "twin", exchange_current=exchange)
    lines = (folder / "exchange_current.txt").read_text().splitlines()
    assert (lines[0], lines[3]) == ("% Grid", "% Data (exchange_current)")
    x, y = (np.array(line.split(), float) for line in lines[1:3])
    assert np.allclose(x, (np.arange(42) + 0.5) * 2e-6)
    assert np.allclose(y, (np.arange(30) + 0.5) * 2e-6)
    values = np.loadtxt(lines[4:])
    assert values.shape == (30, 42)
    # Times the area that the mesh smooths away, alike in neighbouring pixels.
    assert values[-1, 5] == pytest.approx(1.5 * (values[-1, 4] + values[-1, 6]) / 2, rel=0.01)
    assert values[-1, 5] == pytest.approx(45.0, rel=0.1)
    heights = np.loadtxt((folder / "height.txt").read_text().splitlines()[4:])
    assert np.allclose(heights[::-1], surface() * 1e-6, rtol=1e-6)
    assert np.loadtxt((folder / "efficiency.txt").read_text().splitlines()[4:]).mean() == 1.0
    export(folder, efficiency=0.8, overwrite=True)
    assert np.unique(np.loadtxt((folder / "efficiency.txt").read_text().splitlines()[4:])) == [0.8]


def test_the_folder_states_what_it_is(tmp_path):
    folder = export(tmp_path / "twin")
    assert {entry.name for entry in folder.iterdir()} == {
        "LeeTwin.java", "mesh.mphtxt", "height.txt", "exchange_current.txt", "efficiency.txt", "cell.toml",
        "README.txt",
    }  # fmt: skip
    readme = (folder / "README.txt").read_text()
    assert "NOT VERIFIED AGAINST COMSOL" in readme
    assert "comsol compile LeeTwin.java" in readme
    assert "Not verified against COMSOL" in (folder / "LeeTwin.java").read_text()
    assert Cell.load(folder / "cell.toml") == Cell()
    with pytest.raises(InputError, match="exists already"):
        export(folder)
    export(folder, overwrite=True)


def test_without_comsol_the_model_is_not_built(tmp_path, monkeypatch):
    discovery = pytest.importorskip("mph.discovery")

    def nothing():
        raise RuntimeError("Could not find a supported Comsol installation.")

    monkeypatch.setattr(discovery, "backend", nothing)
    assert not (export(tmp_path / "auto", build="auto") / "model.mph").exists()
    with pytest.raises(MissingDependency, match=r"no COMSOL found.*the \.java export needs none"):
        export(tmp_path / "always", build="always")
    assert not (tmp_path / "always").exists()


def test_a_missing_mph_is_reported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mph", None)
    with pytest.raises(MissingDependency, match=r'mph is missing.*pip install "\.\[twin\]" in the folder'):
        export(tmp_path / "twin", build="always")
    assert (export(tmp_path / "twin", build="auto") / "LeeTwin.java").is_file()


def test_with_comsol_the_same_calls_are_played_and_saved(tmp_path, monkeypatch):
    session = pytest.importorskip("mph.session")
    made = []

    class Played:
        """A model that notes the calls made on it."""

        def __init__(self, message=""):
            self.message = message

        def __getattr__(self, name):
            def call(*arguments):
                made.append(name)
                return Played()

            return call

    class Model:
        java = Played()

        def save(self, path):
            Path(path).write_bytes(b"model")

    class Client:
        removed = False

        def create(self, name):
            return Model()

        def remove(self, model):
            Client.removed = True

    monkeypatch.setattr(session, "start", Client)
    monkeypatch.setattr(comsol, "_backend", lambda: None)
    monkeypatch.setattr("lee.twin.comsol.recorder._for_java", lambda value, folder: value)
    folder = export(tmp_path / "twin", build="always")
    assert (folder / "model.mph").read_bytes() == b"model"
    assert Client.removed
    calls = sum(
        len(entry.steps)
        for part in ("parameters", "build")
        for entry in recorded().parts[part]
        if isinstance(entry, Call)
    )
    assert len(made) == calls

    def refuse():
        raise OSError("no licence\nfor this")

    monkeypatch.setattr(session, "start", refuse)
    with pytest.raises(InputError, match=r"COMSOL does not start \(no licence\)"):
        export(tmp_path / "other", build="always")


def test_arguments_become_java():
    recorder = Recorder()
    recorder.part("one")
    recorder.comment("why")
    recorder.do(Call().a('say "µm"\\').b(1, 2.5, True, False).c(["x"], [1, 2], [["p", "q"]], InFolder("f")))
    assert recorder.java("one") == [
        "// why",
        'model.a("say \\"\\u00b5m\\"\\\\").b(1, 2.5, true, false).c(new String[]{"x"}, new int[]{1, 2}, '
        'new String[][]{{"p", "q"}}, inFolder("f"));',
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"times_s": []}, "times_s must be rising times above 0 s"),
        ({"times_s": [10, 1]}, "times_s must be rising"),
        ({"build": "maybe"}, "build is 'maybe'"),
        ({"efficiency": np.full((30, 42), 1.6)}, "efficiency must be finite and between 0 and 1.5"),
        ({"exchange_current": np.ones((3, 3))}, r"exchange_current is \(3, 3\), the surface \(30, 42\)"),
        ({"exchange_current": np.full((30, 42), np.nan)}, "exchange_current must be finite"),
    ],
)
def test_what_cannot_be_exported_is_refused(tmp_path, changed, message):
    with pytest.raises(InputError, match=message):
        export(tmp_path / "twin", **changed)
    assert not (tmp_path / "twin").exists()


def read_grid(path):
    lines = path.read_text().splitlines()
    return np.array(lines[1].split(), float), np.array(lines[2].split(), float), np.loadtxt(lines[4:])


@pytest.mark.parametrize(
    "cell", [Cell(), pytest.param(Cell(gap_um=150.0), marks=pytest.mark.slow)], ids=["stirred", "closed"]
)
def test_what_was_written_gives_the_twins_concentrations_when_it_is_solved(tmp_path, cell):
    pytest.importorskip("ngsolve")
    from lee.twin import solve
    from tests.support.comsol_reading import Reading

    exchange = 30 * (1 + 0.5 * np.arange(42) / 42) * np.ones((30, 42))
    folder = export(tmp_path / "twin", cell=cell, exchange_current=exchange)
    place, quads, faces, hexes, _ = read_mphtxt(folder / "mesh.mphtxt")
    grids = {
        "height_m": read_grid(folder / "height.txt"),
        "i0_map": read_grid(folder / "exchange_current.txt"),
        "efficiency_map": read_grid(folder / "efficiency.txt"),
    }
    concentration, electrode_v = Reading(recorded(cell), place, quads, faces, hexes, grids).solve(5.0, 5)
    twin = solve(
        surface(),
        pixel_um=PIXEL_UM,
        cell=cell,
        times_s=[5.0],
        mesh=SIZE,
        exchange_current=exchange,
        report=None,
    )
    # Rows run down the image; in the model y runs up it.
    expected = twin.fields.concentration_mol_per_l[0][::-1].ravel() * 1e3
    used_up = 2000 - expected.min()
    assert used_up > 200
    assert np.abs(concentration - expected).max() < 0.01 * used_up
    assert electrode_v == pytest.approx(twin.electrode_v[0], abs=1e-4)
