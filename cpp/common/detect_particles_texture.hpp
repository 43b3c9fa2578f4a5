#pragma once

// How texture raises the noise of the matched filter's output, on the host for both backends.

#include <span>
#include <vector>

#include "common/detect_particles_tiles.hpp"

namespace lee::particles {

/// The filter and its mean reach so many standard deviations of the spot.
inline constexpr double filter_reach = 3.0;
/// Share of a spot that must not be masked.
inline constexpr double min_seen = 0.3;
/// The filter's noise is at least this share of white noise's.
inline constexpr float min_deviation = 0.3F;

/// Values of the filter's output beyond so many standard deviations are excluded from its noise.
inline constexpr double filter_clip = 3.0;
/// From this many standard deviations on, a maximum is a spot and not noise, within so many widths of it.
inline constexpr float spot_threshold = 4.4F;
inline constexpr double spot_reach = 3.5;
/// Sampling step along both axes where not all pixels are needed.
inline constexpr std::size_t filter_step = 5;

/// A Gaussian to a power, 2 * reach + 1 taps; and the sum of taps.
std::vector<float> gaussian(double sigma_px, int power);
double sum_of(std::span<const float> taps);
/// The same, to the sum of one.
std::vector<float> mean_gaussian(double sigma_px);
/// Information of a spot, over its weight, below which too much of it is masked; from the squares' taps.
float min_information(std::span<const float> square_taps);

/// Pixels over which the filter's output is correlated.
inline double patch_px(double sigma_px) {
    return 4 * 3.14159265358979324 * sigma_px * sigma_px;
}

struct TextureSample {
    float square;            ///< of the signal-to-noise ratio of the filter
    float laplacian, axial;  ///< strength of texture there
};

/// Variance of the filter's output: base + laplacian * its strength + axial * its strength; none is negative.
struct TextureVariance {
    float base, laplacian, axial;
};

/// Standard deviation of the field in each tile, from squares within filter_clip.
std::vector<float> deviations_of(std::span<const Squares> totals, double sigma_px);
/// Of the whole field, from the median of its size.
inline float whole_deviation(float median) {
    const float deviation = median / 0.6745F;
    return deviation > min_deviation ? deviation : min_deviation;
}

/// By least squares over pixels without a spot, each sample weighted by its own variance.
TextureVariance texture_variance(std::span<const TextureSample> samples);

}  // namespace lee::particles
