"""Options of all commands: one name, one meaning; every command shows an example."""

from collections import defaultdict
from collections.abc import Iterator

import click
import numpy as np
import pytest

from lee.cli import commands, run
from lee.devices.virtual import growing_electrode, render_run
from lee.errors import InputError
from lee.runs.run import SURFACES, open_run
from lee.runs.surface_store import SurfaceStore


def walked(command: click.Command, path: str = "lee") -> Iterator[tuple[str, click.Command]]:
    """Every command with its path, groups included."""
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from walked(inner, f"{path} {name}")


COMMANDS = dict(walked(commands))


def options_of(path: str) -> dict[str, click.Option]:
    return {
        name: option
        for option in COMMANDS[path].params
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    }


def uses(name: str) -> dict[str, click.Option]:
    return {path: options_of(path)[name] for path in COMMANDS if name in options_of(path)}


NAMES = sorted({name for path in COMMANDS for name in options_of(path)})
# What is written differs from command to command, and is named by the placeholder: DIR, JSON, PNG, RUN ...
DIFFERING = {"-o", "--output", "--kind"}


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_shows_an_example(path, capsys):
    assert run([*path.split()[1:], "--help"]) == 0
    example = capsys.readouterr().out.split("Example:")[1]
    shown = "lee particles" if path == "lee particles find" else path
    assert any(line.strip().startswith(shown) for line in example.splitlines())


@pytest.mark.parametrize("name", sorted(set(NAMES) - DIFFERING))
def test_a_name_takes_the_same_value_everywhere(name):
    forms = defaultdict(list)
    for path, option in uses(name).items():
        placeholder = "" if option.is_flag else option.make_metavar(click.Context(COMMANDS[path]))
        forms[placeholder, option.nargs, option.multiple, option.is_flag].append(path)
    assert len(forms) == 1, dict(forms)


@pytest.mark.parametrize(
    "name", ["--overwrite", "--threads", "--device", "--no-films", "--cell", "--z-step-um"]
)
def test_a_shared_option_is_explained_alike(name):
    assert len({option.help for option in uses(name).values()}) == 1


def test_every_option_has_a_help():
    missing = {
        (path, name) for path in COMMANDS for name, option in options_of(path).items() if not option.help
    }
    assert not missing


# A configuration and a calibration are edited by hand, so they are never replaced; a run is continued.
NEVER_REPLACED = {"lee twin cell", "lee rig calibrate", "lee rig record", "lee rig live"}
# The demonstration replaces an older one, and `lee rig doctor` writes nothing.
REPLACED = {"lee demo", "lee rig doctor"}


def test_what_is_written_is_replaced_only_with_overwrite():
    writing = set(uses("--output")) | {"lee export", "lee view", "lee rig convert"}
    assert writing - set(uses("--overwrite")) == NEVER_REPLACED | REPLACED


def test_a_window_is_what_the_microscope_sees():
    """Neither the scan window, which tracks the surface, nor the scans of a rate are named so."""
    named = {path for name in NAMES if "window" in name for path in uses(name)}
    assert named <= {"lee twin window", "lee twin compare", "lee series"}


def test_series_takes_every_option_of_reconstruct():
    output = {"-o", "--output", "--overwrite"}
    assert set(options_of("lee reconstruct")) - output <= set(options_of("lee series"))


def test_series_hands_every_option_of_reconstruct_on(tmp_path, undrawn):
    folder = tmp_path / "run"
    render_run(folder, growing_electrode((72, 72), 0.4, 1, relief_um=4.0), scans=2)
    with open_run(folder).open_scan(0) as stack:
        heights = stack.z_um
    assert heights is not None
    doubled = "".join(f"{k},{2 * z}\n" for k, z in enumerate(heights))
    (tmp_path / "z.csv").write_text("frame,z_um\n" + doubled)
    line = ["series", str(folder), "--workers", "1", "--no-films", "--device", "cpu", "--pixel-um", "0.5"]
    line += ["--depth-of-field-um", "5", "--no-drift", "--keep-frames", "--threads", "1"]
    assert run([*line, "--target", "disk:8", "--z-csv", str(tmp_path / "z.csv")]) == 0
    store = SurfaceStore.open(folder / SURFACES)
    made = store.metadata["parameters"]
    assert (made["focus"], made["drift"], made["reject_frames"]) == ("variance", False, False)
    assert made["depth_of_field_um"] == 5
    assert store.metadata["target"]["size_px"] == [8, 8]
    assert store.pixel_um == 0.5
    relief_um = np.ptp(np.nanpercentile(store.read(0), (2, 98)))
    line[line.index("--no-drift")] = "--from-scratch"
    assert run([*line, "--focus", "wavelet"]) == 0
    store = SurfaceStore.open(folder / SURFACES)
    assert store.metadata["parameters"]["focus"] == "wavelet"
    assert relief_um == pytest.approx(2 * np.ptp(np.nanpercentile(store.read(0), (2, 98))), rel=0.3)


def test_heights_are_given_once(tmp_path, capsys):
    line = [str(tmp_path), "--z-step-um", "1", "--z-csv", "z.csv"]
    assert run(["series", *line]) == 2
    assert "--z-step-um and --z-csv are both given: give one of them" in capsys.readouterr().err
    with pytest.raises(InputError, match="z_step_um and z_um are both given; give one of them"):
        open_run(tmp_path, z_step_um=1, z_um="z.csv")
