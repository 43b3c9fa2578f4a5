#pragma once

// Medians of samples too many to sort, by one block each.

#include <cstdint>

#include "cuda/runtime.cuh"

namespace lee::cuda {

/// Key (uint32_t or uint64_t) whose place in order is `rank` among n samples, found by its bytes from the
/// highest down.
///
/// sample(i, key) gives the key of sample i, false where there is none. Called by all threads of a block of
/// at least 256, which all get the result.
template <class Key, class Sample>
__device__ Key select_key(std::uint32_t n, std::uint32_t rank, const Sample& sample) {
    __shared__ std::uint32_t histogram[256];
    __shared__ Key prefix;
    __shared__ std::uint32_t left;
    if (threadIdx.x == 0) prefix = 0, left = rank;
    for (int shift = 8 * static_cast<int>(sizeof(Key)) - 8; shift >= 0; shift -= 8) {
        if (threadIdx.x < 256) histogram[threadIdx.x] = 0;
        __syncthreads();
        const Key known = prefix;
        for (std::uint32_t i = threadIdx.x; i < n; i += blockDim.x) {
            Key key;
            // Shifts by the whole width are not defined, so the first byte has no mask.
            if (!sample(i, key) || (shift + 8 < 8 * static_cast<int>(sizeof(Key)) &&
                                    (key >> (shift + 8)) != (known >> (shift + 8)))) {
                continue;
            }
            atomicAdd(&histogram[static_cast<std::uint32_t>(key >> shift) & 255U], 1U);
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            std::uint32_t byte = 0;
            while (byte < 255 && left >= histogram[byte]) left -= histogram[byte++];
            prefix |= static_cast<Key>(byte) << shift;
        }
        __syncthreads();
    }
    const Key found = prefix;
    __syncthreads();
    return found;
}

/// How many of n samples there are.
template <class Key, class Sample>
__device__ std::uint32_t count_samples(std::uint32_t n, const Sample& sample) {
    __shared__ std::uint32_t count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    std::uint32_t own = 0;
    for (std::uint32_t i = threadIdx.x; i < n; i += blockDim.x) {
        Key key;
        own += sample(i, key) ? 1U : 0U;
    }
    if (own > 0) atomicAdd(&count, own);
    __syncthreads();
    const std::uint32_t found = count;
    __syncthreads();
    return found;
}

}  // namespace lee::cuda
