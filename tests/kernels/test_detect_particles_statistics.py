"""Particles in noise, crowds and texture: how many are found and missed, how well, and what is made up."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

import lee
from bench.scenes.spot_fields import BOUND_PX, drawn, frames, matched, random_field, scores

SIGMA_PX = 1.4


def places(found):
    return np.stack([found.y_px, found.x_px], axis=1).astype(np.float64)


def on_a_grid(side_px, step_px, rng):
    """Places one in the middle of each square, but for a random part of a pixel."""
    at = np.arange(step_px // 2, side_px - step_px // 2 + 1, step_px)
    y, x = np.meshgrid(at, at, indexing="ij")
    return np.stack([y.ravel(), x.ravel()], axis=1) + rng.uniform(-0.5, 0.5, (y.size, 2))


# --- nothing there ---


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_false_alarms_are_as_many_as_stated(dtype):
    count, expected = 40, 10.0
    nothing = np.zeros((512, 512))
    options = {"spot_sigma_px": SIGMA_PX, "false_alarms": expected, "threads": 1}
    found = [
        len(lee.detect_particles(*frames(nothing, seed, dtype=dtype, noise=2.0), **options).snr)
        for seed in range(count)
    ]
    assert 0.5 * expected < np.mean(found) < 2 * expected
    # As independent events scatter.
    assert 0.4 * np.mean(found) < np.var(found) < 2.2 * np.mean(found)


@pytest.mark.parametrize("sigma_px", [0.7, 3.0])
def test_false_alarms_for_other_spots(sigma_px):
    nothing, options = np.zeros((512, 512)), {"spot_sigma_px": sigma_px, "false_alarms": 10.0, "threads": 1}
    found = [len(lee.detect_particles(*frames(nothing, seed), **options).snr) for seed in range(15)]
    assert 5 < np.mean(found) < 20


def test_noise_that_grows_with_brightness():
    """Photon noise over a ramp and over patches: no more false particles where it is bright."""
    rng = np.random.default_rng(1)
    ramp = np.broadcast_to(50 * 40 ** np.linspace(0, 1, 512), (512, 512))
    patches = gaussian_filter(rng.normal(0, 1, (512, 512)), 24)
    for mean in (ramp, 400 * np.exp(0.7 * patches / patches.std())):
        found = [
            lee.detect_particles(
                *(rng.poisson(mean).astype(np.uint16) for _ in range(2)),
                spot_sigma_px=SIGMA_PX,
                false_alarms=20.0,
                threads=1,
            )
            for _ in range(10)
        ]
        levels = [mean[tuple(np.rint(places(one)).astype(int).T)] for one in found]
        bright = np.concatenate(levels) > np.median(mean)
        assert 10 < len(bright) / len(found) < 40
        assert 0.3 < bright.mean() < 0.7


@pytest.mark.parametrize("grain_px", [6, 12])
def test_noise_that_differs_from_grain_to_grain(grain_px):
    """Brightness over three decades within every tile: its bright pixels' noise is not cut short."""
    expected, found, bright = 20.0, [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        grain = gaussian_filter(rng.normal(size=(512, 512)), grain_px)
        mean = 400 * np.exp(grain / grain.std())
        pair = [rng.poisson(mean).astype(np.float32) for _ in range(2)]
        spots = lee.detect_particles(*pair, spot_sigma_px=SIGMA_PX, false_alarms=expected)
        at = np.rint(places(spots)).astype(int)
        bright.append(mean[at[:, 0], at[:, 1]] > np.median(mean))
        found.append(len(at))
    assert 0.5 * expected < np.mean(found) < 1.8 * expected
    assert 0.25 < np.concatenate(bright).mean() < 0.85


def test_peaks_and_noise_over_brightness():
    """The stated standard deviations follow the photons."""
    rng = np.random.default_rng(2)
    mean = np.broadcast_to(np.linspace(100, 4000, 512), (512, 512))
    true = on_a_grid(512, 32, rng)
    after = rng.poisson(mean + drawn(mean.shape, true, 400.0, SIGMA_PX)).astype(np.uint16)
    found = lee.detect_particles(rng.poisson(mean).astype(np.uint16), after, spot_sigma_px=SIGMA_PX)
    of_truth, of_found = matched(true, places(found))
    assert len(of_truth) > 0.98 * len(true)
    pull = ((places(found)[of_found] - true[of_truth]) / found.x_sigma_px[of_found, None]).ravel()
    for half in (true[of_truth, 1] < 256, true[of_truth, 1] >= 256):
        assert 0.82 < np.std(pull.reshape(-1, 2)[half]) < 1.2
    sigma = found.peak_sigma[of_found]
    dark, bright = true[of_truth, 1] < 80, true[of_truth, 1] > 432
    assert 1.6 < np.median(sigma[bright]) / np.median(sigma[dark]) < 2.9  # sqrt of counts


# --- what is there ---


@pytest.mark.parametrize("peak", [6.0, 15.0])
def test_places_are_as_good_as_noise_allows(peak):
    rng = np.random.default_rng(int(peak))
    true = on_a_grid(512, 24, rng)
    found = lee.detect_particles(*frames(drawn((512, 512), true, peak, SIGMA_PX), 4), spot_sigma_px=SIGMA_PX)
    of_truth, of_found = matched(true, places(found))
    assert len(of_truth) == len(true) > 400
    errors = places(found)[of_found] - true[of_truth]
    assert np.sqrt(np.mean(errors**2)) <= 1.1 * BOUND_PX / peak
    assert np.all(np.abs(errors.mean(axis=0)) < 4 * BOUND_PX / peak / np.sqrt(len(errors)))
    for error, sigma in (
        (errors[:, 0], found.y_sigma_px),
        (errors[:, 1], found.x_sigma_px),
        (found.peak[of_found] - peak, found.peak_sigma),
    ):
        assert 0.85 < np.std(error / sigma[of_found]) < 1.15
    # What a matched filter gives of a Gaussian: sqrt(pi) sigma times the peak pixel's ratio.
    assert np.median(found.snr[of_found]) == pytest.approx(np.sqrt(np.pi) * SIGMA_PX * peak, rel=0.08)


@pytest.mark.parametrize("sigma_px", [1.0, 1.4, 2.3, 3.5])
def test_the_width_of_points_is_found(sigma_px):
    rng = np.random.default_rng(3)
    true = on_a_grid(512, 40, rng)
    peaks = np.exp(rng.uniform(np.log(10), np.log(40), len(true)))
    spots = drawn((512, 512), true, peaks, sigma_px)
    crowd = rng.uniform(220, 290, (25, 2))
    found = lee.detect_particles(*frames(spots + drawn((512, 512), crowd, 20.0, sigma_px), 5))
    assert found.sigma_from >= 8
    assert found.spot_sigma_px == pytest.approx(sigma_px, rel=0.02)
    assert np.all(found.width_px >= np.float32(found.spot_sigma_px))


@pytest.mark.parametrize("sigma_px", [1.0, 1.8, 3.0])
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_a_handful_of_spots_tells_its_width(count, sigma_px):
    true = np.array([(50, 60), (120, 140), (140, 40), (30, 150), (70, 110), (160, 90)], float)[:count]
    spots = drawn((192, 192), true, 40.0, sigma_px)
    found = lee.detect_particles(*frames(spots, count), expected_sigma_px=0.7, false_alarms=1e-3)
    assert found.sigma_from == count
    assert found.spot_sigma_px == pytest.approx(sigma_px, rel=0.06)
    assert len(found.snr) == count == len(matched(true, places(found))[0])
    assert not found.flags.any()


def test_a_handful_of_spots_makes_the_width_no_narrower():
    """A pixel that blinks within a spot makes it narrow; many spots outvote it."""
    few = drawn((192, 192), [(50, 60), (120, 140), (140, 40)], 40.0, 1.0)
    found = lee.detect_particles(*frames(few, 1), expected_sigma_px=1.4)
    assert (found.spot_sigma_px, found.sigma_from) == (1.4, 0)
    many = drawn((192, 192), [(y, x) for y in (40, 90, 140) for x in (30, 80, 130)], 40.0, 1.0)
    assert lee.detect_particles(*frames(many, 1), expected_sigma_px=1.4).spot_sigma_px == pytest.approx(
        1.0, rel=0.05
    )


def test_many_faint_spots_tell_their_width():
    at = np.arange(16, 384, 32)
    true = np.stack(np.meshgrid(at, at, indexing="ij"), -1).reshape(-1, 2) + 0.3
    found = lee.detect_particles(*frames(drawn((384, 384), true, 4.0, 1.7), 1), expected_sigma_px=1.4)
    assert found.spot_sigma_px == pytest.approx(1.7, rel=0.05)


def test_blends_among_a_handful_do_not_widen_it():
    true = np.array([(50.0, 60.0), (120.0, 140.0), (140.0, 40.0), (140.0, 42.5)])
    found = lee.detect_particles(*frames(drawn((192, 192), true, 40.0, 1.5), 1), expected_sigma_px=1.0)
    assert found.spot_sigma_px == pytest.approx(1.5, rel=0.05)


def test_the_width_is_the_expected_one_where_no_bright_spot_shows():
    faint = drawn((256, 256), [(50, 50), (100, 130), (200, 80)], 2.0, 2.0)
    found = lee.detect_particles(*frames(faint, 1), expected_sigma_px=1.9)
    assert (found.spot_sigma_px, found.sigma_from) == (1.9, 0)


@pytest.mark.parametrize("ratio", [1.0, 0.5])
def test_close_pairs_are_distinguished(ratio):
    rng = np.random.default_rng(6)
    middles = on_a_grid(512, 36, rng)
    turn = rng.uniform(0, 2 * np.pi, len(middles))
    half = 1.1 * SIGMA_PX * np.stack([np.sin(turn), np.cos(turn)], axis=1)
    true = np.concatenate([middles - half, middles + half])
    peaks = np.repeat([40.0, 40.0 * ratio], len(middles))
    found = lee.detect_particles(*frames(drawn((512, 512), true, peaks, SIGMA_PX), 7), spot_sigma_px=SIGMA_PX)
    of_truth, of_found = matched(true, places(found), 0.5)
    assert len(of_truth) > 0.97 * len(true)
    assert len(found.snr) <= 1.01 * len(true)
    assert np.sqrt(np.mean((places(found)[of_found] - true[of_truth]) ** 2)) < 0.12
    pull = (places(found)[of_found] - true[of_truth])[:, 1] / found.x_sigma_px[of_found]
    assert 0.8 < np.std(pull) < 1.2


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("options", [{}, {"spot_sigma_px": SIGMA_PX}], ids=["automatic width", "given"])
def test_a_field_of_faint_bright_and_clustered_spots(seed, options):
    field = random_field(1024, 750, seed, sigma_px=SIGMA_PX)
    found = lee.detect_particles(*frames(field.drawn(), seed), **options)
    got = scores(field, places(found))
    assert got.f1 >= 0.92
    assert got.precision >= 0.97
    assert got.cluster_recall >= 0.75
    assert got.over_bound <= 1.15
    assert found.left_out == 0


def test_eight_and_sixteen_bits_are_enough():
    field = random_field(512, 188, 3, sigma_px=SIGMA_PX)
    for dtype, level, noise in ((np.uint8, 40, 2), (np.uint16, 2000, 50)):
        pair = frames(field.drawn(), 3, dtype=dtype, level=level, noise=noise)
        found = lee.detect_particles(*pair)
        assert scores(field, places(found)).f1 >= 0.92
        assert found.noise == pytest.approx(noise, rel=0.05)


# --- texture ---


def texture(shape, rng):
    """Detail of a few pixels, in places strong and in places weak."""
    detail = gaussian_filter(rng.normal(0, 1, shape), 1.5)
    rough = 0.3 + 1.2 * (gaussian_filter(rng.normal(0, 1, shape), 40) > 0)
    return 200 + 25 * gaussian_filter(rough, 8) * detail / detail.std()


CHANGES = {
    "moved": lambda frame: shift(frame, (0.1, -0.06), order=5, mode="nearest"),
    "brighter": lambda frame: 1.06 * frame + 5,
    "refocused": lambda frame: gaussian_filter(frame, 0.4),
    "all": lambda frame: 1.04 * gaussian_filter(shift(frame, (0.1, 0.05), order=5, mode="nearest"), 0.4),
}


@pytest.mark.parametrize("change", CHANGES)
def test_texture_is_no_particle(change):
    count, made_up = 6, {False: 0, True: 0}
    for seed in range(count):
        rng = np.random.default_rng(seed)
        before = texture((512, 512), rng)
        after = CHANGES[change](before)
        pair = [(frame + rng.normal(0, 1, frame.shape)).astype(np.float32) for frame in (before, after)]
        for disappearing in made_up:
            found = lee.detect_particles(*pair, spot_sigma_px=SIGMA_PX, disappearing=disappearing)
            made_up[disappearing] += len(found.snr)
            assert found.noise == pytest.approx(np.sqrt(2), rel=0.12)
    for total in made_up.values():
        assert total <= 3 * count  # one each is expected
    # Behind the filter, what texture leaves of the plain difference stands out in many places.
    plain = pair[1] - pair[0] - np.median(pair[1] - pair[0])
    matched_filter = 2 * np.sqrt(np.pi) * SIGMA_PX * gaussian_filter(plain, SIGMA_PX) / np.sqrt(2)
    assert np.mean(np.abs(matched_filter[8:-8, 8:-8]) > found.threshold_snr) > 1e-3  # 1e-5 by noise
    true = on_a_grid(512, 40, rng)
    bright = (pair[1] + drawn((512, 512), true, 25.0, SIGMA_PX)).astype(np.float32)
    found = lee.detect_particles(pair[0], bright, spot_sigma_px=SIGMA_PX)
    hit = len(matched(true, places(found))[0])
    assert hit > 0.95 * len(true)
    assert len(found.snr) - hit <= 5


def test_what_growth_changes_is_taken_out_by_axial():
    """A change that has nothing to do with how the frame looks: only `axial` shows it."""
    rng = np.random.default_rng(9)
    before = texture((384, 384), rng)
    axial = gaussian_filter(rng.normal(0, 1, before.shape), 1.4)
    axial /= axial.std()
    after = before + 6 * axial
    pair = [(frame + rng.normal(0, 1, frame.shape)).astype(np.float32) for frame in (before, after)]
    given = lee.detect_particles(*pair, axial=axial, spot_sigma_px=SIGMA_PX)
    without = lee.detect_particles(*pair, spot_sigma_px=SIGMA_PX)
    assert given.noise == pytest.approx(np.sqrt(2), rel=0.35)
    assert without.noise > 3 * given.noise
    assert len(given.snr) <= 4
    again = lee.detect_particles(*pair, axial=-40 * axial, spot_sigma_px=SIGMA_PX)
    np.testing.assert_allclose(places(again), places(given), atol=1e-2)  # any unit
