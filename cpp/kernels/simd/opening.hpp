#pragma once

#include <cstddef>
#include <cstdint>

#include "common/isa.hpp"

namespace lee::simd {

/// Heights as integers of the same order: minima are exact, the same on every instruction set, and free of
/// NaN. INT32_MAX, and its complement, mean "not measured".
struct OpeningLoops {
    /// keys[i] of height[i], complemented where flip is -1; INT32_MAX where it is not finite
    void (*encode)(const float* height, std::int32_t* keys, std::size_t n, std::int32_t flip);
    /// height[i] of keys[i], complemented where flip is -1; NaN where there is no height
    void (*decode)(const std::int32_t* keys, float* height, std::size_t n, std::int32_t flip);
    /// out[i] = ~in[i]
    void (*complement)(const std::int32_t* in, std::int32_t* out, std::size_t n);
    /// out[i] = min(a[i], b[i])
    void (*minimum)(const std::int32_t* a, const std::int32_t* b, std::int32_t* out, std::size_t n);
    /// out[i] = min(a[i], b[i], out[i])
    void (*lower_by)(const std::int32_t* a, const std::int32_t* b, std::int32_t* out, std::size_t n);
    /// Lower `count` rows of a ring of accumulators, from row `first` on, by four rows of `table` each.
    /// table + offsets[4 * k + b] is the b-th row for the k-th accumulator; all rows have n elements
    void (*lower)(std::int32_t* ring, std::size_t ring_rows, std::size_t first, std::size_t count,
                  const std::int32_t* table, const std::size_t* offsets, std::size_t n);

    /// out[i] = opened[i] where height[i] and opened[i] are finite, else height[i]
    void (*take_measured)(const float* height, const float* opened, float* out, std::size_t n);
    /// out[i] = opened[i] and removed[i] = 1 where height[i] - opened[i] > limit[i], else height[i] and 0;
    /// out may be opened
    void (*take_peaks)(const float* height, const float* opened, const float* limit, float* out,
                       std::int8_t* removed, std::size_t n);
    /// Where closed[i] - out[i] > pit_limit[i]: closed[i] and 1 or -1, as height[i] is more than
    /// peak_limit[i] above or more than pit_limit[i] below it; height[i] and 0 where neither. Elsewhere
    /// nothing is touched.
    void (*take_pits)(const float* height, const float* closed, const float* pit_limit,
                      const float* peak_limit, float* out, std::int8_t* removed, std::size_t n);
};

}  // namespace lee::simd

LEE_DECLARE_ISAS(::lee::simd::OpeningLoops, opening_loops)
