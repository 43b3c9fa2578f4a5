#pragma once

// Thresholds of the search for particles, on the host for both backends.
#include <algorithm>
#include <cmath>
#include <span>

#include "common/detect_particles_cells.hpp"
#include "common/detect_particles_tail.hpp"
#include "lee/detect_particles.hpp"

namespace lee::particles {

/// Maxima so much below the threshold are fitted: between pixels a maximum is higher.
inline constexpr float below_threshold = 0.7F;
/// False companions expected around each particle.
inline constexpr double false_companions = 1e-2;
/// Optics draw points that differ from Gaussians by about this share of their peak.
inline constexpr float shape_mismatch = 0.03F;

/// How often spots are moved before the background is estimated without them.
inline constexpr int rough_sweeps = 1;
/// How often spots are moved, examined for companions, and pruned, at most.
inline constexpr int max_sweeps = 30, max_rounds = 5, max_passes = 3, max_prunings = 4;
/// A smaller move counts as none: px, or share of twice the peak.
inline constexpr float sweep_tolerance = 2e-3F;

inline Grid grid_of(std::size_t rows, std::size_t columns, float point) {
    const float side = cell_side(point);
    const auto cells = [side](std::size_t extent) {
        return static_cast<int>(std::ceil(static_cast<float>(extent) / side));
    };
    return {cells(rows), cells(columns), side};
}

/// By rows, then columns.
inline void sort_by_place(std::span<Particle> particles) {
    std::ranges::sort(particles, [](const Particle& a, const Particle& b) {
        return a.y_px < b.y_px || (a.y_px == b.y_px && a.x_px < b.x_px);
    });
}

/// Signal-to-noise ratio of the faintest particle: as given, or from the false alarms allowed in the area.
inline double threshold_of(const DetectParticlesParams& params, std::size_t area_px, double sigma_px,
                           const NoiseTail& noise) {
    if (params.threshold_snr > 0) return params.threshold_snr;
    const double gaussian = particle_threshold(static_cast<double>(area_px), sigma_px, params.false_alarms);
    return threshold_in(noise, gaussian, sigma_px);
}

inline Limits limits_of(const DetectParticlesParams& params, double threshold, double sigma_px,
                        const NoiseTail& noise) {
    // A companion is searched for within three standard deviations of the spot.
    const double around =
        particle_threshold(9 * 3.14159265358979324 * sigma_px * sigma_px, sigma_px, false_companions);
    return {static_cast<float>(threshold),
            static_cast<float>(std::min(threshold_in(noise, around, sigma_px), threshold)), shape_mismatch,
            static_cast<float>(one_pixel_margin(noise, threshold, sigma_px, params.false_alarms))};
}

}  // namespace lee::particles
