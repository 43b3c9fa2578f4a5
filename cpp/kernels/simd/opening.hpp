#pragma once

#include <cstddef>

#include "common/isa.hpp"

namespace lee::simd {

struct OpeningLoops {
    /// out[i] = min(a[i], b[i]), i in [0, n); out may be a
    void (*minimum)(const float* a, const float* b, float* out, std::size_t n);
};

}  // namespace lee::simd

LEE_DECLARE_ISAS(::lee::simd::OpeningLoops, opening_loops)
