"""CONTRIBUTING.md against the source: "How to add" lists what an addition touches, and no more."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.repository.test_arrows import MAY_IMPORT
from tests.support.repository_files import CODE, FILES, KERNELS, ROOT, name_of

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
HOW_TO = TEXT.split("## How to add")[1].split("\n## ")[0]
SECTIONS = {part.split("\n", 1)[0]: part for part in HOW_TO.split("\n### ")[1:]}
MOST = {
    "A kernel": 12,
    "A stack reader": 3,
    "A camera": 3,
    "A stage": 3,
    "An exporter": 3,
    "A focus measure": 3,
    "A reaction of the twin": 3,
}
BUILT = [path for path in FILES if path.suffix in CODE or path.name in ("CMakeLists.txt", "pyproject.toml")]
SCALAR = [path for path in BUILT if path.parent.name != "simd"]


def listed(section: str) -> list[str]:
    """The files of a section's table; <word> stands for the name of what is added."""
    return re.findall(r"^\| `([^`]+)` \|", SECTIONS[section], re.MULTILINE)


def matches(name: str, patterns: list[str]) -> bool:
    return any(re.fullmatch(re.sub(r"<[^>]+>", r"[\\w/]+", re.escape(pattern)), name) for pattern in patterns)


def package_files_with(word: str) -> set[str]:
    """Files of the package in which a word stands."""
    found = re.compile(rf"\b{word}\b")
    return {
        name_of(path)
        for path in BUILT
        if name_of(path).startswith("python/lee/") and found.search(path.read_text())
    }


def test_each_list_is_short():
    assert set(SECTIONS) == set(MOST)
    for section, most in MOST.items():
        assert 0 < len(listed(section)) <= most, section


@pytest.mark.parametrize("section", MOST)
def test_listed_files_exist(section):
    names = [name_of(path) for path in FILES]
    for pattern in listed(section):
        assert any(matches(name, [pattern]) for name in names), pattern


@pytest.mark.parametrize("section", MOST)
def test_a_toy_one_is_added_by_a_test(section):
    shown = re.findall(r"Shown by\s+`(tests/[^`]+)`", SECTIONS[section])
    assert shown, f"{section}: name the test that adds a toy one"
    for name in shown:
        assert re.search(r"[Tt]oy|register_", (ROOT / name).read_text()), name


# --- a kernel ---


def plain(stem: str) -> str:
    return re.sub(r"^(test|bench)_", "", stem)


def test_the_list_of_a_kernel_is_every_place_of_its_stem():
    """What is named for each of the kernels, and what names them all; none needs vector code (simd/)."""
    named = set.intersection(
        *(
            {name_of(path).replace(kernel, "<stem>") for path in SCALAR if plain(path.stem) == kernel}
            for kernel in KERNELS
        )
    )
    camel = {kernel: "".join(part.capitalize() for part in kernel.split("_")) for kernel in KERNELS}

    def names_all(path: Path) -> bool:
        text = path.read_text()
        return all(
            re.search(rf"(?<![A-Za-z]){kernel}(?![A-Za-z])|\b{camel[kernel]}\b", text) for kernel in KERNELS
        )

    shared = {name_of(path) for path in BUILT if names_all(path)}
    tests = set(re.findall(r"`(tests/[^`]+<stem>[^`]*)`", SECTIONS["A kernel"]))
    parts = {"cpp/common/<stem>_<part>.hpp"}
    assert set(listed("A kernel")) | tests == named | shared | parts


# --- what a registry holds ---


def test_the_list_of_an_exporter_is_every_place_of_one():
    from lee.export.registry import exporters

    for exporter in exporters().values():
        for name in package_files_with(type(exporter).__name__):
            assert matches(name, listed("An exporter")), name


def test_the_list_of_a_reader_is_every_place_of_one():
    from lee.stacks.registry import readers

    for reader in readers().values():
        for name in package_files_with(type(reader).__name__):
            assert matches(name, listed("A stack reader")), name


def test_the_list_of_a_focus_measure_is_every_place_of_one():
    from lee.reconstruction.focus.registry import focus_measure, focus_names

    for name in focus_names():
        for file in package_files_with(type(focus_measure(name)).__name__):
            assert matches(file, listed("A focus measure")), file


def test_the_list_of_a_reaction_is_every_place_of_one():
    from lee.twin.electrode.reactions import DEFAULT

    named = "".join(part.capitalize() for part in DEFAULT.split("_"))
    for file in package_files_with(named):
        assert matches(file, listed("A reaction of the twin")), file


@pytest.mark.parametrize("section", ["A camera", "A stage"])
def test_the_list_of_a_device_is_every_place_of_one(section):
    """Its room, and the registry: nothing else imports a driver or names it."""
    from lee.devices.registry import camera_drivers, stage_drivers

    registry = camera_drivers if section == "A camera" else stage_drivers
    for driver in registry.names:
        home = registry[driver].__module__.rpartition(".")[0]
        room = f"python/{home.replace('.', '/')}/"
        if driver == "virtual":  # simulations of both, which share the wire of the pulses
            continue
        for name in package_files_with(re.escape(home)) | package_files_with(registry[driver].__name__):
            assert name.startswith(room) or matches(name, listed(section)), name


def test_groups_of_entry_points_are_named():
    groups = {
        group
        for path in BUILT
        if name_of(path).startswith("python/lee/") and "entry_points" in path.read_text()
        for group in re.findall(r'"(lee\.\w+)"', path.read_text())
    }
    assert groups == set(re.findall(r"entry point of the group `(lee\.\w+)`", HOW_TO))
    described = re.findall(r"^#   (lee\.\w+) ", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert groups == set(described)


# --- the rest of the page ---


def test_the_house_has_all_rooms_in_the_order_of_the_arrows():
    picture = TEXT.split("## The house")[1].split("```")[1]
    floors = [re.findall(r"\b[a-z]+\b", line[:24]) for line in picture.strip().splitlines()]
    rooms = [room for floor in floors for room in floor]
    assert sorted(rooms) == sorted(MAY_IMPORT)
    for k, floor in enumerate(floors):
        below = {room for lower in floors[k + 1 :] for room in lower}
        for room in floor:
            assert set(MAY_IMPORT[room]) <= below, room


def test_the_make_targets_exist():
    targets = re.findall(r"^\| `make ([\w-]+)`", TEXT, re.MULTILINE)
    done = subprocess.run(["make", *targets, "-n"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_files_it_names_exist():
    for name in re.findall(r"`((?:tests|bench|python|cpp)/[\w./]+)`", TEXT):
        assert (ROOT / name).exists(), name


def test_a_term_stands_once_in_the_glossary():
    rows = re.findall(r"^\| (.+?) \| .+ \|$", TEXT.split("## Glossary")[1], re.MULTILINE)[1:]
    terms = [term.strip() for row in rows for term in row.split(",")]
    assert len(terms) == len(set(terms)) > 40


def test_the_citation_agrees_with_the_package():
    version = re.search(r"project\(lee VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())
    assert version is not None
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {version.group(1)}\n" in citation
    assert "\nlicense: BSD-3-Clause\n" in citation
    package = (ROOT / "pyproject.toml").read_text()
    assert "name: the lee developers" in citation
    assert 'name = "the lee developers"' in package
