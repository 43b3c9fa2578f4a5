#pragma once

// How texture raises the noise behind the matched filter, on the host for both backends.

#include <span>
#include <vector>

#include "common/detect_particles_tiles.hpp"

namespace lee::particles {

/// The filter and its mean reach so many standard deviations of the spot.
inline constexpr double filter_reach = 3.0;
/// Share of a spot that must not be masked.
inline constexpr double least_seen = 0.3;
/// Nothing smooths noise more than this behind the filter, against white noise.
inline constexpr float least_deviation = 0.3F;

/// Field behind the filter that lies beyond so many deviations is no measure of its noise.
inline constexpr double filter_clip = 3.0;
/// What stands out this far is taken for a spot, and not for noise, this far around, in widths of a spot.
inline constexpr float spot_threshold = 4.4F;
inline constexpr double spot_reach = 3.5;
/// Every so many pixels are looked at, along both axes, where all are not needed.
inline constexpr std::size_t filter_step = 5;

/// A Gaussian to a power, 2 * reach + 1 taps; and the sum of taps.
std::vector<float> gaussian(double sigma_px, int power);
double sum_of(std::span<const float> taps);
/// The same, to the sum of one.
std::vector<float> mean_gaussian(double sigma_px);
/// Information of a spot, over its weight, below which too much of it is masked; from the squares' taps.
float least_information(std::span<const float> square_taps);

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

/// Standard deviation of the field in each tile, from squares within filter_clip.
std::vector<float> deviations_of(std::span<const Squares> totals, double sigma_px);
/// Of the whole field, from the median of its size.
inline float whole_deviation(float median) {
    const float deviation = median / 0.6745F;
    return deviation > least_deviation ? deviation : least_deviation;
}

/// By least squares over what is not a spot, each sample weighted by its own variance.
TextureVariance texture_variance(std::span<const TextureSample> samples);

}  // namespace lee::particles
