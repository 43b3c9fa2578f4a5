// The slowly varying background of the difference.
#include "common/detect_particles_background.hpp"

#include <algorithm>

#include "common/parallel.hpp"
#include "kernels/detect_particles_state.hpp"

namespace lee::particles {
namespace {

/// Add levels of cells, interpolated, times `times`.
void add(State& state, const Tiles& cells, const std::vector<float>& levels, float times) {
    const Ramps ramps(cells, true);
    constexpr std::size_t strip = 16;
    parallel_for((state.rows + strip - 1) / strip, state.params.threads, [&](std::size_t band, int) {
        const auto level = aligned_array<float>(state.columns);
        for (std::size_t y = band * strip; y < std::min(state.rows, (band + 1) * strip); ++y) {
            ramps.row(state.loops, levels.data(), y, level.get());
            state.loops.add(level.get(), times, state.left.row(y), state.columns);
        }
    });
}

std::vector<float> levels_of(const State& state, const Tiles& cells) {
    std::vector<float> levels(cells.size());
    const auto inside = static_cast<float>(clipped_variance(level_clip));
    parallel_for(cells.y.count, state.params.threads, [&](std::size_t y, int) {
        const std::size_t y0 = cells.y.begin(y), rows = cells.y.begin(y + 1) - y0;
        for (std::size_t x = 0; x < cells.x.count; ++x) {
            const std::size_t x0 = cells.x.begin(x), columns = cells.x.begin(x + 1) - x0;
            const float* weight = state.weight ? state.weight.row(y0) + x0 : nullptr;
            levels[y * cells.x.count + x] = state.loops.level(
                {state.left.row(y0) + x0, weight, state.left.pitch(), rows, columns}, inside);
        }
    });
    return smoothed_levels(cells, levels);
}

Tiles cells_of(const State& state) {
    return {Cuts(state.rows, state.cell_px), Cuts(state.columns, state.cell_px)};
}

}  // namespace

void flatten_once(State& state) {
    if (state.cell_px == 0) {
        const double given = state.params.spot_sigma_px;
        state.cell_px = cell_px(given != 0 ? given : state.params.expected_sigma_px);
    }
    const Tiles cells = cells_of(state);
    const std::vector<float> levels = levels_of(state, cells);
    add(state, cells, levels, -1.0F);
    state.background.resize(levels.size());
    for (std::size_t k = 0; k < levels.size(); ++k) state.background[k] += levels[k];
}

void flatten_anew(State& state, double sigma_px) {
    add(state, cells_of(state), state.background, 1.0F);
    state.cell_px = cell_px(sigma_px);
    state.background.clear();
    for (int pass = 0; pass < 2; ++pass) flatten_once(state);
}

}  // namespace lee::particles
