"""Backlash and scale of a stage, found with camera and sample, against what the virtual stage was given."""

import tomllib
from dataclasses import replace

import numpy as np
import pytest

from lee.cli import run
from lee.devices.config import load_config
from lee.devices.faults import StageStalled
from lee.devices.protocols import CameraSettings, Identity
from lee.devices.scan_plan import ScanPlan
from lee.devices.virtual.hardware.carriage import Mechanics
from lee.devices.virtual.hardware.clock import SimulatedClock
from lee.devices.virtual.hardware.fault_plan import At, Faults
from lee.devices.virtual.hardware.rig import virtual_rig
from lee.devices.virtual.hardware.stage import COUNTS_PER_UM
from lee.errors import InputError
from lee.rig.calibration.backlash import Backlash, Measured, check_approach, fit_backlash, scan_both_ways
from lee.rig.calibration.file import write_calibration
from lee.rig.calibration.scale import HeightStep, StageScale, measure_step, stage_scale
from tests.support.calibration_sample import Sample, rough, step_standard

SETTINGS = CameraSettings(exposure_s=0.003)
STEP_UM = 12.0
STAGE = Identity("lee", "virtual stage", "V-STAGE")


def scanned(
    folder, surface_um, seed=0, *, repeats=3, exposure_s=0.003, assumed_backlash_um=5.0, faults=None, **how
):
    """Scan a sample both ways; return the passes, the plan and the settings that the camera applied."""
    mechanics, clock = Mechanics(**how), SimulatedClock()
    rig = virtual_rig(
        Sample(surface_um, seed),
        mechanics=mechanics,
        backlash_um=assumed_backlash_um,
        faults=faults,
        scene_at_um=1000.0 * (1 + mechanics.scale_ppm * 1e-6),  # where the stage truly is at 1000
        position_um=990.0,
        clock=clock,
        sleep=clock.sleep,
    )
    plan = ScanPlan.of_um(
        995.0,
        1005.0 + max(surface_um.max(), 0.0),
        step_um=0.4,
        counts_per_um=rig.stage.counts_per_um,
        frames_per_s=40.0,
    )
    applied = rig.camera.configure(replace(SETTINGS, exposure_s=exposure_s))
    passes = scan_both_ways(
        rig, plan, settings=applied, pixel_um=0.25, repeats=repeats, folder=folder, clock=clock
    )
    return passes, plan, applied


def backlash(*given, **how):
    passes, plan, applied = scanned(*given, **how)
    return fit_backlash(passes, plan, applied.exposure_s)


@pytest.fixture(scope="module")
def standard(tmp_path_factory):
    """Scans of a step standard by a stage whose counts are 0.3 % longer than by its scale."""
    return scanned(tmp_path_factory.mktemp("standard"), step_standard(STEP_UM), scale_ppm=3000.0)[0]


# --- backlash ---


@pytest.mark.slow
def test_backlash_is_recovered_within_its_error(tmp_path):
    away = []
    for seed in range(8):
        true_um = 0.3 + 0.35 * seed
        found = backlash(tmp_path, rough(seed), seed, backlash_um=true_um)
        away.append((found.um.value - true_um) / found.um.sigma)
        assert 0.0003 < found.um.sigma < 0.004
        assert found.scans == 7
        assert found.note == ""
    assert np.abs(away).max() < 3.5
    assert np.sqrt(np.mean(np.square(away))) < 1.6
    assert list(tmp_path.iterdir()) == []


def test_a_stage_without_play_has_none(tmp_path):
    found = backlash(tmp_path, rough(1), backlash_um=0.0)
    assert abs(found.um.value) < 3.5 * found.um.sigma


def test_drift_of_the_stand_is_no_backlash(tmp_path):
    found = backlash(tmp_path, rough(2), backlash_um=1.5, drift_um_per_s=0.02)
    assert abs(found.um.value - 1.5) < 3.5 * found.um.sigma
    assert found.drift_um_per_s == pytest.approx(-0.02, abs=0.001)  # the stand rises, heights fall


