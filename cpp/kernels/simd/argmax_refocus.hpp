#pragma once

#include <cstddef>
#include <cstdint>

#include "common/isa.hpp"

namespace lee::simd {

/// Pixels taken together.
inline constexpr std::size_t refocus_strip = 64;

struct ArgmaxRefocusLoops {
    /// Copies focus[i] to copy[i]; best[i] = focus[i] and plane[i] = z where focus[i] > best[i], or where it
    /// is not NaN and plane[i] is -1
    void (*update)(const float* focus, std::int32_t z, float* copy, float* best, std::int32_t* plane,
                   std::size_t n);
    /// Fit the curves focus[z * refocus_strip + i], z in [0, planes), around plane[i]. All rows hold a whole
    /// strip.
    void (*fit)(const float* focus, const double* z_um, std::int32_t planes, std::int32_t reach,
                const float* best, const std::int32_t* plane, float* height_um, float* sigma_um);
};

}  // namespace lee::simd

LEE_DECLARE_ISAS(::lee::simd::ArgmaxRefocusLoops, argmax_refocus_loops)
