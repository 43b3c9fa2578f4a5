"""Every command and snippet of the README runs, as it stands there, in a folder where `lee demo` was run."""

import importlib.metadata
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from lee.demo import run_demo
from tests.readme import BLOCKS, README, ROOT, blocks, commands, only


def ran(command, folder, **environment):
    done = subprocess.run(
        command, shell=isinstance(command, str), cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A PATH on which `lee` is that of this interpreter."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "lee").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lee "$@"\n')
    (folder / "lee").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="module")
def after_demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    run_demo(folder / "demo")
    return folder


def test_every_block_is_of_a_kind_that_is_run():
    assert {language for language, _ in BLOCKS} == {"sh", "python", "python cuda", "cpp", "cmake"}
    programs = {line.split()[0] for text in blocks("sh") for line in text.splitlines()}
    assert programs == {"make", "lee", "cmake"}


def test_the_make_targets_exist():
    assert commands("make") == ["make demo", "make test"]
    for line in commands("make"):
        # Only what it would do: running the tests from within the tests would not end.
        done = subprocess.run([*line.split(), "-n"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert ("lee demo -o demo" if line.endswith("demo") else "pytest") in done.stdout


def test_the_commands_run_one_after_the_other(after_demo, programs):
    for line in commands("lee"):
        ran(line, after_demo, PATH=programs)
    made = {path.name for path in after_demo.iterdir()}
    assert {"surface", "stepped", "electrode.x3p", "view.png", "nuclei", "calibration.json"} <= made
    named = set(re.findall(r"`(\w+\.(?:tif|glb|png|json))`", README)) - {"view.png"}
    assert named == {path.name for path in (after_demo / "surface").iterdir()}


def test_the_python_snippet_runs(after_demo):
    done = ran([sys.executable, "-c", only("python")], after_demo)
    measured, *table = done.stdout.splitlines()
    assert re.fullmatch(r"\d+% measured, pixels of 0.25 um", measured)
    assert table[0].split() == ["x_um", "y_um", "z_um", "intensity_counts", "snr", "flag"]
    assert re.fullmatch(r"\[\d{2,} rows x 6 columns\]", table[-1])
    assert (after_demo / "from_python" / "surface.json").is_file()
    assert (after_demo / "electrode.ply").is_file()


def test_the_cuda_snippet_runs(cuda):
    heights = np.arange(20) * 0.25
    contrast = np.exp(-0.5 * (heights - 2.5) ** 2)[:, None, None]
    images = 100 + 90 * contrast * np.random.default_rng(0).uniform(-1, 1, (24, 28))
    names = {"frames": cuda.array(images.astype(np.uint8)), "z_um": heights}
    exec(compile(only("python cuda"), "README.md", "exec"), names)
    assert np.abs(cuda.numpy(names["height_um"]) - 2.5).max() < 0.1


def test_links_and_extras_exist():
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert link.startswith("http") or (ROOT / link).is_file(), link
    extras = set(importlib.metadata.metadata("lee-microscopy").get_all("Provides-Extra") or [])
    table = README.split("| extra |")[1].split("\n\n")[0]
    for row in table.splitlines()[2:]:
        assert set(re.findall(r"`(\w+)`", row.split("|")[1])) <= extras


def test_it_is_short():
    assert len(README.splitlines()) < 200
