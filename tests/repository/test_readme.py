"""The README agrees with the program.

Its commands and its Python run in tests/demo/test_whole.py, its C++ in test_install.py.
"""

import importlib.metadata
import re
import subprocess

import numpy as np

from tests.support.readme import BLOCKS, README, ROOT, blocks, commands, only


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
