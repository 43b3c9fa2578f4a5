#pragma once

// Noise with heavier tails than a Gaussian, as of few photons, and the threshold that it takes; on the host
// for both backends.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/both.hpp"

namespace lee::particles {

/// Bins of a pixel's residual below the background, in standard deviations: particles that appear are above.
inline constexpr std::size_t tail_bins = 128;
inline constexpr float bins_per_sigma = 16.0F;
/// Sampling step along both axes: about so many pixels tell the tail of a large field.
inline constexpr double tail_samples = 250e3;
inline std::size_t tail_step(std::size_t pixels) {
    return std::max<std::size_t>(
        static_cast<std::size_t>(std::sqrt(static_cast<double>(pixels) / tail_samples)), 1);
}
/// Pixels where the filter's output is beyond so many deviations are of particles that disappear.
inline constexpr float tail_limit = 7.0F;

using Tail = std::array<std::uint32_t, tail_bins>;

/// Pixels by their size, and the standard deviation of the filter's output; 1 is that of white noise.
struct NoiseTail {
    Tail pixels{};
    double deviation = 1;
    std::size_t step = 1;  ///< of the sampling
};

/// Bin of a pixel, tail_bins where it is none. `deviation`: of the filter's output there.
LEE_BOTH std::size_t tail_bin(float left, float weight, float snr, float deviation) {
    const float size = -left * __builtin_sqrtf(weight) * bins_per_sigma;
    const bool use = (size > 0.0F) & (size < static_cast<float>(tail_bins)) & (snr > -tail_limit * deviation);
    return use ? static_cast<std::size_t>(size) : tail_bins;
}

/// The upper median of the deviations of tiles.
double middle_of(std::vector<float> deviations);

/// Threshold that is as rarely exceeded in such noise as `gaussian` in Gaussian noise, both in deviations of
/// the filter's output: by the saddle point of the sum of a spot's pixels (Daniels, Ann. Math. Statist. 25
/// (1954) 631), of which none alone can pass for a spot.
double threshold_in(const NoiseTail& noise, double gaussian, double sigma_px);

/// Chi square by which a spot must explain more than its brightest pixel, so that pixels which stand out by
/// themselves pass for spots no more often than `false_alarms` allow; 0 where there are none.
double one_pixel_margin(const NoiseTail& noise, double threshold, double sigma_px, double false_alarms);

}  // namespace lee::particles
