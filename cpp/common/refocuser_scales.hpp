#pragma once

// The weight of each window size, pixel by pixel, the same on every backend. Small windows resolve the
// surface but are noisy, large ones have little noise but flatten it; both errors are estimated from the scan
// itself, and each finer window corrects the coarser height by the share of their difference that is surface
// rather than noise (an empirical Wiener filter over scales).
#include <cstddef>

#include "common/floats.hpp"
#include "common/refocuser_pixel.hpp"

namespace lee::scales {

/// Still larger windows find maxima where texture is weak, but with a poor height.
inline constexpr std::size_t coarsest = 2;
/// The share is estimated over 11 by 11 pixels of the level.
inline constexpr std::size_t neighbours = 5;

// Variance of a maximum's height, in squared widths of the focus curve: texture against noise, and noise
// against noise; windows twice as large average over 4 and over 7 times as much. Measured on flat scenes
// drawn by two renderers.
inline constexpr float signal_noise = 0.15F, noise_noise = 3.0F;
inline constexpr float signal_gain = 4.0F, noise_gain = 7.0F;
// Below this signal-to-noise ratio the largest maximum may be noise alone.
inline constexpr float false_maxima = 8.0F;

inline constexpr float outlier_sigmas = 3.0F;   // a difference beyond these is not surface ...
inline constexpr float clear_snr = 15.0F;       // ... unless the maximum is this many times above the noise
inline constexpr float max_misfit = 12.0F;      // however far off, a dominant maximum stays in the choice
inline constexpr float dominance = 8.0F;        // weight of the two maxima's ratio against their misfits
inline constexpr float start_detail = 7.0F;     // surface under the coarsest window: variance, squared widths
inline constexpr float gaussian_mean = 0.798F;  // E|x| of a standard Gaussian

// Largest maximum of a window from noise alone in a hundred groups, times the root of its pixels, over
// the noise of one: 5, and a margin.
inline constexpr float significant = 6.0F;
// Of the focus that a window sees, one half as large sees at least this share.
inline constexpr float own_share = 0.35F;

// Share of each source in the variance of the result: what the filter leaves, what it kept as surface, slope
// and curvature under the finest window, and the finest height's scatter. Fitted once, to 68 % within one
// sigma, over scenes of two renderers; slope and curvature are per window.
inline constexpr float of_filter = 0.343F, of_detail = 0.296F, of_coarse_detail = 0.107F, of_slope = 0.0116F,
                       of_curvature = 0.0025F, of_scatter = 0.415F;

LEE_BOTH float smaller_of(float a, float b) {
    return b < a ? b : a;
}
LEE_BOTH float larger_of(float a, float b) {
    return a < b ? b : a;
}
LEE_BOTH float magnitude(float value) {
    return value < 0.0F ? -value : value;
}

/// The place of a pixel between two of the next coarser level's, along one axis.
struct Place {
    std::size_t low, high;
    float weight;  // of `high`: pixel centres are a quarter of a cell beside the cell's
};

LEE_BOTH Place place_of(std::size_t at, std::size_t extent) {
    const std::size_t cell = at / 2 < extent - 1 ? at / 2 : extent - 1;
    // Of an odd extent the last pixel has no cell of its own: the last cell's edge is repeated.
    const bool upper = at % 2 == 1 || at / 2 >= extent;
    const std::size_t low = upper || cell == 0 ? cell : cell - 1;
    const std::size_t high = upper && cell + 1 < extent ? cell + 1 : cell;
    return {low, high, upper ? 0.25F : 0.75F};
}

LEE_BOTH float between(float low, float high, float weight) {
    return low + weight * (high - low);
}

/// Variance of a maximum's height by its signal-to-noise ratio, at one level.
struct NoiseModel {
    float one, two, false_below, clear_above, least, per_noise;

    [[nodiscard]] LEE_BOTH float ratio(std::uint16_t peak) const { return focus::decode(peak) * per_noise; }

