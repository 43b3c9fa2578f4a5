#pragma once

// The automatic threshold of the opening, from medians of the residue in tiles.

#include <cstdint>

#include "common/floats.hpp"
#include "common/opening_pixel.hpp"
#include "cuda/opening_minimum.cuh"
#include "cuda/select.cuh"

namespace lee {
namespace {

/// Threshold of outliers: everywhere the same, or one value a tile, interpolated.
struct Limits {
    const double* of_tile;  // null: everywhere the same
    int rows, columns;
    float everywhere;

    __device__ float at(int y, int x) const {
        if (of_tile == nullptr) return everywhere;
        constexpr int tile = morphology::limit_tile;
        if (rows * columns == 1) return static_cast<float>(of_tile[0]);
        const double place = fmax((static_cast<double>(y) + 0.5) / tile - 0.5, 0.0);
        const int above = min(static_cast<int>(place), rows - 1);
        const double down = place - static_cast<double>(above);
        const double* upper = of_tile + above * columns;
        const double* lower = of_tile + min(above + 1, rows - 1) * columns;
        const int passed = (x + tile / 2) / tile;
        const int before = passed == 0 ? 0 : passed - 1;
        const double value = upper[before] + down * (lower[before] - upper[before]);
        double rise = 0.0;
        if (passed > 0 && passed < columns) {
            rise = upper[passed] + down * (lower[passed] - upper[passed]) - value;
        }
        return morphology::limit_between(value, rise, before, x);
    }
};

/// The residue upper - lower at every `step`th pixel of a part of the image, as keys in order.
struct Residue {
    const float *upper, *lower;
    int columns, top, left, across, step;  // `across` samples in a row
    float centre;
    bool distance;  // from the centre

    __device__ bool operator()(std::uint32_t i, std::uint32_t& key) const {
        const int y = top + static_cast<int>(i) / across * step,
                  x = left + static_cast<int>(i) % across * step;
        const std::size_t at =
            static_cast<std::size_t>(y) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(x);
        const float value = upper[at] - lower[at];
        const float sample = distance ? fabsf(value - centre) : value;
        key = sort_key(sample);
        return finite(value);
    }
};

__device__ double find_limit(Residue residue, std::uint32_t samples, std::uint32_t count, float factor) {
    // The lower median: an element of the sample, so that no rounding enters.
    const std::uint32_t middle = (count - 1) / 2;
    residue.distance = false;
    residue.centre = float_of_key(cuda::select_key<std::uint32_t>(samples, middle, residue));
    residue.distance = true;
    const float deviation = float_of_key(cuda::select_key<std::uint32_t>(samples, middle, residue));
    return morphology::limit_of(residue.centre, deviation, factor);
}

__device__ inline int samples_along(int extent, int step) {
    return (extent + step - 1) / step;
}

/// One block a tile; NaN where too few pixels are measured.
__global__ void limits_of_tiles(const float* upper, const float* lower, Extent image, int step, float factor,
                                double* limits) {
    constexpr int tile = morphology::limit_tile;
    const int top = static_cast<int>(blockIdx.y) * tile, left = static_cast<int>(blockIdx.x) * tile;
    const int across = samples_along(min(tile, image.columns - left), step);
    const auto samples =
        static_cast<std::uint32_t>(across * samples_along(min(tile, image.rows - top), step));
    const Residue residue{upper, lower, image.columns, top, left, across, step, 0.0F, false};
    const std::uint32_t count = cuda::count_samples<std::uint32_t>(samples, residue);
    double limit = __builtin_nan("");
    if (count >= morphology::limit_few) limit = find_limit(residue, samples, count, factor);
    if (threadIdx.x == 0) limits[blockIdx.y * gridDim.x + blockIdx.x] = limit;
}

/// One block: the limit of the whole image for tiles that have none of their own.
__global__ void fill_limits(const float* upper, const float* lower, Extent image, int step, float factor,
                            double* limits, int tiles) {
    int missing = 0;
    for (int i = static_cast<int>(threadIdx.x); i < tiles; i += static_cast<int>(blockDim.x)) {
        missing |= limits[i] == limits[i] ? 0 : 1;
    }
    if (__syncthreads_or(missing) == 0) return;
    // Each tile has samples at the same places: a tile holds whole steps.
    const int across = samples_along(image.columns, step);
    const auto samples = static_cast<std::uint32_t>(across * samples_along(image.rows, step));
    const Residue residue{upper, lower, image.columns, 0, 0, across, step, 0.0F, false};
    const std::uint32_t count = cuda::count_samples<std::uint32_t>(samples, residue);
    // Without any measured pixel there is nothing to remove.
    double overall = __builtin_inf();
    if (count > 0) overall = find_limit(residue, samples, count, factor);
    for (int i = static_cast<int>(threadIdx.x); i < tiles; i += static_cast<int>(blockDim.x)) {
        if (!(limits[i] == limits[i])) limits[i] = overall;
    }
}

}  // namespace
}  // namespace lee
