"""The command line as a user meets it: help, exit codes, one-line errors, results."""

import json
import signal
import subprocess
import sys
import time
from importlib import import_module

import click
import numpy as np
import pytest

from lee.cli import commands, run
from lee.cli.one_line import one_line
from lee.devices.virtual import gentle, render_scan
from lee.errors import DeviceError, DeviceMemoryError, InputError, MissingDependency, StorageError
from lee.surfaces.surface import FILES, Surface
from tests.support.blank_figures import undrawn

pytestmark = pytest.mark.usefixtures("undrawn")
COMMANDS = ["demo", "reconstruct", "series", "curvature", "particles", "rig", "twin", "export", "view"]
COMMANDS += ["bench", "cell-data", "compare", "metrology", "roughness"]
PIXEL_UM = 0.25


@pytest.fixture(scope="module")
def scan():
    return render_scan(gentle((96, 112), PIXEL_UM, 5, relief_um=3.0), seed=5)


@pytest.fixture
def stack(tmp_path, scan):
    path = tmp_path / "scan.npy"
    np.save(path, scan.frames)
    return path


@pytest.fixture(scope="module")
def surface(tmp_path_factory):
    y, x = np.mgrid[:40, :50].astype(np.float32)
    height = np.sin(y / 9) + np.cos(x / 7)
    valid = np.ones(height.shape, bool)
    valid[3:6, 4:9] = False
    holed = np.where(valid, height, np.nan)
    folder = tmp_path_factory.mktemp("surface") / "made"
    with undrawn():
        Surface(holed, height, np.where(valid, 0.1, np.nan), valid, 100 + 50 * height, 0.5).save(folder)
    return folder


def lee(*arguments, **options):
    command = [sys.executable, "-m", "lee", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_the_commands_are_these():
    assert sorted(commands.commands) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command, capsys):
    assert run([command, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "Example:" in printed
    assert f"lee {command}" in printed.split("Example:")[1]


def test_a_process_ends_as_its_command_did(tmp_path):
    version = lee("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith("lee, version ")
    failed = lee("export", tmp_path / "none", tmp_path / "a.glb")
    assert (failed.returncode, failed.stdout) == (1, "")
    printed = f"lee: {tmp_path / 'none'} does not exist: give a folder written by `lee reconstruct` "
    assert failed.stderr == printed + "or a height map\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frobnicate"], "lee: no such command 'frobnicate'; see lee --help"),
        (["reconstruct", "x"], "missing option '-o' / '--output'; see lee reconstruct --help"),
        (["reconstruct", "x", "-o", "y", "--sharpen"], "no such option '--sharpen'"),
        (
            ["reconstruct", "x", "-o", "y", "--pixel-um", "0"],
            "'--pixel-um': 0 is not a length: give µm above 0",
        ),
        (["reconstruct", "x", "-o", "y", "--z-step-um", "nan"], "'--z-step-um': nan is not a length"),
        (["reconstruct", "x", "-o", "y", "--z-step-um", "1", "--z-csv", "z"], "both given: give one of them"),
        (["reconstruct", "x", "-o", "y", "--device", "tpu"], "'--device': 'tpu' is not one of"),
        (
            ["reconstruct", "x", "-o", "y", "--target", "blob:3"],
            "'--target': target: 'blob:3' is not a target; give disk:25",
        ),
        (
            ["reconstruct", "x", "-o", "y", "--target", "disk:3x4"],
            "'disk:3x4' has the wrong number of extents; give disk:25",
        ),
        (
            ["reconstruct", "x", "-o", "y", "--target", "ellipse:3"],
            "'ellipse:3' has the wrong number of extents",
        ),
        (["reconstruct", "x", "-o", "y", "--target", "disk:0.5"], "at least 1 px each, or auto"),
        (["export", "x", "y.glb", "--max-vertices", "3"], "'--max-vertices': 3 is not in the range"),
    ],
)
def test_misuse_is_reported_in_one_line(arguments, message, capsys):
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_no_command_shows_the_help(capsys):
    assert run([]) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.drawn