def test_the_way_during_an_exposure_is_no_backlash(tmp_path):
    """At 16 µm/s and 10 ms it is 0.16 µm, and makes the difference of the directions smaller."""
    passes, plan, applied = scanned(tmp_path, rough(3), exposure_s=0.01, backlash_um=1.0)
    found = fit_backlash(passes, plan, applied.exposure_s)
    assert abs(found.um.value - 1.0) < 3.5 * found.um.sigma
    assert fit_backlash(passes, plan, 0.0).um.value == pytest.approx(0.84, abs=0.01)


def test_a_flat_sample_is_reported_to_hide_the_microsteps(tmp_path):
    found = backlash(tmp_path, rough(4, relief_um=0.3), backlash_um=1.0)
    assert "less than a full step of the motor" in found.note
    assert found.um.value == pytest.approx(1.0, abs=0.07)  # 2 × 0.03 µm of microsteps


def test_play_longer_than_its_approach_is_refused(tmp_path):
    passes, plan, applied = scanned(tmp_path, rough(5), backlash_um=4.0, assumed_backlash_um=0.2)
    found = fit_backlash(passes, plan, applied.exposure_s)
    highest = round(25000 * COUNTS_PER_UM)
    with pytest.raises(InputError, match=r"was not taken out on 2\.4 µm; set \[stage\] backlash_um to"):
        check_approach(found.um.value, plan, assumed_backlash_um=0.2, highest_counts=highest)
    check_approach(found.um.value, plan, assumed_backlash_um=5.0, highest_counts=highest)
    with pytest.raises(InputError, match="leave room above"):
        check_approach(found.um.value, plan, assumed_backlash_um=5.0, highest_counts=plan.end_counts + 100)


# --- scale ---


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "ppm"), [(0, 0.0), (1, 11.0), (2, -5000.0), (3, 20000.0)])
def test_a_wrong_scale_is_recovered_within_its_error(tmp_path, seed, ppm):
    passes, _, _ = scanned(tmp_path, step_standard(STEP_UM), seed, scale_ppm=ppm)
    step = measure_step(passes)
    found = stage_scale(step, Measured(STEP_UM, 0.002), counts_per_um=COUNTS_PER_UM, precision=0.001)
    true = COUNTS_PER_UM / (1 + ppm * 1e-6)
    assert abs(found.counts_per_um.value - true) < 3.5 * found.counts_per_um.sigma
    assert found.counts_per_um.sigma / true < 0.0006
    assert (step.scans, step.note, found.before) == (7, "", COUNTS_PER_UM)


def test_levels_are_found_or_given_in_any_order(standard):
    found = measure_step(standard)
    left, right = (5, 2, 50, 20), (5, 38, 50, 20)
    given = measure_step(standard, (left, right))
    assert given.um.value == pytest.approx(found.um.value, abs=0.01)
    assert found.lower.endswith(" px")
    for one in (given, measure_step(standard, (right, left))):
        assert (one.lower, one.higher) == (str(list(left)), str(list(right)))
        assert one.um == given.um


def test_small_levels_have_an_error_too(standard):
    found = measure_step(standard, ((2, 2, 14, 14), (2, 44, 14, 14)))
    assert 0.003 < found.um.sigma < 0.05
    assert "a level spans" in found.note  # and hides the microsteps, of ±0.03 µm on either level
    assert abs(found.um.value - STEP_UM / 1.003) < 3.5 * found.um.sigma + 0.06


