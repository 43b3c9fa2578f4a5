#pragma once

// Per-pixel arithmetic of the refocuser, the same on every backend.
#include <cstddef>
#include <cstdint>

#include "common/both.hpp"
#include "common/floats.hpp"

namespace lee::focus {

/// Upper half of a float, rounded; of floats that are not negative it keeps the order.
LEE_BOTH std::uint16_t encode(float value) {
    return static_cast<std::uint16_t>((bits_of(value) + 0x8000U) >> 16);
}

LEE_BOTH float decode(std::uint16_t code) {
    return float_of(static_cast<std::uint32_t>(code) << 16);
}

/// Natural logarithm of a positive normal float, to 3e-6 absolute.
LEE_BOTH float log_of(float value) {
    const std::uint32_t bits = bits_of(value);
    const float exponent = static_cast<float>(static_cast<std::int32_t>(bits >> 23) - 127);
    const float m = float_of((bits & 0x007fffffU) | 0x3f800000U) - 1.0F;
    // log2(1 + m) / m on [0, 1], least squares, exact at both ends.
    const float p =
        1.44252727F +
        m * (-0.71791348F + m * (0.45654041F + m * (-0.27596896F + m * (0.12010026F - 0.02528550F * m))));
    return 0.69314718F * (exponent + m * p);
}

/// Deviation of a pixel from the mean around it, normalised as in the normalised variance; 0 for NaN.
LEE_BOTH float detail_of(float mean, float local, float dark) {
    const float value = (mean - local) / __builtin_sqrtf((local > 0.0F ? local : 0.0F) + dark);
    return value * value < 1e30F ? value : 0.0F;
}

/// One component of Sobel's gradient, over 8: three values on one side, three on the other.
LEE_BOTH float slope(float a, float b, float c, float d, float e, float f) {
    return 0.125F * ((d + 2.0F * e + f) - (a + 2.0F * b + c));
}

/// Mixed entry of the tensor of two gradients.
LEE_BOTH float mixed(float ax, float ay, float bx, float by) {
    return 0.5F * (ax * by + ay * bx);
}

/// Focus of the last five groups, coded: whether the middle one is a maximum above `to_beat`.
LEE_BOTH bool is_maximum(std::uint16_t a, std::uint16_t b, std::uint16_t c, std::uint16_t d, std::uint16_t e,
                         std::uint16_t to_beat) {
    const std::uint16_t before = a > b ? a : b;
    const std::uint16_t after = d > e ? d : e;
    const std::uint16_t least = before > to_beat ? before : to_beat;
    return (c > least) & (c >= after);
}

/// Number of window sizes, each twice as large as the one before.
inline constexpr std::size_t max_levels = 4;
/// Side of the cells whose brightness and focus are recorded, px: the pixels of the coarsest level.
inline constexpr std::size_t cell_px = 8;
inline constexpr std::size_t cell_level = 3;

/// Variance of white noise in `slope`, over its own.
inline constexpr double slope_noise = 12.0 / 64.0;

/// Noise is estimated in tiles of the image, in every so many rows of them.
inline constexpr std::size_t tile_rows = 64, tile_columns = 256, noise_rows = 16;

/// Second difference of the detail of three groups; alone: of one group there is only its detail.
LEE_BOTH float bend_of(std::uint16_t past, std::uint16_t now, std::uint16_t next, bool alone) {
    const float here = decode(now);
    return alone ? here : decode(past) - 2.0F * here + decode(next);
}

/// Variance of that, over the noise's own; one_sided: one neighbour counts for both.
LEE_BOTH double bend_noise(bool one_sided, bool alone) {
    return alone ? 1.0 : one_sided ? 8.0 : 6.0;
}

/// Added to brightness where details are normalised, counts: integer counts have a noise of about one in the
/// dark.
LEE_BOTH double dark_level(double mean_brightness, bool whole_counts) {
    const double share = 0.01 * mean_brightness, least = whole_counts ? 1.0 : 1e-12;
    return share > least ? share : least;
}

/// Weight of structure along one direction only, against texture that runs both ways. A bubble's rim and the
/// contours of steep relief run one way, and would pull the focus to their own height; brushed metal does
/// too, so some must count.
constexpr float one_way = 0.15F;

/// Focus of a window, from the tensor of its detail's gradient: the smaller eigenvalue, and a share of the
/// larger.
LEE_BOTH float tensor_focus(float xx, float yy, float xy) {
    const float difference = xx - yy;
    const float root = __builtin_sqrtf(difference * difference + 4.0F * xy * xy);
    const float focus = 0.5F * (xx + yy - root) + one_way * (0.5F * (xx + yy + root));
    return focus > 0.0F ? focus : 0.0F;
}

/// A Gaussian's centre and curvature, from five samples.
struct Fit {
    float offset_um;          // of the centre from the middle sample
    float curvature_per_um2;  // of the log focus curve: 1 / width^2; 0 where the samples fit no Gaussian
};

/// Standard deviation of the focus curve, from the curvature of its logarithm; NaN where the fit had none.
LEE_BOTH float width_of(float curvature_per_um2) {
    return curvature_per_um2 > 0.0F ? 1.0F / __builtin_sqrtf(curvature_per_um2) : __builtin_nanf("");
}

/// Weighted moments of a log focus curve.
struct Moments {
    float w0 = 0.0F, w1 = 0.0F, w2 = 0.0F, w3 = 0.0F, w4 = 0.0F, l0 = 0.0F, l1 = 0.0F, l2 = 0.0F;

