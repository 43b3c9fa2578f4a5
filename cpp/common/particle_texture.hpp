#pragma once

// How texture raises the noise behind the matched filter, on the host for both backends.

#include <span>

namespace lee::particles {

/// The filter and its mean reach so many standard deviations of the spot.
inline constexpr double filter_reach = 3.0;
/// Share of a spot that must not be masked.
inline constexpr double least_seen = 0.3;
/// Nothing smooths noise more than this behind the filter, against white noise.
inline constexpr float least_deviation = 0.3F;

/// Pixels in which the field behind the filter is alike.
inline double patch_px(double sigma_px) {
    return 4 * 3.14159265358979324 * sigma_px * sigma_px;
}

struct TextureSample {
    float square;            ///< of the signal-to-noise ratio behind the filter
    float laplacian, axial;  ///< strength of texture there
};

/// Variance behind the filter: base + laplacian * its strength + axial * its strength; none is negative.
struct TextureVariance {
    float base, laplacian, axial;
};

/// By least squares over what is not a spot, each sample weighted by its own variance.
TextureVariance texture_variance(std::span<const TextureSample> samples);

}  // namespace lee::particles
