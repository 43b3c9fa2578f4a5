// Compiled once for each instruction set. Only plain loops here, nothing inline from the standard library: the
// linker keeps one copy of an inline function for the whole program, which may be the one for AVX-512.
#include "kernels/simd/opening.hpp"

namespace lee::simd::LEE_ISA {
namespace {

void minimum(const float* a, const float* b, float* out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out[i] = b[i] < a[i] ? b[i] : a[i];
}

}  // namespace

const OpeningLoops opening_loops{.minimum = minimum};

}  // namespace lee::simd::LEE_ISA
