"""What `lee.detect_particles` refuses, in which words."""

import numpy as np
import pytest

import lee
from lee import _core
from lee.errors import InputError

FRAME = np.zeros((9, 8), np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"before": np.zeros(3)}, r"before has shape \(3,\); give a non-empty \(H, W\) array"),
        ({"after": np.zeros((2, 9, 8))}, r"after has shape \(2, 9, 8\); give a non-empty \(H, W\)"),
        ({"before": np.zeros((0, 4))}, r"before has shape \(0, 4\)"),
        ({"after": FRAME.astype(complex)}, "after holds complex128; give real numbers"),
        ({"before": np.array([["a"]])}, "before holds <U1; give real numbers"),
        ({"after": FRAME[1:]}, r"before is \(9, 8\) but after is \(8, 8\); give equal shapes"),
        ({"axial": FRAME[:, 1:]}, r"before is \(9, 8\) but axial is \(9, 7\); give equal shapes"),
        ({"axial": np.zeros(5)}, r"axial has shape \(5,\); give a non-empty two-dimensional array"),
        ({"axial": FRAME.astype(complex)}, "axial holds complex128; give real numbers"),
        ({"spot_sigma_px": 0.4}, "spot_sigma_px is 0.400000; give 0.5 to 6, or 0 for automatic"),
        ({"spot_sigma_px": 6.5}, "spot_sigma_px is 6.500000; give 0.5 to 6"),
        ({"spot_sigma_px": float("nan")}, "spot_sigma_px is nan; give 0.5 to 6"),
        ({"expected_sigma_px": 0.0}, "expected_sigma_px is 0.000000; give 0.5 to 6"),
        ({"false_alarms": 0.0}, "false_alarms is 0.000000; give a number above 0"),
        ({"false_alarms": float("inf")}, "false_alarms is inf; give a number above 0"),
        ({"threshold_snr": -1.0}, "threshold_snr is -1.000000; give a number above 0, or 0 for automatic"),
        ({"threshold_snr": float("nan")}, "threshold_snr is nan; give a number above 0"),
        ({"saturation": 0.0}, "saturation is 0.000000; give counts above 0"),
        ({"saturation": float("nan")}, "saturation is nan; give counts above 0"),
        ({"shift_px": (9.0, 0.0)}, r"shift_px is \(9.0+, 0.0+\), which leaves nothing of frames of"),
        ({"shift_px": (0.0, -8.5)}, r"shift_px is \(0.0+, -8.50+\), which leaves nothing of frames of"),
        ({"shift_px": (float("nan"), 0.0)}, r"shift_px is \(nan, 0.0+\), which leaves nothing"),
        ({"threads": -1}, "threads is -1; give 0 for all cores, or a count"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=f"^detect_particles: {message}"):
        lee.detect_particles(**{"before": FRAME, "after": FRAME, **arguments})


def test_bad_arrays_on_the_device_are_refused(cuda):
    frame = cuda.array(FRAME)
    for name in ("before", "after"):
        pair = {"before": frame, "after": frame}
        wrong = cuda.array(FRAME.astype(np.float64))
        message = f"detect_particles: {name} on the CUDA device holds float64; convert it to uint8 or uint16"
        with pytest.raises(InputError, match=message):
            lee.detect_particles(**{**pair, name: wrong})
        with pytest.raises(InputError, match=f"{name} on the CUDA device is not contiguous"):
            lee.detect_particles(**{**pair, name: cuda.array(np.zeros((9, 16), np.float32))[:, ::2]})
        with pytest.raises(TypeError, match="detect_particles"):
            lee.detect_particles(**{**pair, name: FRAME})
    with pytest.raises(InputError, match="before holds float32 but after uint8; convert one"):
        lee.detect_particles(frame, cuda.array(FRAME.astype(np.uint8)))
    with pytest.raises(InputError, match=r"spot_sigma_px is 9.0+; give 0.5 to 6"):
        lee.detect_particles(frame, frame, spot_sigma_px=9)


def test_the_core_takes_only_what_it_is_made_for():
    options = {
        "spot_sigma_px": 1.4, "expected_sigma_px": 1.4, "false_alarms": 1.0, "threshold_snr": 0.0,
        "saturation": float("inf"), "shift_px": (0.0, 0.0), "disappearing": False, "threads": 1,
    }  # fmt: skip
    _core.detect_particles(FRAME, FRAME, None, **options)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.detect_particles(FRAME.astype(float), FRAME.astype(float), None, **options)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.detect_particles(FRAME, FRAME.astype(np.uint8), None, **options)
    with pytest.raises(ValueError, match=r"detect_particles: before is .* but after is"):
        _core.detect_particles(FRAME, FRAME[1:], None, **options)
    with pytest.raises(ValueError, match="detect_particles: threads is -2; give 0 for all cores"):
        _core.detect_particles(FRAME, FRAME, None, **{**options, "threads": -2})
