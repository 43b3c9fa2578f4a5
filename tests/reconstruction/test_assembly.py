import numpy as np

from lee.reconstruction.assembly import _left_the_field, _placed


def test_what_had_drifted_out_when_in_focus_is_not_measured():
    height = np.zeros((20, 30), np.float32)
    height[:, 20:] = 10  # comes into focus at the end, when the scene has moved 6 px down and 8 px left
    z_um, drift_px = np.array([0.0, 5.0, 10.0]), np.array([[0.0, 0.0], [3.0, -4.0], [6.0, -8.0]])
    left = _left_the_field(height, z_um, drift_px)
    assert not left[:, :20].any()
    assert left[14:, 20:].all()
    assert not left[:9, 20:].any()


def test_falling_scans_and_small_drift_lose_nothing_of_the_wrong_side():
    height = np.full((20, 30), 2.0, np.float32)
    height[3, 4] = np.nan
    falling = _left_the_field(height, np.array([4.0, 0.0]), np.array([[0.0, 0.0], [0.0, 12.0]]))
    assert falling[:, 24:].all()
    assert not falling[:, :20].any()
    calm = _left_the_field(height, np.array([0.0, 4.0]), np.array([[0.0, 0.0], [0.4, -0.4]]))
    assert not calm.any()


def test_residual_drift_of_the_image_is_corrected():
    y, x = np.indices((40, 50))

    def scene(dy, dx):
        return (100 + 20 * np.sin((x - dx) / 3) + 10 * np.cos((y - dy) / 4)).astype(np.float32)

    height = np.where(x < 25, 1.0, 5.0).astype(np.float32)
    rests = np.array([[5.4, -0.4, 0.3], [0.8, 0.25, -0.5], [3.9, 0.0, 0.0]])
    seen = np.where(x < 25, scene(0.25, -0.5), scene(-0.4, 0.3))
    got = _placed(seen, height, rests)
    inside = np.s_[3:-3, 3:-3]
    away = np.abs(x[inside] - 25) > 3  # where one group's image meets the other's
    assert np.abs(got - scene(0, 0))[inside][away].max() < 0.3
    assert np.abs(seen - scene(0, 0))[inside][away].max() > 3
    np.testing.assert_array_equal(_placed(seen, height, rests * [1, 0.01, 0.01]), seen)
