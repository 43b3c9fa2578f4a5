"""Errors of means over groups of lines, where errors reach into the next group."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from lee.statistics.grouped_lines import beyond_groups

LINES, GROUP = 96, 6


@pytest.mark.parametrize("reach_px", [0, 1, 3])
def test_the_error_of_the_mean_of_all_lines_is_found(reach_px):
    rng = np.random.default_rng(1)
    stated, true = [], []
    for _ in range(200):
        errors = rng.normal(size=(LINES, 20))
        if reach_px:
            errors = gaussian_filter1d(errors, reach_px, axis=0)
        errors[rng.random(errors.shape) < 0.05] = np.nan
        groups = np.nanmean(errors.reshape(LINES // GROUP, GROUP, -1), axis=1)
        of_groups = groups.var(axis=0, ddof=1).mean() / len(groups)
        stated.append(beyond_groups(errors, GROUP) ** 2 * of_groups)
        true.append(np.mean(groups.mean(axis=0) ** 2))
    assert np.sqrt(np.mean(stated) / np.mean(true)) == pytest.approx(1, abs=0.1)


def test_lines_without_errors_widen_nothing():
    assert beyond_groups(np.full((40, 3), np.nan), 5) == 1
    assert beyond_groups(np.zeros((40, 3)), 5) == 1
