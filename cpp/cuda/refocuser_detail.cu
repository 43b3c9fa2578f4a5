// The detail of a group against its surroundings, and its brightness.
#include <algorithm>
#include <cmath>

#include "common/floats.hpp"
#include "cuda/refocuser_state.cuh"

namespace lee {
namespace {

constexpr const char* name = "refocuser";
constexpr unsigned threads = 256, sum_blocks = 256;
constexpr int tile = 32, tile_threads_y = 8;  // of the detail
constexpr int cell = static_cast<int>(focus::cell_px), cells_a_tile = tile / cell;

__device__ inline std::size_t at_of(int y, int x, int columns) {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(x);
}

__device__ inline int clamped(int value, int extent) {
    return min(max(value, 0), extent - 1);
}

/// Sum over the block of one value a thread, in thread 0.
__device__ double block_sum(double value) {
    __shared__ double part[threads];
    part[threadIdx.x] = value;
    __syncthreads();
    for (unsigned half = threads / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    const double sum = part[0];
    __syncthreads();
    return sum;
}

__global__ void sum_brightness(DeviceMean mean, std::size_t pixels, double* sums) {
    double own = 0.0;
    for (std::size_t i = blockIdx.x * threads + threadIdx.x; i < pixels;
         i += std::size_t{gridDim.x} * threads) {
        const float value = mean(i);
        own += finite(value) ? fabs(static_cast<double>(value)) : 0.0;
    }
    const double sum = block_sum(own);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void set_dark(const double* sums, unsigned count, std::size_t pixels, bool whole_counts,
                         float* dark) {
    const double sum = block_sum(threadIdx.x < count ? sums[threadIdx.x] : 0.0);
    if (threadIdx.x == 0) {
        *dark = static_cast<float>(focus::dark_level(sum / static_cast<double>(pixels), whole_counts));
    }
}

struct SixWeights {
    float of[6];
    __device__ float sum(const float (&v)[6]) const {
        return of[0] * v[0] + of[1] * v[1] + of[2] * v[2] + of[3] * v[3] + of[4] * v[4] + of[5] * v[5];
    }
};

/// The mean of a group between its pixels, `margin` pixels beyond the image too.
__global__ void move_back(DeviceMean mean, DeviceExtent image, int margin, SixWeights down, SixWeights across,
                          float* out) {
    const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), y = static_cast<int>(blockIdx.y);
    const int columns = image.columns + 2 * margin;
    if (x >= columns) return;
    float rows[6];
    for (int j = 0; j < 6; ++j) {
        const int row = clamped(y - margin + j - 2, image.rows);
        float values[6];
        for (int i = 0; i < 6; ++i) {
            values[i] = mean(at_of(row, clamped(x - margin + i - 2, image.columns), image.columns));
        }
        rows[j] = across.sum(values);
    }
    out[at_of(y, x, columns)] = down.sum(rows);
}

/// Detail of a group, and the brightness of its cells. moved: its mean with a margin of `reach`, or null.
__global__ void __launch_bounds__(tile* tile_threads_y)
    take_detail(DeviceMean mean, const float* moved, DeviceExtent image, int taps, const float* dark,
                std::uint16_t* detail, float* first_counts, float* second_counts, DeviceCells cells) {
    const int reach = taps / 2, seen = tile + 2 * reach;
    float* values = cuda::dynamic_shared<float>();  // the mean in and around the tile
    float* sums = values + seen * seen;             // along its rows
    const int left = static_cast<int>(blockIdx.x) * tile, top = static_cast<int>(blockIdx.y) * tile;
    const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
    for (int r = ty; r < seen; r += tile_threads_y) {
        for (int c = tx; c < seen; c += tile) {
            const int y = top + r - reach, x = left + c - reach;
            if (moved != nullptr) {
                // No pixel of the image sees beyond the margin.
                const int v = min(y + reach, image.rows + 2 * reach - 1);
                const int u = min(x + reach, image.columns + 2 * reach - 1);
                values[r * seen + c] = moved[at_of(v, u, image.columns + 2 * reach)];
            } else {
                values[r * seen + c] =
                    mean(at_of(clamped(y, image.rows), clamped(x, image.columns), image.columns));
            }
        }
    }
    __syncthreads();
    for (int r = ty; r < seen; r += tile_threads_y) {
        float sum = values[r * seen + tx];
        for (int tap = 1; tap < taps; ++tap) sum += values[r * seen + tx + tap];
        sums[r * tile + tx] = sum;
    }
    __syncthreads();
    const float scale = 1.0F / static_cast<float>(taps * taps);
    for (int r = ty; r < tile; r += tile_threads_y) {
        const int y = top + r, x = left + tx;
        if (y >= image.rows || x >= image.columns) continue;
        float sum = sums[r * tile + tx];
        for (int tap = 1; tap < taps; ++tap) sum += sums[(r + tap) * tile + tx];
        const std::size_t at = at_of(y, x, image.columns);
        detail[at] =
            focus::encode(focus::detail_of(values[(r + reach) * seen + tx + reach], sum * scale, *dark));
        if (first_counts != nullptr) first_counts[at] = second_counts[at] = mean(at);
    }
    // Cells: a thread a column, then one a cell, each in the order of the pixels.
    __syncthreads();
    float *in_column = sums, *full_in_column = sums + cells_a_tile * tile;
    if (ty < cells_a_tile) {
        float sum = 0.0F, full = 0.0F;
        for (int r = ty * cell; r < (ty + 1) * cell; ++r) {
            const float value = values[(r + reach) * seen + tx + reach];
            sum += value;
            full += value >= cells.saturation ? 1.0F : 0.0F;
        }
        in_column[ty * tile + tx] = sum;
        full_in_column[ty * tile + tx] = full;
    }
    __syncthreads();
    const int y = top / cell + ty, x = left / cell + tx;
    if (ty >= cells_a_tile || tx >= cells_a_tile || y >= cells.extent.rows || x >= cells.extent.columns)
        return;
    float sum = 0.0F, full = 0.0F;
    for (int k = 0; k < cell; ++k) {
        sum += in_column[ty * tile + tx * cell + k];
        full += full_in_column[ty * tile + tx * cell + k];
    }
    constexpr float pixels = cell * cell;
    const std::size_t at = at_of(y, x, cells.extent.columns);
    if (cells.brightness != nullptr) cells.brightness[at] = focus::encode(sum / pixels);
    if (full / pixels > cells.saturated[at]) cells.saturated[at] = full / pixels;
}

}  // namespace

void DeviceRefocuser::State::find_dark() {
    const cuda::Array<double> sums(name, sum_blocks, stream);
    cuda::launch(name, sum_brightness, {.grid = dim3(sum_blocks), .block = dim3(threads), .stream = stream},
                 mean_of(0), pixels(), sums.get());
    cuda::launch(name, set_dark, {.grid = dim3(1), .block = dim3(threads), .stream = stream}, sums.get(),
                 sum_blocks, pixels(), groups.whole_counts(), dark_.get());
}

void DeviceRefocuser::State::find_detail() {
    const std::size_t newest = groups.count() - 1;
    const auto taps = static_cast<int>(params.detail_px);
    const int reach = taps / 2;
    const DeviceMean mean = mean_of(newest);
    if (groups.between_pixels()) {
        const std::size_t rows = static_cast<std::size_t>(extent.rows + 2 * reach),
                          columns = static_cast<std::size_t>(extent.columns + 2 * reach);
        if (moved_.get() == nullptr) moved_ = cuda::Array<float>(name, rows * columns, stream);
        SixWeights down{}, across{};
        std::copy_n(groups.weights()[0].begin(), 6, down.of);
        std::copy_n(groups.weights()[1].begin(), 6, across.of);
        cuda::launch(name, move_back,
                     {.grid = dim3(cuda::blocks(columns, threads), static_cast<unsigned>(rows)),
                      .block = dim3(threads),
                      .stream = stream},
                     mean, extent, reach, down, across, moved_.get());
    }
    const std::size_t seen = tile + 2 * static_cast<std::size_t>(reach);
    DeviceLevel& finest = levels.front();
    // Where nothing is ever in focus, the image is that of the first group.
    const bool first = newest == 0;
    cuda::launch(name, take_detail,
                 {.grid = dim3(cuda::blocks(static_cast<std::size_t>(extent.columns), tile),
                               cuda::blocks(static_cast<std::size_t>(extent.rows), tile)),
                  .block = dim3(tile, tile_threads_y),
                  .shared_bytes = sizeof(float) * seen * (seen + tile),
                  .stream = stream},
                 mean, groups.between_pixels() ? moved_.get() : nullptr, extent, taps, dark_.get(),
                 detail[newest % ScanGroups::details].get(), first ? finest.counts[0].get() : nullptr,
                 first ? finest.counts[1].get() : nullptr,
                 DeviceCells{record.keeps(newest) ? record.row(newest).brightness.get() : nullptr,
                             saturated.get(), cells, static_cast<float>(saturation)});
}

}  // namespace lee
