"""The toy kernel equals its oracle."""

import numpy as np
import pytest

import lee
from lee.errors import InputError
from tests.reference.toy_negation import toy_negation as oracle

height = np.array([[1.0, np.nan, -3.0], [0.5, 2.0, 0.0]], np.float32)
np.testing.assert_array_equal(lee.toy_negation(height), oracle(height))
with pytest.raises(InputError, match=r"toy_negation: height_um has shape \(2,\); give a non-empty"):
    lee.toy_negation([1.0, 2.0])
