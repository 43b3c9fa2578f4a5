"""A format from outside is offered like a built-in one: registered in the process, or by an entry point."""

from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from lee.cli import run
from lee.errors import InputError
from lee.export import registry
from lee.export.exporter import Exporter, ExportOptions, Holds
from lee.surfaces.surface import Surface


class ToyExporter:
    """The mean height as text: a format with no base class of lee's."""

    suffix = ".toy"
    holds: Holds = "height map"
    summary = "the mean height in µm"
    companions: tuple[str, ...] = (".note",)

    def write(self, surface: Surface, path: Path, options: ExportOptions) -> None:
        height_um = surface.height_filled_um if options.filled else surface.height_um
        path.write_text(f"{np.nanmean(height_um):.3f} um\n")
        path.with_suffix(".note").write_text(path.name)


class NoExporter:
    suffix = ".toy"


@pytest.fixture
def surface() -> Surface:
    height = np.array([[1, 2], [3, np.nan]], np.float32)
    filled = np.nan_to_num(height, nan=6.0)
    none = np.full_like(height, np.nan)
    return Surface(height, filled, none, np.isfinite(height), none, 0.5)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    registry.register_exporter(ToyExporter())


def offer(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let `importlib.metadata` find these objects of this module."""
    entries = [EntryPoint(name, f"{__name__}:{name}", registry.ENTRY_POINTS) for name in names]
    monkeypatch.setattr(
        registry, "entry_points", lambda *, group: entries if group == "lee.exporters" else []
    )


@pytest.fixture(params=["registered", "entry point"])
def offered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "registered":
        request.getfixturevalue("registered")
    else:
        offer(monkeypatch, "ToyExporter")


@pytest.mark.usefixtures("offered")
def test_a_toy_format_is_written_with_its_companion(tmp_path: Path, surface: Surface) -> None:
    assert surface.export(tmp_path / "m.toy") == tmp_path / "m.toy"
    assert (tmp_path / "m.toy").read_text() == "2.000 um\n"
    assert (tmp_path / "m.note").read_text() == "m.toy"
    with pytest.raises(InputError, match=r"m\.toy exists already"):
        surface.export(tmp_path / "m.toy", filled=True)
    (tmp_path / "m.toy").unlink()
    with pytest.raises(InputError, match=r"m\.note exists already"):
        surface.export(tmp_path / "m.toy", filled=True)
    surface.export(tmp_path / "m.toy", filled=True, overwrite=True)
    assert (tmp_path / "m.toy").read_text() == "3.000 um\n"


@pytest.mark.usefixtures("offered")
def test_the_help_and_the_error_list_it(capsys: pytest.CaptureFixture[str], surface: Surface) -> None:
    assert run(["export", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert ".toy height map: the mean height in µm" in shown
    with pytest.raises(InputError, match=r"use one of \.glb, .*\.blend, \.toy$"):
        surface.export("m.unknown")


def test_every_built_in_format_is_an_exporter() -> None:
    for suffix, exporter in registry.exporters().items():
        assert isinstance(exporter, Exporter)
        assert exporter.suffix == suffix == suffix.lower()
        assert exporter.summary


def test_a_broken_entry_point_is_skipped_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "Missing", "NoExporter", "ToyExporter")
    with pytest.warns(UserWarning, match="an exporter of another package is skipped") as warned:
        found = registry.exporters()
    assert ".toy" in found
    messages = [str(warning.message) for warning in warned]
    assert len(messages) == 2
    assert "no attribute 'Missing'" in messages[0]
    assert "is not an exporter; it needs suffix, holds, summary, companions and write()" in messages[1]


def test_a_suffix_belongs_to_one_format(registered: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"register_exporter: \.toy is already written by"):
        registry.register_exporter(ToyExporter())
    monkeypatch.setattr(ToyExporter, "suffix", "Toy")
    with pytest.raises(InputError, match="the suffix 'Toy' must be in lower case and begin with a dot"):
        registry.register_exporter(ToyExporter())