    LEE_BOTH void add(float ratio, float u) {
        const float w = ratio * ratio;
        const float l = log_of(ratio > 1e-12F ? ratio : 1e-12F);
        const float wu = w * u;
        const float wuu = wu * u;
        w0 += w, w1 += wu, w2 += wuu, w3 += wuu * u, w4 += wuu * u * u;
        l0 += w * l, l1 += wu * l, l2 += wuu * l;
    }
};

/// Fit a parabola to the log focus curve, each sample weighted by its focus squared: the noise of a logarithm
/// falls with its argument. f0..f4: focus, 0 where a sample does not exist; u_um: heights of the samples from
/// the middle one.
LEE_BOTH Fit fit_peak(float f0, float f1, float f2, float f3, float f4, const float* u_um) {
    // Written out, not looped: compilers vectorise over pixels only what has no loop inside.
    Moments m;
    const float scale = 1.0F / f2;
    m.add(f0 * scale, u_um[0]);
    m.add(f1 * scale, u_um[1]);
    m.add(1.0F, 0.0F);
    m.add(f3 * scale, u_um[3]);
    m.add(f4 * scale, u_um[4]);
    const float w0 = m.w0, w1 = m.w1, w2 = m.w2, w3 = m.w3, w4 = m.w4, l0 = m.l0, l1 = m.l1, l2 = m.l2;
    // Normal equations of l = a + b u + c u^2 by Cramer's rule; only b / c and c are wanted.
    const float m00 = w2 * w4 - w3 * w3, m01 = w1 * w4 - w2 * w3, m02 = w1 * w3 - w2 * w2;
    const float m11 = w0 * w4 - w2 * w2, m12 = w0 * w3 - w1 * w2, m22 = w0 * w2 - w1 * w1;
    const float det = w0 * m00 - w1 * m01 + w2 * m02;
    const float b = l1 * m11 - l0 * m01 - l2 * m12;
    const float c = l0 * m02 - l1 * m12 + l2 * m22;
    const float reach = u_um[3] > 0.0F ? u_um[3] : -u_um[3];
    const float back = u_um[1] > 0.0F ? u_um[1] : -u_um[1];
    const float limit = reach > back ? reach : back;
    const float offset = -0.5F * b / c;
    const bool fits = det > 0.0F && c < 0.0F && offset <= limit && offset >= -limit;
    return {fits ? offset : 0.0F, fits ? -2.0F * c / det : 0.0F};
}

}  // namespace lee::focus
