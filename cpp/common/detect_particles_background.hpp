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

/// What has been subtracted from the difference: levels of cells of a side, 0 before the first time.
struct Background {
    std::vector<float> levels;
    std::size_t cell_px = 0;
};

/// Levels of cells smoothed by a quadratic over five cells along both axes, which keeps what varies slowly.
std::vector<float> smoothed_levels(const Tiles& cells, std::span<const float> levels);

/// Subtract the background, or what is left of it: levels_of(state, cells) finds it, and
/// add(state, cells, levels, times) adds levels, interpolated, to the difference.
template <class State, class LevelsOf, class Add>
void flatten_once(State& state, const LevelsOf& levels_of, const Add& add) {
    auto& [kept, side] = state.background;
    if (side == 0) {
        const double given = state.params.spot_sigma_px;
        side = cell_px(given != 0 ? given : state.params.expected_sigma_px);
    }
    const Tiles cells = state.tiles.of_side(side);
    const std::vector<float> levels = levels_of(state, cells);
    add(state, cells, levels, -1.0F);
    kept.resize(levels.size());
    for (std::size_t k = 0; k < levels.size(); ++k) kept[k] += levels[k];
}

/// Put back all that has been subtracted, and subtract it in cells for spots of a width.
template <class State, class LevelsOf, class Add>
void flatten_anew(State& state, double sigma_px, const LevelsOf& levels_of, const Add& add) {
    add(state, state.tiles.of_side(state.background.cell_px), state.background.levels, 1.0F);
    state.background = {{}, cell_px(sigma_px)};
    for (int pass = 0; pass < 2; ++pass) flatten_once(state, levels_of, add);
}

}  // namespace lee::particles