def test_a_step_too_small_for_the_precision_is_refused(tmp_path):
    step = measure_step(
        scanned(tmp_path, step_standard(2.0, tilt_um=1.2), repeats=2)[0], ((4, 2, 50, 20), (4, 38, 50, 20))
    )
    with pytest.raises(
        InputError, match=r"a step of 2 µm, measured to .* and not to 0\.01 %; take a higher step"
    ):
        stage_scale(step, Measured(2.0, 0.0), counts_per_um=COUNTS_PER_UM, precision=0.0001)
    with pytest.raises(InputError, match=r"known to 0\.2 µm, gives the scale to 10"):
        stage_scale(step, Measured(2.0, 0.2), counts_per_um=COUNTS_PER_UM, precision=0.01)


def test_another_step_is_not_taken_for_the_known_one(standard):
    with pytest.raises(InputError, match=r"the step found is 11\.9\d µm high and the known one 20 µm"):
        stage_scale(measure_step(standard), Measured(20.0, 0.0), counts_per_um=COUNTS_PER_UM, precision=0.01)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (((0, 0, 20, 20), (0, 50, 20, 20)), r"level \(0, 50, 20, 20\) leaves the field of \(60, 60\) px"),
        (((0, 0, 20, 20), (0, 50, 4, 4)), r"hold 400 and 16 measured px, but need 100"),
    ],
)
def test_levels_that_cannot_be_are_refused(standard, levels, message):
    with pytest.raises(InputError, match=message):
        measure_step(standard, levels)


def test_a_sample_without_two_levels_has_no_step(tmp_path):
    passes, _, _ = scanned(tmp_path, rough(6), repeats=2)
    with pytest.raises(
        InputError, match="no two levels stand out in the field; give them with --level-px, twice"
    ):
        measure_step(passes)


@pytest.mark.slow
def test_the_stated_errors_hold_over_forty_rigs(tmp_path):
    """Each with its own play, scale, noise and microsteps of 0.03 µm: what docs/rig.md states."""
    off = []
    for seed in range(40):
        play_um, ppm = 0.5 + 0.37 * (seed % 5), (0.0, 3000.0, -5000.0, 11.0)[seed % 4]
        sample = (rough(seed), step_standard(STEP_UM))
        rigs = [scanned(tmp_path, one, seed, backlash_um=play_um, scale_ppm=ppm) for one in sample]
        play, step = (
            fit_backlash(rigs[0][0], rigs[0][1], rigs[0][2].exposure_s).um,
            measure_step(rigs[1][0]).um,
        )
        true_um = STEP_UM / (1 + ppm * 1e-6)
        off.append([(play.value - play_um) / play.sigma, (step.value - true_um) / step.sigma])
    rms = np.sqrt(np.mean(np.square(off), axis=0))
    print(f"true values differ by {rms[0]:.2f} and {rms[1]:.2f} of the stated errors, rms")
    assert (rms > 0.7).all()
    assert (rms < 1.25).all()


# --- what is refused, and what goes wrong ---


def test_a_fault_ends_it_and_leaves_nothing(tmp_path):
    with pytest.raises(StageStalled, match="does not turn"):
        scanned(tmp_path, rough(0), faults=Faults(stall=At(pulse=60)))
    assert list(tmp_path.iterdir()) == []


def test_a_sample_that_is_out_of_range_is_refused(tmp_path):
    with pytest.raises(
        InputError, match="of the field was measured in every scan; scan a sample with structure"
    ):
        scanned(tmp_path, rough(0) - 40.0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"triggered": False}, "the camera must be triggered"),
        ({"repeats": 1}, "repeats is 1; give 2 or more"),
    ],
)
def test_what_cannot_be_calibrated_with_is_refused(tmp_path, changed, message):
    plan = ScanPlan.of_um(995.0, 1005.0, step_um=0.4, counts_per_um=COUNTS_PER_UM, frames_per_s=40.0)
    settings = replace(SETTINGS, triggered=changed.get("triggered", True))
    with pytest.raises(InputError, match=message):
        scan_both_ways(
            virtual_rig(),
            plan,
            settings=settings,
            pixel_um=0.25,
            repeats=changed.get("repeats", 3),
            folder=tmp_path,
        )


# --- the file ---

