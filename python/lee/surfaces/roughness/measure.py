"""`roughness`: areal parameters of one surface, with the uncertainty that the errors of its heights cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.surfaces.areal import areal
from lee.surfaces.height_map import height_map
from lee.surfaces.roughness.autocorrelation import Autocorrelation, autocorrelation
from lee.surfaces.roughness.height_errors import drawn_errors, height_errors
from lee.surfaces.roughness.hills import hills
from lee.surfaces.roughness.line import LineOptions, LineRoughness, line_roughness
from lee.surfaces.roughness.material_ratio import MaterialRatio, material_ratio
from lee.surfaces.roughness.result import Roughness, RoughnessParameter
from lee.surfaces.roughness.scale_limited import ScaleLimited

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface

_PRUNED = 0.05  # hills lower than this share of Sz are no hills, ISO 25178-3
_UM2_PER_MM2 = 1e6
_DRAWS = 24
_FEW = 6
# What hangs on extremes and on shapes of curves varies less about a noisy map than about the true one: on
# random surfaces of known roughness by this factor, 1.2 to 1.9.
_LESS = 1.5
_SMOOTH = ("Sa_um", "Sq_um", "Sdq", "Sdr_percent", "Ra_um", "Rq_um", "step_um")
_RULED = "ruled by noise: give an S-filter, or a coarser one"
_NOTED = 0.05
_NOT_AMPLITUDES = ("Sal_um", "step_um")
# Correlation lengths are estimated on a grid of this ratio, down to this one.
_NEXT, _SHORTEST_PX = 2**0.25, 0.5

Heights = NDArray[np.float64]


def roughness(
    height_um: ArrayLike | Surface,
    *,
    pixel_um: float | None = None,
    form_order: int = 1,
    s_filter_um: float | None = None,
    l_filter_um: float | None = None,
    line: LineOptions | None = None,
    noise_um: float | None = None,
    noise_correlation_px: float | None = None,
    draws: int = _DRAWS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Roughness:
    """Measure the areal roughness of a surface after ISO 25178-2.

    The form is removed, the S-filter removes what is finer than its cut-off, the form is removed again, and
    the L-filter removes what is coarser than its own. Nothing is filled: pixels that were not measured take
    no part.

    Random errors of the heights, as large as stated and correlated as stated or estimated, are sent through
    the same evaluation. They add their square to those of Sq and Sdq: it is subtracted in
    ``Sq_corrected_um`` and ``Sdq_corrected``.

    Parameters
    ----------
    height_um : (H, W) array, µm, or Surface
        NaN where not measured.
    pixel_um : float, µm, optional
        Size of a pixel; a surface brings its own.
    form_order : int
        Total degree of the polynomial that is removed: 0 the mean, 1 the plane, at most 10.
    s_filter_um, l_filter_um : float, µm, optional
        Cut-off wavelengths of the areal Gaussian filters (ISO 16610-61).
    line : LineOptions, optional
        A profile to measure too, on the surface without its form, with the cut-off of the L-filter.
    noise_um : float, µm, optional
        Standard deviation of the heights, such as `lee.metrology.noise` finds; by default the
        surface's own.
    noise_correlation_px : float, pixels, optional
        Their correlation length, as in `lee.curvature`; by default estimated.
    draws : int
        Random draws of the errors: sigmas of 24 draws are good to 15 %.
    seed : int
    progress : callable, optional
        Called with (done, total).

    Returns
    -------
    Roughness
        ``Sa_um Sq_um Sz_um Sp_um Sv_um Ssk Sku Sdq Sdr_percent Sk_um Spk_um Svk_um Smr1_percent Smr2_percent
        Sal_um Str Spd_per_mm2``, the corrected ones, and of a line ``Ra_um Rq_um Rz_um step_um``.

    Raises
    ------
    InputError
        If the map is smaller than 2 × 2 pixels, or nothing in it is measured, a filter does not fit it, or as
        `line_roughness`.

    Notes
    -----
    Sigma holds random errors of the heights. It does not hold relief that the instrument does not resolve,
    which mostly lowers Sdq, other places of the sample, nor the scales of z and of the pixel. Of extremes and
    counts (``Sz Sp Sv Rz Spd``) noted as ruled by noise it is too small: their points are chosen by noise.

    Examples
    --------
    >>> rough = lee.metrology.roughness(surface, s_filter_um=1.0, l_filter_um=50.0)
    >>> rough["Sq_corrected_um"].value, rough["Sq_corrected_um"].sigma
    """
    given = height_map(height_um, pixel_um, operation="roughness")
    height = np.array(given.height_um, dtype=np.float64)
    pixel = float(given.pixel_um)
    if height.ndim != 2 or min(height.shape) < 2:
        raise InputError(
            f"roughness: the map has shape {height.shape}; give (H, W) of 2 pixels or more a side"
        )
    if not (np.isfinite(pixel) and pixel > 0):
        raise InputError(f"roughness: pixel_um is {pixel}; give µm above 0")
    height[~np.isfinite(height)] = np.nan
    if np.isfinite(height).sum() < 4:
        raise InputError("roughness: fewer than 4 pixels of the map were measured")
    if draws < 2:
        raise InputError(f"roughness: draws is {draws}; give at least 2")
    scale = ScaleLimited(np.isfinite(height), pixel, form_order, s_filter_um, l_filter_um)
    evaluate = _Evaluation(scale, line)
    flat, limited = evaluate.limited(height)
    found = evaluate(flat, limited)
    noise, sigma = height_errors(given, height, noise_um, noise_correlation_px)
    spread = None
    if noise is not None and sigma is not None:
        errors = drawn_errors(sigma, noise.correlation_px, draws, seed)
        spread = evaluate.spread(flat, limited, errors, draws, found.values, progress)
        if noise_correlation_px is None:
            longer = max(_NEXT * noise.correlation_px, _SHORTEST_PX)
            shorter = noise.correlation_px / _NEXT
            spread.Sq_se_um, spread.Sdq_se = (
                abs(a - b) / 2
                for a, b in zip(
                    *(evaluate.alone(drawn_errors(sigma, px, _FEW, seed)) for px in (longer, shorter)),
                    strict=True,
                )
            )
    return Roughness(
        parameters=_parameters(found, spread),
        surface_um=found.surface_um,
        pixel_um=pixel,
        form_order=form_order,
        s_filter_um=s_filter_um,
        l_filter_um=l_filter_um,
        one_sided=scale.one_sided,
        coverage=float(scale.known.mean()),
        noise=noise,
        draws=0 if spread is None else draws,
        ratio=found.ratio,
        correlation=found.correlation,
        line=found.line,
    )


@dataclass(frozen=True, eq=False)
class _Found:
    values: dict[str, float]
    surface_um: Heights
    ratio: MaterialRatio
    correlation: Autocorrelation
    line: LineRoughness | None


@dataclass(eq=False)
class _Spread:
    sigma: dict[str, float]
    bias: dict[str, float]
    Sq_um: float  # of the errors alone
    Sdq: float
    Sq_se_um: float = 0.0  # as their correlation length was estimated
    Sdq_se: float = 0.0


class _Evaluation:
    """All parameters of a map, and how its errors spread them."""

    def __init__(self, scale: ScaleLimited, line: LineOptions | None) -> None:
        self._scale, self._line = scale, line

    def __call__(self, flat: Heights, limited: Heights) -> _Found:
        """Measure the S-F and the S-L surface of one map."""
        scale = self._scale
        about = limited[scale.known]
        first = areal(limited, pixel_um=scale.pixel_um, level=False)
        ratio = material_ratio(about)
        correlation = autocorrelation(limited)
        area_mm2 = scale.known.sum() * scale.pixel_um**2 / _UM2_PER_MM2
        peaks = np.nan
        if first.Sz_um > 0 and scale.holds_inside:
            peaks = int(hills(limited, _PRUNED * first.Sz_um).inside.sum())
        line = None
        values = {
            "Sa_um": first.Sa_um,
            "Sq_um": first.Sq_um,
            "Sz_um": first.Sz_um,
            "Sp_um": float(about.max()),
            "Sv_um": abs(float(about.min())),
            "Ssk": first.Ssk,
            "Sku": first.Sku,
            "Sdq": first.Sdq,
            "Sdr_percent": first.Sdr_percent,
            "Sk_um": ratio.Sk_um,
            "Spk_um": ratio.Spk_um,
            "Svk_um": ratio.Svk_um,
            "Smr1_percent": ratio.Smr1_percent,
            "Smr2_percent": ratio.Smr2_percent,
            "Sal_um": correlation.Sal_px * scale.pixel_um,
            "Str": correlation.Str,
            "Spd_per_mm2": peaks / area_mm2,
        }
        if self._line is not None:
            line = line_roughness(flat, self._line, pixel_um=scale.pixel_um, cutoff_um=scale.cutoff_um)
            values |= {"Ra_um": line.Ra_um, "Rq_um": line.Rq_um, "Rz_um": line.Rz_um}
            if line.step is not None:
                values["step_um"] = line.step.height_um
        return _Found(values, limited, ratio, correlation, line)

    def spread(
        self,
        flat: Heights,
        limited: Heights,
        errors: Iterator[Heights],
        draws: int,
        values: dict[str, float],
        progress: Callable[[int, int], None] | None,
    ) -> _Spread:
        """Measure the map again with each of the errors added."""
        rows, squares = [], []
        for k, error in enumerate(errors):
            flat_error, limited_error = self.limited(error)
            rows.append(self(flat + flat_error, limited + limited_error).values)
            squares.append(self._squares(limited_error))
            if progress is not None:
                progress(k + 1, draws)
        table = pd.DataFrame(rows)
        # A parameter that half of the draws do not support has no spread.
        enough = table.notna().sum() > draws / 2
        deviation, bias = table.std().where(enough), (table.mean() - pd.Series(values)).where(enough)
        return _Spread(
            {name: float(deviation[name]) for name in values},
            {name: float(bias[name]) for name in values},
            *_roots(squares),
        )

    def alone(self, errors: Iterable[Heights]) -> tuple[float, float]:
        """Return root mean square height and slope of errors without a surface."""
        return _roots([self._squares(self.limited(error)[1]) for error in errors])

    def limited(self, height: Heights) -> tuple[Heights, Heights]:
        """Return the S-F and the S-L surface of a map or of its errors."""
        flat = self._scale.without_form(np.where(self._scale.known, height, np.nan))
        return flat, self._scale.limited(flat)

    def _squares(self, limited: Heights) -> tuple[float, float]:
        own = areal(limited, pixel_um=self._scale.pixel_um, level=False)
        return own.Sq_um**2, own.Sdq**2


def _roots(squares: list[tuple[float, float]]) -> tuple[float, float]:
    heights, slopes = (float(np.sqrt(v)) for v in np.mean(squares, axis=0))
    return heights, slopes


def _parameters(found: _Found, spread: _Spread | None) -> tuple[RoughnessParameter, ...]:
    notes = {"Str": found.correlation.note}
    if np.isnan(found.values["Sal_um"]) or np.isfinite(found.values["Str"]):
        notes["Sal_um"] = found.correlation.note
    if found.line is not None and found.line.sections > 1:
        notes["Rz_um"] = f"mean of {found.line.sections} sections"
    if not found.values["Sz_um"] > 0:
        constant = ("Ssk", "Sku", "Smr1_percent", "Smr2_percent", "Spd_per_mm2")
        notes |= dict.fromkeys(constant, "the surface is constant")
    elif np.isnan(found.values["Spd_per_mm2"]):
        notes["Spd_per_mm2"] = "no pixel has eight measured neighbours"
    out: list[RoughnessParameter] = []
    for name, value in found.values.items():
        sigma = bias = float("nan")
        corrected = _corrected(name, value, spread) if name in ("Sq_um", "Sdq") else None
        if spread is not None and np.isfinite(value):
            bias = spread.bias[name]
            if corrected is not None:
                bias = value - np.nan_to_num(corrected.value)
            elif name.endswith("_um") and name not in _NOT_AMPLITUDES:
                bias = value - float(np.sqrt(max(2 * value**2 - (value + bias) ** 2, 0.0)))
            # The bias is not subtracted, and half of it is as uncertain as an estimate is.
            sigma = float(np.hypot(spread.sigma[name] * (1.0 if name in _SMOOTH else _LESS), 1.12 * bias))
            if corrected is None and abs(bias) > max(spread.sigma[name], _NOTED * abs(value)):
                notes.setdefault(name, _RULED)
        if name == "step_um" and found.line is not None and found.line.step is not None:
            # What is not flat about the two levels is no error of the heights, but it is one of the step.
            sigma = float(np.hypot(np.nan_to_num(sigma), found.line.step.se_um))
        out.append(RoughnessParameter(name, float(value), sigma, float(bias), notes.get(name, "")))
        if corrected is not None:
            out.append(corrected)
    return tuple(out)


def _corrected(name: str, value: float, spread: _Spread | None) -> RoughnessParameter:
    """Subtract the square that the errors add; here the spread is all that is left."""
    nan = float("nan")
    corrected = "Sq_corrected_um" if name == "Sq_um" else "Sdq_corrected"
    if spread is None:
        return RoughnessParameter(
            corrected, nan, nan, nan, "errors of the heights are not known: give noise_um"
        )
    noise, error = (spread.Sq_um, spread.Sq_se_um) if name == "Sq_um" else (spread.Sdq, spread.Sdq_se)
    square = value**2 - noise**2
    if not square > 0:
        return RoughnessParameter(
            corrected, nan, nan, nan, f"the errors of the heights alone give {noise:.3g}: nothing is left"
        )
    left = float(np.sqrt(square))
    sigma = float(np.hypot(spread.sigma[name] * value, noise * error) / left)
    return RoughnessParameter(corrected, left, sigma, 0.0)
