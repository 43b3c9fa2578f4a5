"""A stack format from outside is read like a built-in one, registered or offered by an entry point."""

from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from lee.errors import InputError
from lee.runs.run import open_run
from lee.stacks import registry
from lee.stacks.array import ArraySource
from lee.stacks.reader import FrameSource, StackReader
from lee.stacks.stack import open_stack

FRAMES = np.random.default_rng(5).integers(0, 256, (4, 5, 6), dtype=np.uint8)


class ToyReader:
    """Frames of 5 by 6 pixels, one after the other: a reader with no base class of lee's."""

    name = "toy"
    reads = "a .toy file"

    def recognises(self, path: Path) -> bool:
        return path.suffix == ".toy"

    def open(self, path: Path) -> FrameSource:
        frames = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 5, 6)
        return ArraySource(frames, str(path), copy=True, metadata={"format": "toy"})


class ToyTiffReader(ToyReader):
    """A special kind of TIFF."""

    name = "toy TIFF"

    def recognises(self, path: Path) -> bool:
        return path.name.endswith(".toy.tif")


class NoReader:
    name = "toy"


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    (tmp_path / "scan.toy").write_bytes(FRAMES.tobytes())
    return tmp_path / "scan.toy"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    registry.register_reader(ToyReader())


def offer(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let `importlib.metadata` find these objects of this module."""

    def entry_points(*, group: str) -> list[EntryPoint]:
        return [EntryPoint(name, f"{__name__}:{name}", group) for name in names if group == "lee.stacks"]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    monkeypatch.setattr(registry, "installed", registry.installed.__wrapped__)


@pytest.fixture(params=["registered", "entry point"])
def offered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "registered":
        request.getfixturevalue("registered")
    else:
        offer(monkeypatch, "ToyReader")


@pytest.mark.usefixtures("offered")
def test_a_toy_format_is_opened_and_calibrated(stack: Path) -> None:
    with open_stack(stack, z_step_um=2, pixel_um=0.5) as opened:
        np.testing.assert_array_equal(list(opened), FRAMES)
        assert opened.metadata["format"] == "toy"
        assert opened.z_um.tolist() == [0, 2, 4, 6]
    with pytest.raises(InputError, match=r"scan\.toy: the stack has no z positions; give them"):
        open_stack(stack)


@pytest.mark.usefixtures("offered")
def test_a_run_finds_its_scans(stack: Path) -> None:
    (stack.parent / "notes.txt").write_text("")
    stack.rename(stack.with_name("scan1.toy"))
    stack.with_name("scan2.toy").write_bytes(FRAMES.tobytes())
    run = open_run(stack.parent, interval_s=60, z_step_um=2, pixel_um=0.5)
    assert [scan.name for scan in run.scans] == ["scan1.toy", "scan2.toy"]


@pytest.mark.usefixtures("offered")
def test_the_error_lists_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(InputError, match=r"is not a stack; give .*a \.toy file.* or a microscope's file"):
        open_stack(tmp_path / "a.txt")


def test_a_special_kind_of_a_known_format_may_have_a_reader_of_its_own(
    stack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, "ToyTiffReader")
    special = stack.rename(stack.with_name("scan.toy.tif"))
    assert open_stack(special, z_step_um=1, pixel_um=1).metadata["format"] == "toy"


def test_every_built_in_format_is_a_reader_that_leaves_others_alone(tmp_path: Path) -> None:
    (tmp_path / "a.unknown").write_bytes(b"?")
    names = [*("OME-Zarr", "NDTiff", "TIFF", "Micro-Manager images", "image folder", "npy")]
    names += ["recorded scan", "video", "bioio"]
    assert list(registry.readers()) == names
    for name, reader in registry.readers().items():
        assert isinstance(reader, StackReader)
        assert reader.name == name
        assert reader.reads
        assert not reader.recognises(tmp_path)
        assert not reader.recognises(tmp_path / "a.unknown")


def test_a_broken_entry_point_is_skipped_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "Missing", "NoReader", "ToyReader")
    with pytest.warns(UserWarning, match="a stack reader of another package is skipped") as warned:
        assert "toy" in registry.readers()
    messages = [str(warning.message) for warning in warned]
    assert len(messages) == 2
    assert "no attribute 'Missing'" in messages[0]
    assert "is not a stack reader; it needs name, reads, recognises() and open()" in messages[1]


def test_a_name_belongs_to_one_reader(registered: None) -> None:
    with pytest.raises(InputError, match="register_reader: there is a reader 'toy' already"):
        registry.register_reader(ToyReader())
