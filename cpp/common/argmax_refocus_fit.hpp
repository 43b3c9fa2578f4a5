#pragma once

// A parabola fitted to the logarithm of a focus curve of any number of samples, the same on every backend.
#include "common/both.hpp"
#include "common/floats.hpp"

namespace lee::peak {

/// Focus below this share of its maximum is ignored.
inline constexpr float min_share = 1e-12F;

/// Whether this focus is the largest so far, plane after plane; plane: -1 before the first that is not NaN.
LEE_BOTH bool leads(float focus, float best, std::int32_t plane) {
    return (focus > best) | ((focus == focus) & (plane < 0));
}

/// The plane of the scan that is nearest to `wanted`.
LEE_BOTH std::int32_t nearest_plane(std::int32_t wanted, std::int32_t planes) {
    const std::int32_t below = wanted < planes ? wanted : planes - 1;
    return below < 0 ? 0 : below;
}

/// Origin and unit of heights in the fit: in steps of the scan all moments are of similar size.
struct Axis {
    double middle, step;
};

/// Around plane k of a curve's maximum; -1 where it has none.
LEE_BOTH Axis axis_at(const double* z_um, std::int32_t planes, std::int32_t plane) {
    const std::int32_t k = plane < 0 ? 0 : plane;
    const double below = z_um[k > 0 ? k - 1 : k], above = z_um[k + 1 < planes ? k + 1 : k];
    const double step = 0.5 * (above - below);
    return {z_um[k], step != 0.0 ? step : 1.0};
}

/// Natural logarithm of a positive normal float, to 1e-12.
LEE_BOTH double log_of(float value) {
    // Mantissa in [1/sqrt(2), sqrt(2)): the series in (m - 1) / (m + 1) then converges fast.
    const std::int32_t shifted = static_cast<std::int32_t>(bits_of(value)) - 0x3f3504f3;
    const std::int32_t exponent = shifted >> 23;
    const double m = float_of(static_cast<std::uint32_t>((shifted & 0x007fffff) + 0x3f3504f3));
    const double s = (m - 1.0) / (m + 1.0), q = s * s;
    const double series =
        2.0 + q * (2.0 / 3 + q * (2.0 / 5 + q * (2.0 / 7 + q * (2.0 / 9 + q * (2.0 / 11 + q * (2.0 / 13))))));
    return 0.693147180559945309 * static_cast<double>(exponent) + s * series;
}

/// Weighted moments of a log focus curve, and how many samples they hold.
struct Moments {
    double count, w0, w1, w2, w3, w4, l0, l1, l2, ll;
};

/// Add a sample: focus over its maximum, and height from the maximum. Where `use` is false it adds nothing.
LEE_BOTH void add(Moments& m, bool use, float share, double u) {
    const bool counts = use & (share >= min_share);
    const double l = log_of(counts ? share : 1.0F);
    const double f = counts ? static_cast<double>(share) : 0.0;
    const double w = f * f, wu = w * u, wuu = wu * u, wl = w * l;
    m.count += counts ? 1.0 : 0.0;
    m.w0 += w, m.w1 += wu, m.w2 += wuu, m.w3 += wuu * u, m.w4 += wuu * u * u;
    m.l0 += wl, m.l1 += wl * u, m.l2 += wl * u * u, m.ll += wl * l;
}

/// Whether a sample is used: focus over its maximum, of a plane that exists.
LEE_BOTH bool takes_part(bool exists, float share) {
    return exists & finite(share) & (share >= min_share);
}

struct Vertex {
    double at, sigma;  // NaN where there is none, or too few samples
};

/// Vertex of l = a + b u + c u^2, which must be in [low, high], and its standard deviation.
LEE_BOTH Vertex vertex_of(const Moments& m, double low, double high) {
    const double nan = __builtin_nan("");
    // Inverse of the normal equations' matrix by cofactors.
    const double i00 = m.w2 * m.w4 - m.w3 * m.w3, i01 = m.w2 * m.w3 - m.w1 * m.w4,
                 i02 = m.w1 * m.w3 - m.w2 * m.w2;
    const double i11 = m.w0 * m.w4 - m.w2 * m.w2, i12 = m.w1 * m.w2 - m.w0 * m.w3,
                 i22 = m.w0 * m.w2 - m.w1 * m.w1;
    const double det = m.w0 * i00 + m.w1 * i01 + m.w2 * i02;
    const double a = (i00 * m.l0 + i01 * m.l1 + i02 * m.l2) / det;
    const double b = (i01 * m.l0 + i11 * m.l1 + i12 * m.l2) / det;
    const double c = (i02 * m.l0 + i12 * m.l1 + i22 * m.l2) / det;
    const double at = -0.5 * b / c;
    const bool fits = (m.count >= 3.0) & (det > 0.0) & (c < 0.0) & (at >= low) & (at <= high);
    const double squares = m.ll - a * m.l0 - b * m.l1 - c * m.l2;
    const double residual = (squares > 0.0 ? squares : 0.0) / (m.count - 3.0);
    // d at / d b = -1 / (2 c), d at / d c = -at / c.
    const double spread = (i11 + 4.0 * at * i12 + 4.0 * at * at * i22) / (4.0 * c * c * det);
    const double variance = residual * (spread > 0.0 ? spread : 0.0);
    return {fits ? at : nan, fits & (m.count > 3.0) ? __builtin_sqrt(variance) : nan};
}

struct Peak {
    float height_um, sigma_um;
};

/// Of a curve whose maximum is `best`, in `plane`: NaN where that is an end of the scan, or `best` no
/// positive number.
LEE_BOTH Peak peak_of(const Moments& m, double low, double high, const Axis& axis, std::int32_t plane,
                      std::int32_t planes, float best) {
    const Vertex vertex = vertex_of(m, low, high);
    const bool inside = (plane > 0) & (plane + 1 < planes) & (best > 0.0F) & finite(best);
    const double step = axis.step < 0.0 ? -axis.step : axis.step;
    return {inside ? static_cast<float>(axis.middle + vertex.at * axis.step) : __builtin_nanf(""),
            inside ? static_cast<float>(vertex.sigma * step) : __builtin_nanf("")};
}

}  // namespace lee::peak
