#include "cuda/adaptive_variance_levels.cuh"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/adaptive_variance_windows.hpp"
#include "common/floats.hpp"
#include "cuda/select.cuh"

namespace lee::variance {
namespace {

constexpr std::uint64_t no_sample = ~std::uint64_t{0};

/// Doubles that are not negative are in the order of their bits.
template <class Pixel>
__global__ void take_samples(const Pixel* stack, std::size_t rows, std::size_t columns, NoiseGrid grid,
                             std::uint32_t count, std::uint64_t* keys) {
    const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const std::size_t of_plane = grid.down * grid.across, z = i / of_plane * grid.planes;
    const std::size_t y = 1 + i % of_plane / grid.across * grid.step, x = 1 + i % grid.across * grid.step;
    const double value = noise_sample(stack + (z * rows + y) * columns + x, columns);
    keys[i] = value >= 0.0 ? __builtin_bit_cast(std::uint64_t, value) : no_sample;
}

struct Keys {
    const std::uint64_t* keys;
    __device__ bool operator()(std::uint32_t i, std::uint64_t& key) const {
        key = keys[i];
        return key != no_sample;
    }
};

/// One block.
__global__ void find_noise(Keys keys, std::uint32_t samples, float* noise) {
    const std::uint32_t count = cuda::count_samples<std::uint64_t>(samples, keys);
    float found = 0.0F;
    if (count > 0) {
        // The lower median, an element of the sample.
        const std::uint64_t median = cuda::select_key<std::uint64_t>(samples, (count - 1) / 2, keys);
        found = noise_of_median(__builtin_bit_cast(double, median));
    }
    if (threadIdx.x == 0) *noise = found;
}

constexpr unsigned lanes = 32, warps = 8;

/// A block a plane, over every eighth row.
__global__ void find_offsets(const float* stack, std::size_t planes, std::size_t rows, std::size_t columns,
                             double* offsets) {
    __shared__ double sums[warps * lanes], counts[warps * lanes];
    const unsigned own = threadIdx.y * lanes + threadIdx.x;
    for (std::size_t z = blockIdx.x; z < planes; z += gridDim.x) {
        double sum = 0.0, count = 0.0;
        for (std::size_t y = 8 * std::size_t{threadIdx.y}; y < rows; y += 8 * warps) {
            const float* row = stack + (z * rows + y) * columns;
            for (std::size_t x = threadIdx.x; x < columns; x += lanes) {
                if (finite(row[x])) sum += static_cast<double>(row[x]), count += 1.0;
            }
        }
        sums[own] = sum, counts[own] = count;
        __syncthreads();
        for (unsigned k = own + lanes; own < lanes && k < warps * lanes; k += lanes) {
            sums[own] += sums[k];
            counts[own] += counts[k];
        }
        __syncthreads();
        if (own == 0) {
            for (unsigned k = 1; k < lanes; ++k) sums[0] += sums[k], counts[0] += counts[k];
            offsets[z] =
                counts[0] == 0.0 ? 0.0 : static_cast<double>(static_cast<float>(sums[0] / counts[0]));
        }
        __syncthreads();
    }
}

}  // namespace

template <class Pixel>
void queue_noise(DeviceView<const Pixel, 3> stack, float* noise, cudaStream_t stream) {
    const auto [planes, rows, columns] = stack.shape;
    const NoiseGrid grid = noise_grid(planes, rows, columns);
    const auto count = static_cast<std::uint32_t>(grid.of_planes * grid.down * grid.across);
    const cuda::Array<std::uint64_t> keys(operation, count, stream);
    if (count > 0) {
        cuda::launch(operation, take_samples<Pixel>,
                     {.grid = dim3(cuda::blocks(count, 256)), .block = dim3(256), .stream = stream},
                     stack.data, rows, columns, grid, count, keys.get());
    }
    cuda::launch(operation, find_noise, {.grid = dim3(1), .block = dim3(1024), .stream = stream},
                 Keys{keys.get()}, count, noise);
}

template void queue_noise(DeviceView<const std::uint8_t, 3>, float*, cudaStream_t);
template void queue_noise(DeviceView<const std::uint16_t, 3>, float*, cudaStream_t);
template void queue_noise(DeviceView<const float, 3>, float*, cudaStream_t);

cuda::Array<double> queue_offsets(DeviceView<const float, 3> stack, cudaStream_t stream) {
    const auto [planes, rows, columns] = stack.shape;
    cuda::Array<double> offsets(operation, planes, stream);
    const auto blocks = static_cast<unsigned>(std::min<std::size_t>(planes, 65535));
    cuda::launch(operation, find_offsets,
                 {.grid = dim3(blocks), .block = dim3(lanes, warps), .stream = stream}, stack.data, planes,
                 rows, columns, offsets.get());
    return offsets;
}

}  // namespace lee::variance
