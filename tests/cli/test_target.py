"""`--target`: the structure of interest, as text."""

import json

import numpy as np
import pytest

from lee.cli import run
from lee.cli.target import shape, target_of
from lee.devices.virtual import gentle, render_scan
from lee.reconstruction.target import Target
from lee.stacks.stack import ZStack

pytestmark = pytest.mark.usefixtures("undrawn")
PIXEL_UM = 0.25


@pytest.fixture(scope="module")
def scan():
    return render_scan(gentle((64, 72), PIXEL_UM, 5, relief_um=2.0), seed=5)


def reconstructed(tmp_path, scan, target):
    np.save(tmp_path / "scan.npy", scan.frames)
    line = ["reconstruct", str(tmp_path / "scan.npy"), "-o", str(tmp_path / "out"), "--target", target]
    return run([*line, "--z-step-um", "0.2", "--pixel-um", str(PIXEL_UM)])


@pytest.mark.parametrize("text", ["disk:25", "Ellipse:20x40", "rectangle:7x9.5@30"])
def test_a_target_is_the_one_that_was_written(text, scan):
    target = target_of(shape(text), ZStack.from_array(scan.frames, scan.z_um, PIXEL_UM))
    assert target == Target.parse(text)


def test_an_automatic_target_is_estimated_from_a_frame(scan):
    target = target_of(shape(" AUTO"), ZStack.from_array(scan.frames, scan.z_um, PIXEL_UM))
    assert 1 < min(target.size_px) <= max(target.size_px) < 64


def test_a_flash_is_not_taken_for_the_sharpest_frame(scan):
    frames = scan.frames.copy()
    flash = np.random.default_rng(0).random(frames.shape[1:]) < 0.4
    frames[0] = np.where(flash, 0, 255)
    clean, spoiled = (ZStack.from_array(f, scan.z_um, PIXEL_UM) for f in (scan.frames, frames))
    assert target_of("auto", spoiled) == target_of("auto", clean)


def test_a_target_reaches_the_measurement(tmp_path, scan):
    assert reconstructed(tmp_path, scan, "disk:13") == 0
    described = json.loads((tmp_path / "out" / "surface.json").read_text())
    assert described["metadata"]["window_px"] == list(Target.parse("disk:13").window_px())


def test_a_target_larger_than_the_frame(tmp_path, scan, capsys):
    assert reconstructed(tmp_path, scan, "disk:500") == 1
    line = capsys.readouterr().err
    assert (
        line
        == "lee: target: 500×500 px is larger than the frames, 64×72: give its height and width in pixels\n"
    )
    assert not (tmp_path / "out").exists()
