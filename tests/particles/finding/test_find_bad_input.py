"""Input in which particles cannot be found is refused, in one line with what to do."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import lee
from lee.devices import virtual as rig
from lee.errors import InputError
from lee.particles.finding.detector import ParticleDetector
from lee.particles.finding.find import find_particles
from lee.stacks.stack import ZStack
from lee.surfaces.surface import Surface
from tests.support.particle_scans import PIXEL_UM, scan_pair
from tests.support.textured_pictures import seen, world

SHAPE = (128, 128)
Z_UM = np.arange(-2, 2.3, 0.25)
FRAME = np.full((64, 64), 90, np.uint8)


class OnDevice:
    """Looks like an array in the memory of a CUDA device."""

    shape = (64, 64)

    @property
    def __cuda_array_interface__(self):
        return {"shape": self.shape, "typestr": "|u1", "data": (0, False), "version": 3}


@cache
def pair():
    return scan_pair(rig.flat(SHAPE, PIXEL_UM, 3), 10, z_um=Z_UM)


@cache
def surface():
    return lee.reconstruct(pair().after, device="cpu")


def stack(frames=None, z_um=Z_UM, pixel_um=PIXEL_UM):
    return ZStack.from_array(np.stack(list(pair().after)) if frames is None else frames, z_um, pixel_um)


def noise_alone():
    frames = np.random.default_rng(3).normal(90, 4, (len(Z_UM), *SHAPE))
    return frames.round().astype(np.uint8)


def elsewhere():
    return scan_pair(rig.flat(SHAPE, PIXEL_UM, 77), 0, z_um=Z_UM).after


def cropped():
    part = np.s_[:100, :100]
    maps = ("height_um", "height_filled_um", "height_sigma_um", "valid", "refocused")
    return lee.Surface(*(getattr(surface(), name)[part] for name in maps), PIXEL_UM)


def lifted():
    whole = surface()
    return replace(whole, height_um=whole.height_um + 99, height_filled_um=whole.height_filled_um + 99)


def textured(seed):
    return seen(world(seed), seed=seed)


def of_stacks(before=None, after=None, **options):
    return find_particles(before or pair().before, after or pair().after, **options)


def of_frames(before=FRAME, after=FRAME, **options):
    return find_particles(before, after, **{"pixel_um": PIXEL_UM, **options})


REFUSED = {
    "frames of two shapes": (
        lambda: of_frames(after=FRAME[:50]),
        r"before has 64 × 64 pixels \(rows × columns\) but after has 50 × 64; "
        "give two scans of the same camera setting",
    ),
    "stacks of two shapes": (
        lambda: of_stacks(after=stack(np.zeros((5, 100, 128), np.uint8), np.arange(5))),
        r"before has 128 × 128 pixels \(rows × columns\) but after has 100 × 128",
    ),
    "no common height": (
        lambda: of_stacks(after=stack(z_um=Z_UM + 50), surface=surface()),
        r"before covers -2 to 2\.25 µm but after 48 to 52\.25 µm; give scans that cover the same",
    ),
    "a stack and a frame": (
        lambda: find_particles(pair().before, FRAME, pixel_um=PIXEL_UM),
        "one of before and after is a stack, the other is not; give two stacks or two frames",
    ),
    "a frame and a stack": (
        lambda: find_particles(FRAME, pair().before, pixel_um=PIXEL_UM),
        "one of before and after is a stack, the other is not",
    ),
    "three dimensions": (
        lambda: of_frames(np.zeros((5, 64, 64)), np.zeros((5, 64, 64))),
        r"before has shape \(5, 64, 64\); make stacks with ZStack\.from_array\(frames, z_um, pixel_um\)",
    ),
    "on a device": (
        lambda: of_frames(after=OnDevice()),
        "after is on a CUDA device; copy it to the host's memory, or use lee.detect_particles",
    ),
    "no pixel size": (
        lambda: of_frames(pixel_um=None),
        "pixel_um is None; give the size of a pixel in µm",
    ),
    "pixels of no size": (lambda: of_frames(pixel_um=0.0), r"pixel_um is 0\.0; give the size"),
    "pixels of unknown size": (lambda: of_frames(pixel_um=np.nan), "pixel_um is nan; give the size"),
    "stacks of two scales": (
        lambda: of_stacks(after=stack(pixel_um=0.25)),
        r"pixel sizes differ \(before 0\.2 µm, after 0\.25 µm\); give scans of one pixel size",
    ),
    "a pixel size that is not the stacks'": (
        lambda: of_stacks(pixel_um=0.3),
        r"pixel sizes differ \(before 0\.2 µm, after 0\.2 µm, pixel_um 0\.3 µm\)",
    ),
    "a surface of another scale": (
        lambda: of_stacks(surface=replace(surface(), pixel_um=0.4)),
        r"pixel sizes differ \(before 0\.2 µm, after 0\.2 µm, surface 0\.4 µm\)",
    ),
    "a surface of another scale than frames": (
        lambda: find_particles(
            next(iter(pair().before)), next(iter(pair().after)), pixel_um=0.4, surface=surface()
        ),
        r"pixel sizes differ \(pixel_um 0\.4 µm, surface 0\.2 µm\)",
    ),
    "a surface of another shape": (
        lambda: of_stacks(surface=cropped()),
        r"the frames are \(128, 128\) but the surface is \(100, 100\); give the surface of these scans",
    ),
    "a surface of another shape than frames": (
        lambda: of_frames(surface=cropped()),
        r"the frames are \(64, 64\) but the surface is \(100, 100\)",
    ),
    "a surface that no scan passes": (
        lambda: of_stacks(surface=lifted()),
        r"before covers -2 to 2\.25 µm and after -2 to 2\.25 µm, so none of the surface, 9\d\.\d+ to "
        r"9\d\.\d+ µm, is sharp in both; give scans that pass through it",
    ),
    "scans of two places": (
        lambda: of_stacks(after=elsewhere()),
        r"share only \d+ % of their texture after a shift of .* px, so their difference is texture",
    ),
    "frames of two places": (
        lambda: of_frames(textured(1), textured(2)),
        r"share only \d+ % of their texture",
    ),
    "nothing in focus": (
        lambda: of_stacks(after=stack(noise_alone())),
        "nothing comes into focus in after, so there is no surface to search along; give surface=",
    ),
    "constant frames": (
        lambda: of_stacks(after=stack(np.full((len(Z_UM), *SHAPE), 90, np.uint8))),
        "0 of 18 frames can be used",
    ),
    "no false alarms": (lambda: of_frames(false_alarms=0), r"false_alarms is 0\.0+; give a number above 0"),
    "a spot too small": (lambda: of_frames(spot_sigma_px=0.1), r"spot_sigma_px is 0\.10+; give 0\.5 to 6"),
    "fewer than no threads": (lambda: of_frames(threads=-1), "threads is -1; give 0 for all cores"),
    "one dimension": (
        lambda: of_frames(FRAME[0], FRAME[0]),
        r"before has shape \(64,\); give a non-empty \(H, W\) array",
    ),
    "no pixels": (lambda: of_frames(FRAME[:0], FRAME[:0]), r"before has shape \(0, 64\); give a non-empty"),
    "complex numbers": (lambda: of_frames(FRAME * 1j), "before holds complex128; give real numbers"),
    "words": (lambda: of_frames("before.tif", "after.tif"), "before holds <U10; give real numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_in_one_line(case):
    attempt, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as refused:
        attempt()
    assert "\n" not in str(refused.value)


# --- frames that arrive ---


def finder(**options):
    return ParticleDetector(pair().before, surface(), **options)


@pytest.mark.parametrize(
    ("heights", "message"),
    [
        ([np.nan], "frame 0 is at nan µm; heights must rise or fall throughout"),
        ([0.0, 0.0], r"frame 1 is at 0\.0 µm; heights must rise or fall throughout"),
        ([0.0, 0.5, 0.3], r"frame 2 is at 0\.3 µm"),
        ([1.0, 0.5, 0.7], r"frame 2 is at 0\.7 µm"),
        ([0.0, np.inf], "frame 1 is at inf µm"),
    ],
)
def test_heights_that_turn_back_are_refused(heights, message):
    begun = finder()
    frame = next(iter(pair().after))
    for z in heights[:-1]:
        begun.push(frame, z)
    with pytest.raises(InputError, match=message):
        begun.push(frame, heights[-1])


def test_a_frame_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"frame 0 is \(64, 64\), expected \(128, 128\)"):
        finder().push(FRAME, 0.0)


def test_a_refused_frame_does_no_harm():
    begun = finder(heights_um=Z_UM)
    frames = list(pair().after)
    for k, z in enumerate(Z_UM):
        begun.push(frames[k], float(z))
        with pytest.raises(InputError, match="expected"):
            begun.push(FRAME, float(z) + 0.1)
        if k:
            with pytest.raises(InputError, match="must rise or fall"):
                begun.push(frames[k], float(z))
    assert len(begun.finish().particles) >= 8


def test_a_scan_that_never_came_is_reported():
    with pytest.raises(InputError, match=r"before covers -2 to 2\.25 µm and after nothing"):
        finder().finish()


def test_a_scan_that_ended_too_soon_is_reported():
    begun = finder()
    for frame, z in zip(list(pair().after)[:2], Z_UM[:2], strict=True):
        begun.push(frame, float(z))
    with pytest.raises(InputError, match=r"and after -2 to -1\.75 µm, so none of the surface"):
        begun.finish()


def test_scans_in_coarse_steps_are_warned_of():
    coarse = [
        ZStack.from_array(np.stack(list(one))[::8], Z_UM[::8], PIXEL_UM)
        for one in (pair().before, pair().after)
    ]
    with pytest.warns(UserWarning, match=r"frames are 2 µm apart but the depth of field is .* µm"):
        find_particles(*coarse, surface=surface())


def test_steps_too_wide_to_interpolate_between_are_reported(tmp_path):
    """Where the user looks: as a warning, with the table, and in the report."""
    from lee.devices.virtual.runs.scan_file import write_ome_scan
    from lee.particles.finding.scan_pairs import pairs_of
    from lee.particles.over_time import find_over_time

    scene = rig.gentle((96, 96), 0.25, 1, relief_um=2.0)
    z_um = scene.z_range(2.0, 6.0)
    paths = [tmp_path / f"{k}.ome.tif" for k in range(2)]
    for k, path in enumerate(paths):
        write_ome_scan(path, rig.render_scan(scene, z_um=z_um, seed=k).frames, z_um, 0.25)
    level = np.zeros((96, 96), np.float32)
    surface = Surface(level, level, level + 1, np.ones((96, 96), bool), level, 0.25)
    with pytest.warns(UserWarning, match=r"frames are 2 µm apart but the depth of field is 3.5 µm"):
        results, details = find_over_time(pairs_of(paths), surface=surface)
    (note,) = next(iter(details.values()))["notes"]
    assert note.startswith("frames are 2 µm apart")
    assert f"Warning: {note}." in results.notes
