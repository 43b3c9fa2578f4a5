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

void add_background(State& state, const Tiles& cells, const std::vector<float>& levels, float times) {
    const Array<float> there = state.upload(levels);
    const Array<Between> of_y = state.upload(cells.y.between(true)),
                         of_x = state.upload(cells.x.between(true));
    state.each_pixel(add_levels, state.image, Ramp{there.get(), cells.x.count, of_y.get(), of_x.get()}, times,
                     state.left.get());
}

std::vector<float> levels_of(const State& state, const Tiles& cells) {
    const Array<float> there = state.array<float>(cells.size());
    state.each(cells.size(), find_levels, cells, state.left.get(), state.weight.get(), state.image,
               static_cast<float>(clipped_variance(level_clip)), there.get());
    return smoothed_levels(cells, state.download(there));
}

}  // namespace

void flatten_once(State& state) {
    particles::flatten_once(state, levels_of, add_background);
}

void flatten_anew(State& state, double sigma_px) {
    particles::flatten_anew(state, sigma_px, levels_of, add_background);
}

}  // namespace lee::particles::on_device
