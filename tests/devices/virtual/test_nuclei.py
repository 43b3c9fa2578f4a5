"""Nuclei on rendered surfaces: light, place and height; where they appear; their truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit

from lee.devices import virtual as rig
from lee.devices.virtual.imaging.layers import Grid, LayeredScene
from lee.devices.virtual.runs.run import truth_of
from lee.devices.virtual.scene.nuclei import lights
from lee.errors import InputError

PIXEL_UM = 0.25
CLEAR = rig.Sensor(noise=False, bit_depth=16)
# Sums of frames, weighted, as the code drew them before it knew nuclei.
BEFORE = [8770728, 12425287, 12324898, 11129805, 11015435, 10897041]
PLATED = rig.GrowthLaw((rig.Phase("plating", 100.0, (50.0, 50.0)),))


def gain(scene, nuclei, z_um, sensor=CLEAR):
    """Return what nuclei add to frames (Z, H, W), counts."""
    both = (replace(scene, nuclei=some) for some in ((), nuclei))
    bare, full = (rig.render_scan(some, z_um=z_um, sensor=sensor).frames.astype(float) for some in both)
    return full - bare


def gaussian(at, height, y, x, sigma):
    return (height * np.exp(-((at[0] - y) ** 2 + (at[1] - x) ** 2) / (2 * sigma**2))).ravel()


def fitted(frame, y_px, x_px, reach=3):
    """Return the centre (y, x) px of the spot near a place."""
    rows, columns = (np.arange(round(c) - reach, round(c) + reach + 1) for c in (y_px, x_px))
    at = np.meshgrid(rows, columns, indexing="ij")
    first = (frame[round(y_px), round(x_px)], y_px, x_px, 1.0)
    found, _ = curve_fit(gaussian, at, frame[np.ix_(rows, columns)].ravel(), first)
    return found[1:3]


def plain(shape=(64, 64), pixel_um=PIXEL_UM):
    return rig.Scene(np.zeros(shape), np.full(shape, 0.35), pixel_um)


def seeded(*nuclei):
    scene = rig.electrode((56, 60), PIXEL_UM, 1, relief_um=1.5)
    return rig.GrowingScene(replace(scene, nuclei=nuclei), PLATED, texture_s=np.inf)


# --- light ---


def test_spectra_are_the_direct_sum():
    grid = Grid.around((21, 26), PIXEL_UM, 1.3, rig.Optics())
    rng = np.random.default_rng(1)
    y, x = rng.uniform(-1.0, 6.0, (2, 1030))  # more than are summed at once
    light, sigma = rng.uniform(0, 1, (2, 1030)), rng.uniform(0, 0.12, 1030)
    found = grid.points(y, x, light, sigma)
    fy, fx = np.fft.fftfreq(grid.shape[0])[grid.row], np.fft.rfftfreq(grid.shape[1])[grid.column]
    py, px = (at[:, None] / PIXEL_UM + pad for at, pad in zip((y, x), grid.pad, strict=True))
    spots = np.exp(-2j * np.pi * (py * fy + px * fx))
    spots *= np.exp(-2 * np.pi**2 * (sigma[:, None] / PIXEL_UM) ** 2 * (fy**2 + fx**2))
    assert np.abs(found - light @ spots).max() < 1e-6 * light.sum(axis=1).max()


@pytest.mark.parametrize(("diameter_nm", "share"), [(120.0, 1e-4), (250.0, 1e-4), (400.0, 5e-4)])
def test_a_nucleus_looks_like_a_disk_of_its_diameter(diameter_nm, share):
    grid = Grid.around((64, 64), 0.2, 1.0, rig.Optics())
    otf = (rig.Optics().otf(np.array([0.0]), grid.radius)[0])[grid.ring_of] * grid.pixel_aperture()
    disk = grid.disk(6.43, 6.31, 0.5e-3 * diameter_nm)
    scattering = rig.Scattering()
    spot = lights([rig.Nucleus(6.43, 6.31, diameter_nm)], plain().height_um, 0.2, scattering)
    white = spot.light_um2 * np.pi * (0.5e-3 * diameter_nm / 0.2) ** 2 / scattering.light_um2(diameter_nm)
    spot = grid.points(spot.y_um, spot.x_um, white[None], spot.sigma_um)[0]
    wanted, found = (grid.backward((part * otf).astype(np.complex64), (64, 64)) for part in (disk, spot))
    assert np.abs(found - wanted).max() < share * wanted.max()


def test_more_nuclei_need_no_more_layers():
    scene = rig.gentle((48, 48), PIXEL_UM, 1, relief_um=3.0)
    grid = Grid.around(scene.shape, PIXEL_UM, 2.0, rig.Optics())

    def layered(count):
        nuclei = (*scene.with_nuclei(count, 1).nuclei, rig.Nucleus(6.0, 6.0, 300.0, offset_um=0.4))
        points = lights(nuclei, scene.height_um, PIXEL_UM, scene.scattering)
        return LayeredScene(grid, scene.height_um, scene.reflectance, [], 0.2, points)

    few, many = layered(0), layered(3000)
    surface = int(np.ceil(np.ptp(scene.height_um) / 0.2)) + 1
    assert surface <= len(few.z_um) <= len(many.z_um) <= surface + 3
    assert len(many._parts) == len(many.z_um)


def test_the_surface_is_drawn_alike_with_and_without_nuclei():
    scene = rig.electrode((64, 64), PIXEL_UM, 1, relief_um=2.0)
    top = np.unravel_index(int(scene.height_um.argmax()), scene.shape)
    added = gain(scene, [rig.Nucleus(PIXEL_UM * top[0], PIXEL_UM * top[1], 60.0, offset_um=1.5)], [0.0, 1.0])
    assert np.abs(added).max() <= 70  # of 65535: the nucleus is that faint
    far = rig.Nucleus(1e3, 1e3, 500.0)  # beyond the margin, not around its edge
    assert not gain(scene, [far], [0.0, 1.0]).any()


def test_frames_without_nuclei_are_as_they_were_before_there_were_any():
    law = rig.GrowthLaw((rig.Phase("plating", 100.0, (50.0, 50.0), (1.0, 1.0)),))
    growing = rig.GrowingScene(rig.electrode((48, 40), PIXEL_UM, 1, relief_um=2.0), law)

    def disturb(scene, k):
        return scene.with_spikes(3, k).with_bubbles(1, k, (2.0, 3.0)).with_debris(1, k)

    options = {"shift_px": (1.0, -0.5), "z_um": np.arange(-2, 4, 0.5), "frames_per_s": 4.0, "seed": 3}
    scans = rig.iter_scans(growing, [0.0, 40.0], disturb=disturb, **options)
    weights = np.arange(46 * 38).reshape(46, 38) % 97
    sums = [int((frame * weights).sum()) for scan in scans for frame in scan.frames[::4]]
    # Another processor may round a few of its pixels otherwise.
    np.testing.assert_allclose(sums, BEFORE, atol=500)
    still = rig.gentle((64, 56), PIXEL_UM, 2).with_spikes(4, 1)
    one, two = (
        rig.render_scan(scene, z_um=np.linspace(-1, 1, 5), drift_px=(1.0, -0.5), seed=5).frames
        for scene in (still, replace(still, nuclei=[], scattering=rig.Scattering(1.0, 50.0)))
    )
    np.testing.assert_array_equal(one, two)


def test_light_follows_its_law():
    law = rig.Scattering()
    small, large = law.light_um2([5.0, 10.0]), law.light_um2([2000.0, 4000.0])
    assert small[1] / small[0] == pytest.approx(64, rel=1e-3)
    assert large[1] / large[0] == pytest.approx(4, rel=1e-3)
    assert large[1] == pytest.approx(1.5 * np.pi * 2.0**2, rel=1e-3)
    assert (np.diff(law.light_um2(np.geomspace(1, 2000, 400))) > 0).all()
    assert law.light_um2(0.0) == 0


@pytest.mark.parametrize("pixel_um", [0.2, 0.25])
def test_the_default_camera_sees_120_nm_at_twice_the_noise_and_350_nm_below_saturation(pixel_um):
    even = rig.electrode((128, 128), pixel_um, 1, relief_um=8.0).reflectance.mean()
    scene = rig.Scene(np.zeros((64, 64)), np.full((64, 64), even), pixel_um)
    noisy, clear = rig.Sensor(shading=0.0), replace(CLEAR, shading=0.0)
    one, two = (next(rig.iter_frames(scene, z_um=[0.0], sensor=noisy, seed=k)).astype(float) for k in (1, 2))
    for diameter, low, high in ((120.0, 1.8, 2.2), (350.0, 38.0, 44.0)):
        nucleus = rig.Nucleus(32 * pixel_um, 32 * pixel_um, diameter)
        peak = gain(scene, [nucleus], [nucleus.centre_um], clear).max() / 257
        assert low < peak / np.std(two - one) < high
    assert (90 + peak) / 255 == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("diameter_nm", [150.0, 250.0, 400.0])
def test_a_spot_holds_the_counts_predicted(diameter_nm):
    scene, place = plain((96, 96)), (31.3 * PIXEL_UM, 60.8 * PIXEL_UM)
    nucleus = rig.Nucleus(*place, diameter_nm)
    added = gain(scene, [nucleus], [nucleus.centre_um, nucleus.centre_um + 1.0])
    predicted = rig.intensity_counts(diameter_nm, scene, CLEAR, at_um=place)
    np.testing.assert_allclose(added.sum(axis=(1, 2)), predicted, rtol=0.02)
    assert rig.intensity_counts([diameter_nm], scene).shape == (1,)
    eight = rig.intensity_counts(diameter_nm, scene)
    assert eight * 257 == pytest.approx(float(rig.intensity_counts(diameter_nm, scene, CLEAR)))
    assert predicted < rig.intensity_counts(diameter_nm, scene, CLEAR)


def test_nuclei_do_not_change_the_exposure():
    scene = rig.flat((64, 64), PIXEL_UM, 3)
    full = scene.with_nuclei(40, 1, (400.0, 400.0))
    assert rig.intensity_counts(200.0, full) == rig.intensity_counts(200.0, scene)
    added = gain(scene, full.nuclei, [0.2])[0]
    assert np.median(added) < 0.02 * added.max()
    assert added.min() > -2


# --- place and height ---


def test_spots_lie_where_the_nuclei_do():
    scene = rig.gentle((64, 64), PIXEL_UM, 4, relief_um=2.0)
    for y, x in ((20.0, 31.0), (30.37, 25.81), (40.5, 12.25), (11.08, 50.66)):
        height = scene.height_um[round(y), round(x)]
        nucleus = rig.Nucleus(y * PIXEL_UM, x * PIXEL_UM, 250.0)
        frame = gain(scene, [nucleus], [height], replace(CLEAR, shading=0.0))[0]
        np.testing.assert_allclose(fitted(frame, y, x), (y, x), atol=0.01)


@pytest.mark.parametrize("offset_um", [None, 0.0, 0.9])
def test_a_spot_is_brightest_at_its_height(offset_um):
    scene = rig.flat((64, 64), PIXEL_UM, 2, tilt_um=(3.0, -2.0))
    dim = replace(CLEAR, mean_share=0.1)
    nucleus = rig.Nucleus(20.4 * PIXEL_UM, 35.7 * PIXEL_UM, 200.0, offset_um=offset_um)
    across = 3.0 * (20.4 / 63 - 0.5) - 2.0 * (35.7 / 63 - 0.5)
    height = across + (0.1 if offset_um is None else offset_um)
    z = np.arange(-3.0, 3.0, 0.1)
    peaks = gain(scene, [nucleus], z, dim).max(axis=(1, 2))
    assert abs(z[int(peaks.argmax())] - height) < 0.11
    near = np.abs(z - height) < 0.8
    bend, slope, _ = np.polyfit(z[near] - height, peaks[near], 2)
    assert abs(slope / (2 * bend)) < 0.02


def test_nuclei_are_scattered_anywhere_and_in_groups():
    scene = rig.flat((100, 120), PIXEL_UM, 0)
    nuclei = scene.with_nuclei(400, 5, (80.0, 300.0)).nuclei
    assert nuclei == scene.with_nuclei(400, 5, (80.0, 300.0)).nuclei
    assert nuclei != scene.with_nuclei(400, 6, (80.0, 300.0)).nuclei
    sizes = np.array([nucleus.diameter_nm for nucleus in nuclei])
    assert 80 <= sizes.min() < 85 < 280 < sizes.max() <= 300
    assert np.median(sizes) == pytest.approx(np.sqrt(80 * 300), rel=0.1)
    assert len(scene.with_nuclei(3, 1).with_nuclei(4, 2).nuclei) == 7

    def nearest(some):
        at = np.array([(nucleus.y_um, nucleus.x_um) for nucleus in some])
        assert (at >= -0.5 * PIXEL_UM).all()
        assert (at <= (np.array(scene.shape) - 0.5) * PIXEL_UM).all()
        apart = np.hypot(*(at[:, None] - at[None, :]).transpose(2, 0, 1))
        np.fill_diagonal(apart, np.inf)
        return apart.min(axis=1)

    grouped = nearest(scene.with_nuclei(60, 5, clustered=0.5, cluster_um=0.3).nuclei)
    assert np.median(grouped[:30]) < 0.5
    assert np.median(grouped[30:]) > 1.0


# --- nucleation ---


def phase(kind, duration_s, curvature=0.0):
    return rig.Phase(kind, duration_s, (40.0, 40.0), (curvature, curvature))


def test_trenches_get_more_by_their_curvature():
    growing = rig.growing_electrode((160, 160), PIXEL_UM, 3, plating_s=60.0, stripping_s=5.0)
    options = {"rate_per_um2_s": 0.05, "fading_s": 40.0, "preference": 0.6}
    nuclei = rig.nucleate(growing, **options, seed=1).nuclei
    expected = np.zeros(growing.shape)
    scale = growing.curvature_per_um(0.0).std()
    for t in np.arange(0.5, 60.0):
        gy, gx = np.gradient(growing.height_um(t), PIXEL_UM)
        curved = growing.curvature_per_um(t) / scale
        expected += np.exp(0.6 * curved - t / 40) * np.sqrt(1 + gx**2 + gy**2) * 0.05 * PIXEL_UM**2
    found = np.zeros(growing.shape)
    places = np.rint([(n.y_um / PIXEL_UM, n.x_um / PIXEL_UM) for n in nuclei]).astype(int)
    np.add.at(found, tuple(places.T), 1)
    counts = {}
    for name, part in (("trenches", growing.trenches()), ("protrusions", growing.protrusions())):
        counts[name] = found[part].sum()
        assert abs(counts[name] - expected[part].sum()) < 4 * np.sqrt(expected[part].sum())
    alike = rig.nucleation_rate(growing, 59.5, rate_per_um2_s=0.01, preference=0.0)
    np.testing.assert_allclose(alike, 0.01 * np.sqrt(1 + gx**2 + gy**2), rtol=1e-4)
    assert counts["trenches"] > 4 * counts["protrusions"] > 0
    assert abs(found.sum() - expected.sum()) < 4 * np.sqrt(expected.sum())


def test_counts_and_sizes_fall_with_time():
    law = rig.GrowthLaw((phase("plating", 200.0), phase("rest", 50.0), phase("plating", 100.0)))
    given = {"rate_per_um2_s": 0.2, "fading_s": 50.0, "diameter_nm": 180.0, "spread": 0.3}
    growing = rig.GrowingScene(rig.flat((100, 100), PIXEL_UM, 0), law)
    growing = rig.nucleate(growing, **given, diameter_fading_s=100.0, growth_s=2.0, seed=3)
    born = np.array([nucleus.born_s for nucleus in growing.nuclei])
    size = np.array([nucleus.diameter_nm for nucleus in growing.nuclei])
    assert not ((born > 200) & (born < 250)).any()
    for begin, end, since in ((0, 20, 0), (100, 150, 0), (250, 280, 250)):
        now = (born >= begin) & (born < end)
        first, last = np.exp(-(begin - since) / 50), np.exp(-(end - since) / 50)
        expected = 0.2 * 25.0**2 * 50 * (first - last)
        assert abs(now.sum() - expected) < 4 * np.sqrt(expected)
        level = np.log(size[now]) + (born[now] - since) / 100
        assert np.median(level) == pytest.approx(np.log(180), abs=5 * 0.3 / np.sqrt(now.sum()))
        assert np.std(level) == pytest.approx(0.3, rel=0.15)
    assert {nucleus.growth_s for nucleus in growing.nuclei} == {2.0}


def test_a_nucleus_grows_from_nothing_and_dissolves():
    nucleus = rig.Nucleus(1.0, 1.0, 200.0, born_s=10.0, gone_s=50.0, growth_s=4.0)
    found = [nucleus.diameter_at(time) for time in (9, 10, 11, 14, 30, 46, 49, 50, 60)]
    np.testing.assert_allclose(found, [0, 0, 100, 200, 200, 200, 100, 0, 0])
    growing = seeded(nucleus, rig.Nucleus(2.0, 2.0, 90.0))
    assert [n.diameter_nm for n in growing.at(11.0).nuclei] == [100.0, 90.0]
    assert [n.diameter_nm for n in growing.at(60.0).nuclei] == [90.0]
    assert growing.at(11.0).nuclei[0].centre_um == pytest.approx(0.05)


def test_nuclei_dissolve_while_stripped_and_seeds_repeat():
    law = rig.GrowthLaw((phase("plating", 30.0), phase("stripping", 40.0), phase("plating", 30.0)))
    growing = rig.GrowingScene(rig.flat((64, 64), PIXEL_UM, 0), law)
    first, again, other = (rig.nucleate(growing, dissolving=True, seed=seed).nuclei for seed in (4, 4, 5))
    assert first == again != other
    gone = np.array([n.gone_s for n in first if n.born_s < 30])
    assert ((gone > 33) & (gone < 70)).all()
    assert np.isinf([n.gone_s for n in first if n.born_s > 70]).all()
    assert np.isinf([n.gone_s for n in rig.nucleate(growing, seed=4).nuclei]).all()
    twice = rig.nucleate(rig.nucleate(growing, seed=4), seed=5).nuclei
    assert twice[-len(rig.nucleate(growing, seed=5).nuclei) :] == rig.nucleate(growing, seed=5).nuclei


# --- scans and truth ---


def test_truth_has_where_and_how_bright_each_spot_is_while_the_surface_rises():
    at = [(20.3, 30.6), (35.8, 18.2), (28.4, 44.1)]
    old, young, late = (
        rig.Nucleus(y * PIXEL_UM, x * PIXEL_UM, 300.0, born_s=born, growth_s=growth)
        for (y, x), born, growth in zip(at, (0.0, 45.0, 49.0), (3.0, 3.0, 8.0), strict=True)
    )
    growing = seeded(old, young, late)
    stage = {"shift_px": [[0.0, 0.0], [1.4, -2.3]], "axial_um": [0.0, 0.3], "z_um": np.arange(0.0, 6.0, 0.1)}
    options = {"times_s": [30.0, 50.0], "frames_per_s": 20.0, "sensor": replace(CLEAR, mean_share=0.1)}
    full, bare = (list(rig.iter_scans(some, **options, **stage)) for some in (growing, seeded()))
    truth = truth_of(growing, full)
    assert truth.nuclei_seen_nm.shape == (2, 3)
    assert truth.height_um.shape[1:] == (50, 54)
    np.testing.assert_allclose(truth.nuclei_y_um, PIXEL_UM * (np.array(at)[:, 0] - 3))
    np.testing.assert_allclose(truth.nuclei_seen_nm[:, 0], 300.0)
    for k, nucleus in ((1, young), (2, late)):
        assert truth.nuclei_seen_nm[0, k] == 0
        met = truth.nuclei_seen_s[1, k]
        assert truth.nuclei_seen_nm[1, k] == pytest.approx(nucleus.diameter_at(met))
    new = rig.appeared(truth, 30.0, 50.0, drifted=True)
    assert new.index.tolist() == [1, 2]
    added = full[1].frames.astype(float) - bare[1].frames
    z = full[1].z_um
    for k in range(2):
        y, x = new.y_um[k] / PIXEL_UM, new.x_um[k] / PIXEL_UM
        part = added[:, round(y) - 8 : round(y) + 9, round(x) - 8 : round(x) + 9]
        focus = int(np.abs(z - (new.z_um[k] + 0.3)).argmin())
        if k == 0:  # the other brightens while the focus passes it
            near = slice(focus - 6, focus + 7)
            bend, slope, _ = np.polyfit(z[near] - z[focus], part[near].max(axis=(1, 2)), 2)
            assert z[focus] - slope / (2 * bend) == pytest.approx(new.z_um[k] + 0.3, abs=0.05)
        np.testing.assert_allclose(fitted(added[focus], y, x), (y, x), atol=0.02)
        assert part[focus].sum() == pytest.approx(new.gain_counts[k], rel=0.05)
        assert new.z_um[k] - new.surface_um[k] == pytest.approx(0.5e-3 * new.diameter_nm[k])
    np.testing.assert_allclose(new.y_um - rig.appeared(truth, 30.0, 50.0).y_um, 1.4 * PIXEL_UM)


def test_what_appears_on_a_growing_scene():
    big = rig.Nucleus(5.0, 6.0, 200.0, offset_um=0.3, born_s=5.0, growth_s=2.0)
    growing = seeded(big, rig.Nucleus(2.0, 2.0, 100.0), replace(big, born_s=-5.0, gone_s=21.0))
    new = rig.appeared(growing, 6.0, 20.0)
    assert new.index.tolist() == [0]
    assert new.diameter_nm == pytest.approx(200.0)
    assert new.before_nm == pytest.approx(200 / np.sqrt(2))
    assert new.surface_um == pytest.approx(float(growing.height_um(20.0)[20, 24]), abs=1e-5)
    assert new.z_um - new.surface_um == pytest.approx(0.3)
    assert np.isnan(new.gain_counts).all()
    assert rig.appeared(growing, 20.0, 30.0).y_um.shape == (0,)


def test_a_run_keeps_its_nuclei_and_one_from_before_has_none(tmp_path):
    beside = rig.Nucleus(0.1, 5.0, 200.0, born_s=1.0)
    growing = rig.nucleate(seeded(beside), rate_per_um2_s=0.01, seed=2)
    options = {"times_s": [0.0, 20.0], "z_um": np.arange(-1.0, 3.0, 0.5), "shift_px": (2.0, 0.0)}
    truth = rig.render_run(tmp_path / "run", growing, **options)
    loaded = rig.RunTruth.load(tmp_path / "run")
    for name, value in vars(truth).items():
        assert np.array_equal(getattr(loaded, name), value), name
    assert loaded.nuclei_counts.shape == (2, len(growing.nuclei))
    assert loaded.nuclei_y_um[0] == pytest.approx(0.1 - 2 * PIXEL_UM)
    new = rig.appeared(loaded, 0.0, 20.0, drifted=True)
    assert 0 in new.index  # the drift brings it onto the frames
    assert (new.gain_counts > 0).all()
    assert (new.y_um > -0.5 * PIXEL_UM).all()
    older = {name: value for name, value in vars(truth).items() if not name.startswith("nuclei")}
    np.savez(tmp_path / "truth.npz", **older)
    loaded = rig.RunTruth.load(tmp_path)
    assert loaded.nuclei_seen_nm.shape == (2, 0)
    assert rig.appeared(loaded, 0.0, 20.0).index.size == 0


# --- bad input ---


def scanned(**options):
    return truth_of(seeded(), list(rig.iter_scans(seeded(), [0.0, 5.0], z_um=[0.0, 1.0], **options)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rig.Nucleus(0.0, 0.0, 0.0), r"nucleus: diameter_nm 0\.0 must be above 0"),
        (lambda: rig.Nucleus(np.nan, 0.0, 1.0), r"y_um nan, x_um 0\.0 and offset_um None must be finite"),
        (lambda: rig.Nucleus(0.0, 0.0, 1.0, born_s=3.0, gone_s=3.0), r"gone_s 3\.0 must be after born_s"),
        (lambda: rig.Nucleus(0.0, 0.0, 1.0, growth_s=0.0), r"growth_s 0\.0 must be above 0"),
        (lambda: rig.Scattering(0.0), r"scattering: efficiency 0\.0 and knee_nm 135\.0 must be above 0"),
        (lambda: rig.intensity_counts(-1.0, plain()), r"diameter_nm must be finite and 0 or above"),
        (lambda: plain().with_nuclei(-1, 0), r"nuclei: count -1 must be 0 or above"),
        (lambda: plain().with_nuclei(1, 0, (9.0, 3.0)), r"diameter_nm \(9\.0, 3\.0\) rise from above 0"),
        (lambda: plain().with_nuclei(1, 0, clustered=1.5), r"clustered 1\.5 must be between 0 and 1"),
        (lambda: rig.nucleate(seeded(), rate_per_um2_s=-1.0), r"rate_per_um2_s -1\.0 must be 0 or above"),
        (lambda: rig.nucleate(seeded(), fading_s=0.0), r"nucleate: fading_s 0\.0 must be above 0"),
        (lambda: rig.nucleate(seeded(), preference=np.inf), r"nucleate: preference inf must be finite"),
        (lambda: rig.nucleate(seeded(), curvature_scale_per_um=0.0), r"curvature_scale_per_um 0\.0 above 0"),
        (lambda: rig.appeared(seeded(), 5.0, 5.0), r"appeared: end_s 5\.0 must be after begin_s 5\.0"),
        (lambda: rig.appeared(scanned(), 0.0, 3.0), r"no scan of the run began at 3\.0 s; see times_s"),
        (lambda: scanned(disturb=lambda scene, k: scene.with_nuclei(3, k)), "disturb must leave nuclei"),
    ],
)
def test_nuclei_that_cannot_be(make, message):
    with pytest.raises(InputError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)
