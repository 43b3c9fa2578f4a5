// The slowly varying background of the difference.
#include "common/detect_particles_background.hpp"

#include "cuda/detect_particles_state.cuh"

namespace lee::particles::on_device {
namespace {

/// A thread a cell. `weight`: or null, where masked pixels are NaN.
__global__ void __launch_bounds__(threads) find_levels(Tiles cells, const float* left, const float* weight,
                                                       Extent image, float inside, float* levels) {
    const std::size_t k = std::size_t{blockIdx.x} * threads + threadIdx.x;
    if (k >= cells.size()) return;
    const std::size_t y = k / cells.x.count, x = k % cells.x.count;
    const std::size_t y0 = cells.y.begin(y), x0 = cells.x.begin(x), at = y0 * image.columns + x0;
    levels[k] = level_of({left + at, weight != nullptr ? weight + at : nullptr, image.columns,
                          cells.y.begin(y + 1) - y0, cells.x.begin(x + 1) - x0},
                         inside);
}

/// Add levels of cells, interpolated, times `times`.
__global__ void __launch_bounds__(threads) add_levels(Extent image, Ramp levels, float times, float* left) {
    const Place place(image);
    if (place.is_inside) left[place.at] += times * levels(place);
}

Tiles cells_of(const State& state) {
    return {Cuts(state.image.rows, state.cell_px), Cuts(state.image.columns, state.cell_px)};
}

void add(State& state, const Tiles& cells, const std::vector<float>& levels, float times) {
    const Array<float> there = state.upload(levels);
    const Array<Between> of_y = state.upload(cells.y.between(true)),
                         of_x = state.upload(cells.x.between(true));
    state.each_pixel(add_levels, state.image, Ramp{there.get(), cells.x.count, of_y.get(), of_x.get()}, times,
                     state.left.get());
}

}  // namespace

void flatten_once(State& state) {
    if (state.cell_px == 0) {
        const double given = state.params.spot_sigma_px;
        state.cell_px = cell_px(given != 0 ? given : state.params.expected_sigma_px);
    }
    const Tiles cells = cells_of(state);
    const Array<float> there = state.array<float>(cells.size());
    state.each(cells.size(), find_levels, cells, state.left.get(), state.weight.get(), state.image,
               static_cast<float>(clipped_variance(level_clip)), there.get());
    const std::vector<float> levels = smoothed_levels(cells, state.download(there));
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

}  // namespace lee::particles::on_device