    [[nodiscard]] LEE_BOTH float variance(float snr) const {
        const float s = larger_of(snr, 0.05F);
        const float chance = false_below / s;
        return (one + two / s) / s * (1.0F + chance * chance * chance * chance) + least;
    }
};

/// Standard deviation of the focus curve, from its full width at half maximum.
LEE_BOTH float curve_width(double depth_of_field_um) {
    return static_cast<float>(depth_of_field_um / 2.355);
}

LEE_BOTH float power(float base, std::size_t exponent) {
    float value = 1.0F;
    for (std::size_t k = 0; k < exponent; ++k) value *= base;
    return value;
}

/// noise: of one pixel's focus, counts; NaN where it is not known
LEE_BOTH NoiseModel model_of(std::size_t level, float noise, float width_um) {
    const float known = finite(noise) ? noise : 1e-12F;
    return {.one = width_um * width_um * signal_noise / power(signal_gain, level),
            .two = width_um * width_um * noise_noise / power(noise_gain, level),
            .false_below = false_maxima / power(2.0F, level),
            .clear_above = clear_snr / power(1.5F, level),
            .least = 4e-5F * width_um * width_um,
            .per_noise = 1.0F / larger_of(known, 1e-12F)};
}

/// A height so far, the variance the filter leaves it, and how much of the finer levels' difference was
/// surface.
struct Estimate {
    float height, variance, detail;
};

/// What a pixel adds to the sums over its neighbours: its weight, and times that how far it is from the
/// estimate and the variance of its noise.
struct Offset {
    float weight, distance, noise;
};

LEE_BOTH Offset offset_of(float z_um, std::uint16_t peak, float height, const NoiseModel& model,
                          float width_um) {
    const float max_distance = 2.67F * width_um;  // beyond this a difference is a wrong maximum
    const float soft = 0.044F * width_um * width_um;
    const float variance = model.variance(model.ratio(peak));
    const float w = finite(z_um) ? 1.0F / (variance + soft) : 0.0F;
    return {w, w > 0.0F ? w * smaller_of(magnitude(z_um - height), max_distance) : 0.0F,
            w * smaller_of(variance, 7.0F * width_um * width_um)};
}

/// Correct the coarser estimate by the finer level's two maxima. around: sums over the neighbours
LEE_BOTH Estimate refine(Estimate from, Offset around, const float (&z_um)[2], const std::uint16_t (&peak)[2],
                         const NoiseModel& model, float width_um) {
    const float w = larger_of(around.weight, 1e-20F);
    const float spread = around.distance / (w * gaussian_mean);
    const float found = larger_of(spread * spread - around.noise / w, 4e-5F * width_um * width_um);
    // Detail grows with the window it is seen through.
    const float surface = smaller_of(found, from.detail);
    Estimate out{from.height, from.variance, surface};

    const float first = model.ratio(peak[0]);
    bool any = false;
    float cost = 0.0F, d = 0.0F, s2 = 0.0F, snr = 0.0F;
    for (int k = 0; k < 2; ++k) {
        const float candidate = z_um[k] - from.height;
        const float ratio = model.ratio(peak[k]);
        const float variance = model.variance(ratio);
        const float total = surface + variance;
        const float c = smaller_of(candidate * candidate / total, max_misfit) + focus::log_of(total) +
                        dominance * focus::log_of((first + 2.0F) / (ratio + 2.0F));
        if (!finite(candidate) || (k > 0 && c >= cost)) continue;
        any = true, cost = c, d = candidate, s2 = variance, snr = ratio;
    }
    if (!any) return out;
    const float total = surface + s2;
    const bool outlying = d * d > outlier_sigmas * outlier_sigmas * total;
    const float share = outlying ? (snr > model.clear_above ? 1.0F : 0.0F) : surface / total;
    out.height += share * d;
    out.variance = share * s2 + (1.0F - share) * surface;
    return out;
}

/// Squared distance of the finest height from the result.
LEE_BOTH float scatter_of(float z_um, float height, float width_um) {
    const float most = 1.78F * width_um * width_um;
    const float d = z_um - height;
    return finite(d) ? smaller_of(d * d, most) : most;
}

/// Variance of the result. here, n, s, e, w: its mean over the window, here and at the four neighbours;
/// scatter: summed over the window
LEE_BOTH float variance_of(Estimate now, float coarse_detail, float here, float n, float s, float e, float w,
                           float scatter, float side) {
    const float dy = 0.5F * (s - n) * side, dx = 0.5F * (e - w) * side;
    const float bend = (n + s + e + w - 4.0F * here) * side * side;
    return of_filter * now.variance + of_detail * now.detail + of_coarse_detail * coarse_detail +
           of_slope * (dx * dx + dy * dy) + of_curvature * bend * bend + of_scatter * scatter / (side * side);
}

/// Largest focus of noise alone at the finest level; half of it a level up.
LEE_BOTH float noise_focus(float noise, std::size_t window_pixels) {
    const float known = finite(noise) ? noise : 1e-12F;
    return significant * known / __builtin_sqrtf(static_cast<float>(window_pixels));
}

/// Whether anything came into focus at a pixel: whether any window has a maximum above those of noise alone.
/// peak: largest maximum of each level, finest first    noise: `noise_focus`
LEE_BOTH bool in_focus(const float* peak, std::size_t levels, float noise) {
    for (std::size_t k = 0; k < levels; ++k, noise *= 0.5F) {
        if (peak[k] > noise) return true;
    }
    return false;
}

/// Whether texture came into focus at a pixel: a maximum is clear of noise, and the smaller windows see their
/// share of it. What a larger window alone sees lies beside the pixel: texture around a bare patch, or light
/// from elsewhere. Beside much stronger texture, maxima must be clear of what leaks from it, too.
LEE_BOTH bool textured(const float* peak, std::size_t levels, float noise, bool beside_stronger) {
    const float finest = beside_stronger ? 2.5F : 1.0F, middle = beside_stronger ? 4.25F : 1.0F,
                coarse = beside_stronger ? 6.75F : 1.0F;
    if (peak[0] > finest * noise) return true;
    if (levels < 2) return false;
    if (peak[1] > middle * 0.5F * noise && peak[0] > 0.5F * own_share * peak[1]) return true;
    if (levels < 3) return false;
    return peak[2] > coarse * 0.25F * noise && peak[1] > own_share * peak[2] &&
           peak[0] > 0.3F * own_share * peak[2];
}

}  // namespace lee::scales