def test_reconstruct_writes_the_folder(tmp_path, stack, scan, capsys):
    out = tmp_path / "out"
    assert run(["reconstruct", str(stack), "-o", str(out), "--z-step-um", "0.2", "--pixel-um", "0.25"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith(f"{out}: 112 × 96 px, ")
    assert {path.name for path in out.iterdir()} == FILES
    assert json.loads((out / "surface.json").read_text())["pixel_um"] == PIXEL_UM
    height = Surface.load(out).height_um + scan.z_um[0]
    assert np.nanmedian(np.abs(height - scan.truth_um)) < 0.2


def test_reconstruct_takes_heights_from_a_csv(tmp_path, stack, scan, undrawn):
    rows = "".join(f"{k},{z}\n" for k, z in enumerate(scan.z_um))
    (tmp_path / "z.csv").write_text("frame,z_um\n" + rows)
    out = tmp_path / "out"
    options = ["--z-csv", str(tmp_path / "z.csv"), "--pixel-um", "0.25", "--no-drift", "--keep-frames"]
    assert run(["reconstruct", str(stack), "-o", str(out), *options, "--threads", "1"]) == 0
    assert np.nanmedian(np.abs(Surface.load(out).height_um - scan.truth_um)) < 0.2


def test_an_unknown_pixel_size_is_a_warning_in_one_line(tmp_path, stack, capsys, undrawn):
    assert run(["reconstruct", str(stack), "-o", str(tmp_path / "out"), "--z-step-um", "0.2"]) == 0
    err = capsys.readouterr().err
    assert err.startswith(f"lee: warning: {stack}: the stack has no pixel size; 1 µm is assumed")
    assert err.count("\n") == 1


def test_an_older_result_is_replaced_only_when_asked(tmp_path, stack, capsys, undrawn):
    out = tmp_path / "out"
    line = ["reconstruct", str(stack), "-o", str(out), "--z-step-um", "0.2", "--pixel-um", "1"]
    assert run(line) == 0
    before = (out / "surface.json").stat().st_mtime_ns
    assert run(line) == 1
    assert "out exists already" in capsys.readouterr().err
    assert (out / "surface.json").stat().st_mtime_ns == before
    assert run([*line, "--overwrite"]) == 0
    assert (out / "surface.json").stat().st_mtime_ns > before


def test_rejected_frames_are_reported(tmp_path, scan, capsys, undrawn):
    frames = scan.frames.copy()
    frames[20] = 255
    np.save(tmp_path / "flash.npy", frames)
    line = ["reconstruct", str(tmp_path / "flash.npy"), "-o", str(tmp_path / "out")]
    assert run([*line, "--z-step-um", "0.2", "--pixel-um", "0.25"]) == 0
    printed = capsys.readouterr().out.splitlines()
    (known,) = json.loads((tmp_path / "out" / "surface.json").read_text())["metadata"]["rejected_frames"]
    assert known["frame"] == 20
    assert printed[-1] == f"rejected frame 20: {known['reason']}"


def test_a_device_that_is_not_there_is_refused(tmp_path, stack, capsys):
    line = ["reconstruct", str(stack), "-o", str(tmp_path / "out"), "--device", "cuda"]
    assert run([*line, "--z-step-um", "0.2", "--pixel-um", "0.25"]) == 1
    assert "this build of lee has no CUDA kernels" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a.glb", "a.obj", "a.x3p"])
def test_export_writes_the_format_asked_for(tmp_path, surface, name, capsys):
    assert run(["export", str(surface), str(tmp_path / name)]) == 0
    assert (tmp_path / name).stat().st_size > 1000
    assert capsys.readouterr().out.startswith(f"wrote {tmp_path / name}, ")


def test_export_replaces_a_file_only_when_asked(tmp_path, surface, capsys):
    line = ["export", str(surface), str(tmp_path / "a.obj")]
    (tmp_path / "a.png").write_text("an older picture")
    assert run(line) == 1
    assert (
        "a.png exists already: choose another output name, or replace it (--overwrite"
        in capsys.readouterr().err
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert run([*line, "--overwrite"]) == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert run(line) == 1


def test_export_leaves_holes_and_thins_when_asked(tmp_path, surface):
    for name, options in {
        "all.ply": [],
        "holed.ply": ["--measured"],
        "few.ply": ["--max-vertices", "100"],
    }.items():
        assert run(["export", str(surface), str(tmp_path / name), *options]) == 0
    size = {path.stem: path.stat().st_size for path in tmp_path.glob("*.ply")}
    assert size["few"] < size["holed"] < size["all"]


def test_export_of_an_unknown_format_names_the_known(tmp_path, surface, capsys):
    assert run(["export", str(surface), str(tmp_path / "a.xyz")]) == 1
    assert "'a.xyz': no format has this suffix; use one of .glb" in capsys.readouterr().err


@pytest.mark.drawn
def test_view_draws_a_picture(tmp_path, surface):
    assert run(["view", str(surface), "--screenshot", str(tmp_path / "a.png"), "--colour", "image"]) == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_view_replaces_a_picture_only_when_asked(tmp_path, surface, capsys):
    line = ["view", str(surface), "--screenshot", str(tmp_path / "a.png")]
    (tmp_path / "a.png").write_text("an older picture")
    assert run(line) == 1
    assert (
        "a.png exists already: choose another output name, or replace it (--overwrite"
        in capsys.readouterr().err
    )
    assert (tmp_path / "a.png").read_text() == "an older picture"
    assert run([*line, "--overwrite"]) == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_bench_prints_a_table(capsys, monkeypatch):
    monkeypatch.setattr("lee.reconstruction.throughput.SIZES", ((64, 80),))
    assert run(["bench", "--runs", "1", "--threads", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["what", "size", "ms", "per", "s", "Mpx/s", "GB/s"]
    assert [line.split()[0] for line in lines[1:]] == [
        "memory", "refocuser,", "particles,", "opening,", "opening,",
    ]  # fmt: skip
    assert all(float(line.split()[-1]) > 0 for line in lines[1:])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("stack: is\n  empty; fill it"), "stack: is empty; fill it"),
        (StorageError("no space left to write a: free some"), "no space left to write a: free some"),
        (MissingDependency("needs dask: pip install dask"), "needs dask: pip install dask"),
        (DeviceError("device_info: no driver; install one"), "device_info: no driver; install one"),
        (DeviceMemoryError("opening: too little; free some"), "opening: too little; free some"),
        (KeyboardInterrupt(), "stopped; nothing was left half written"),
        (click.Abort(), "stopped; nothing was left half written"),
        (MemoryError(), "not enough memory: close other programs, or crop the frames"),
        (
            PermissionError(13, "Permission denied", "a.tif"),
            "a.tif: Permission denied: check the name and its",
        ),
        (
            OSError(28, "No space left on device", "a.tif"),
            "a.tif: no space left: free some, or write elsewhere",
        ),
        (ZeroDivisionError("oh"), "unexpected ZeroDivisionError: oh: please report this; LEE_TRACEBACK=1"),
    ],
)
def test_every_error_has_one_line(error, line):
    assert one_line(error).startswith(line)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), RuntimeError("a fault")])
def test_what_ends_the_work_leaves_nothing(tmp_path, stack, monkeypatch, capsys, error):
    def ends(*arguments, **options):
        raise error

    # Not by its dotted name, under which the package offers the function.
    monkeypatch.setattr(import_module("lee.reconstruction.reconstruct"), "reconstruct", ends)
    out = tmp_path / "results" / "out"
    out.parent.mkdir()
    assert run(["reconstruct", str(stack), "-o", str(out), "--z-step-um", "1", "--pixel-um", "1"]) == 1
    assert capsys.readouterr().err == f"lee: {one_line(error)}\n"
    assert not list(out.parent.iterdir())


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    command = [sys.executable, "-m", "lee", "demo", "-o", str(tmp_path / "demo")]

    # A shell's background job ignores Ctrl-C, and so would its children.
    def heed() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed) as process:
        until = time.monotonic() + 30
        while not list(tmp_path.iterdir()) and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (1, "", "lee: stopped; nothing was left half written\n")
    assert not list(tmp_path.iterdir())
