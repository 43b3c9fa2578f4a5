// The slowly varying background of the difference.
#include "common/detect_particles_background.hpp"

#include <algorithm>

#include "common/parallel.hpp"
#include "kernels/detect_particles_state.hpp"

namespace lee::particles {
namespace {

/// Add levels of cells, interpolated, times `times`.
void add_background(State& state, const Tiles& cells, const std::vector<float>& levels, float times) {
    const Ramps ramps(cells, true);
    constexpr std::size_t strip = 16;
    parallel_for((state.rows + strip - 1) / strip, state.params.threads, [&](std::size_t band, int) {
        for (std::size_t y = band * strip; y < std::min(state.rows, (band + 1) * strip); ++y)
            ramps.add_row(state.loops, levels.data(), times, y, state.left.row(y));
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

}  // namespace

void flatten_once(State& state) {
    flatten_once(state, levels_of, add_background);
}

void flatten_anew(State& state, double sigma_px) {
    flatten_anew(state, sigma_px, levels_of, add_background);
}

}  // namespace lee::particles