PLAY = Backlash(Measured(1.5, 0.002), -0.0005, 9, "")
SCALE = StageScale(
    Measured(2010.0, 1.0),
    HeightStep(Measured(20.01, 0.01), "[0, 0, 9, 9]", "900 px", 9, "a note"),
    Measured(20.0, 0.01),
    2011.0,
)


def test_the_file_holds_what_a_rig_takes_and_its_origin(tmp_path):
    path = tmp_path / "new" / "scale.toml"
    write_calibration(path, PLAY, SCALE, stage=STAGE, standard='VLSI "SHS-20"')
    text = path.read_text()
    stage = tomllib.loads(text)["stage"]
    assert stage["counts_per_um"] == 2010.0
    assert stage["backlash_um"] == pytest.approx(1.5 * 2011 / 2010, abs=1e-4)  # measured with the old scale
    for part in (
        'a step of 20 ± 0.01 µm (VLSI "SHS-20") measured as 20.01 ± 0.01 µm at 2011 counts/µm',
        "in 9 scans; standard error 1 counts/µm; stage lee virtual stage V-STAGE",
    ):
        assert part in stage["calibrated_by"]
    assert "# a note" in text
    both = {"driver": "virtual", **stage}
    assert (
        load_config({"camera": {"driver": "virtual"}, "stage": both}).stage.backlash_um
        == stage["backlash_um"]
    )


def test_without_a_standard_the_file_states_what_is_missing(tmp_path):
    path = tmp_path / "backlash.toml"
    write_calibration(path, PLAY, None, stage=STAGE)
    assert tomllib.loads(path.read_text()) == {"stage": {"backlash_um": 1.5}}
    assert "counts_per_um was not measured" in path.read_text()
    with pytest.raises(InputError, match="exists already; choose another name"):
        write_calibration(path, PLAY, SCALE, stage=STAGE)
    assert list(tmp_path.iterdir()) == [path]


# --- the command line ---

CONFIG = """
[camera]
driver = "virtual"
sensor_px = [60, 60]
frames_per_s = 200.0
exposure_s = 0.001
[stage]
driver = "virtual"
backlash_um = 2.0
"""


def calibrated(folder, *more):
    config = folder / "rig.toml"
    config.write_text(CONFIG)
    place = [
        "--start-um",
        "995",
        "--end-um",
        "1025",
        "--step-um",
        "0.5",
        "--lead-um",
        "6",
        "--pixel-um",
        "0.25",
    ]
    return run(["rig", "calibrate", str(config), "-o", str(folder / "out.toml"), *place, *more])


def test_the_command_measures_writes_and_never_replaces(tmp_path, capsys):
    assert calibrated(tmp_path, "--repeats", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("scan 2 of 5, falling: ")
    assert lines[5].startswith("backlash 1.")
    assert "scale not measured" in lines[6]
    assert lines[-1].endswith(f"out.toml: put its lines into the section [stage] of {tmp_path / 'rig.toml'}")
    assert tomllib.loads((tmp_path / "out.toml").read_text())["stage"]["backlash_um"] == pytest.approx(
        1.5, abs=0.2
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.toml", "rig.toml"]
    assert calibrated(tmp_path) == 1
    assert "exists already" in capsys.readouterr().err


def test_its_help_has_an_example(capsys):
    assert run(["rig", "calibrate", "--help"]) == 0
    assert "lee rig calibrate rig.toml" in capsys.readouterr().out.split("Example:")[1]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--level-px", "0", "0", "9", "9", "--known-step-um", "20"], 2, "give --level-px twice"),
        (["--end-um", "990"], 1, "give a start below the end"),
        (["--repeats", "1"], 2, "1 is not in the range"),
        (["--known-step-um", "-3"], 2, "is not a length"),
    ],
)
def test_what_the_command_cannot_do(tmp_path, capsys, options, code, message):
    assert calibrated(tmp_path, *options) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.toml").exists()
