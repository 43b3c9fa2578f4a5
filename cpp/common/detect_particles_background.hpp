#pragma once

// The slowly varying background of the difference, as changed illumination leaves it, on the host for both
// backends.

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "common/detect_particles_level.hpp"
#include "common/detect_particles_tiles.hpp"

namespace lee::particles {

/// Least side of a background cell, px, and that side in widths of a spot: a spot must not fill its cell.
inline constexpr double least_cell_px = 16.0, widths_per_cell = 9.0;
/// Cells for spots of a width.
inline std::size_t cell_px(double sigma_px) {
    return static_cast<std::size_t>(std::max(least_cell_px, widths_per_cell * sigma_px));
}

/// Sum over a cell of each pixel's share in the background at its own place: 0.25 by the weights of two
/// passes; more where outliers are excluded, by the false alarms in white noise.
inline constexpr double own_background = 0.35;
/// Share of the filter's output that the background takes from it, and that comes back once the spot is no
/// longer in the background. White noise behind the filter is correlated over 4 pi sigma^2 pixels.
inline double taken_by_background(double sigma_px) {
    const auto side = static_cast<double>(cell_px(sigma_px));
    return own_background * 4 * 3.14159265358979324 * sigma_px * sigma_px / (side * side);
}

/// Levels of cells smoothed by a quadratic over five cells along both axes, which keeps what varies slowly.
std::vector<float> smoothed_levels(const Tiles& cells, std::span<const float> levels);

}  // namespace lee::particles
