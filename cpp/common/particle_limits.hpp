#pragma once

// Thresholds of the search for particles, on the host for both backends.
#include <algorithm>

#include "common/particle_cells.hpp"
#include "lee/detect_particles.hpp"

namespace lee::particles {

/// Maxima so much below the threshold are fitted: between pixels a maximum is higher.
inline constexpr float below_threshold = 0.7F;
/// False companions expected around each particle.
inline constexpr double false_companions = 1e-2;
/// Optics draw points that differ from Gaussians by about this share of their peak.
inline constexpr float shape_mismatch = 0.03F;

inline Limits limits_of(double threshold, double sigma_px) {
    // A companion is looked for within three standard deviations of the spot.
    const double around =
        particle_threshold(9 * 3.14159265358979324 * sigma_px * sigma_px, sigma_px, false_companions);
    return {static_cast<float>(threshold), static_cast<float>(std::min(around, threshold)), shape_mismatch};
}

}  // namespace lee::particles
