// Compiled once for each instruction set. Only plain loops here, nothing inline from the standard library:
// the linker keeps one copy of an inline function for the whole program, which may be the one for AVX-512.
#include "kernels/simd/opening.hpp"

#include "common/opening_pixel.hpp"

namespace lee::simd::LEE_ISA {
namespace {

void encode(const float* __restrict height, std::int32_t* __restrict keys, std::size_t n, std::int32_t flip) {
    for (std::size_t i = 0; i < n; ++i) keys[i] = morphology::key_of(height[i], flip);
}

void decode(const std::int32_t* __restrict keys, float* __restrict height, std::size_t n, std::int32_t flip) {
    for (std::size_t i = 0; i < n; ++i) height[i] = morphology::height_of(keys[i], flip);
}

void complement(const std::int32_t* __restrict in, std::int32_t* __restrict out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out[i] = ~in[i];
}

void minimum(const std::int32_t* a, const std::int32_t* b, std::int32_t* __restrict out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out[i] = b[i] < a[i] ? b[i] : a[i];
}

void lower_by(const std::int32_t* a, const std::int32_t* b, std::int32_t* __restrict out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const std::int32_t least = b[i] < a[i] ? b[i] : a[i];
        out[i] = least < out[i] ? least : out[i];
    }
}

void lower_row(std::int32_t* __restrict row, const std::int32_t* a, const std::int32_t* b,
               const std::int32_t* c, const std::int32_t* d, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const std::int32_t ab = b[i] < a[i] ? b[i] : a[i];
        const std::int32_t cd = d[i] < c[i] ? d[i] : c[i];
        const std::int32_t least = cd < ab ? cd : ab;
        row[i] = least < row[i] ? least : row[i];
    }
}

void lower(std::int32_t* ring, std::size_t ring_rows, std::size_t first, std::size_t count,
           const std::int32_t* table, const std::size_t* offsets, std::size_t n) {
    for (std::size_t k = 0; k < count; ++k, offsets += 4) {
        const std::size_t at = first + k < ring_rows ? first + k : first + k - ring_rows;
        lower_row(ring + at * n, table + offsets[0], table + offsets[1], table + offsets[2],
                  table + offsets[3], n);
    }
}

void take_measured(const float* __restrict height, const float* __restrict opened, float* __restrict out,
                   std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out[i] = morphology::measured(height[i], opened[i]);
}

void take_peaks(const float* __restrict height, const float* opened, const float* __restrict limit,
                float* out, std::int8_t* __restrict removed, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const bool peak = morphology::is_peak(height[i], opened[i], limit[i]);
        out[i] = peak ? opened[i] : height[i];
        removed[i] = peak ? 1 : 0;
    }
}

void take_pits(const float* __restrict height, const float* __restrict closed,
               const float* __restrict pit_limit, const float* __restrict peak_limit, float* __restrict out,
               std::int8_t* __restrict removed, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const auto settled =
            morphology::settle(height[i], closed[i], pit_limit[i], peak_limit[i], out[i], removed[i]);
        out[i] = settled.height;
        removed[i] = settled.removed;
    }
}

}  // namespace

const OpeningLoops opening_loops{
    .encode = encode,
    .decode = decode,
    .complement = complement,
    .minimum = minimum,
    .lower_by = lower_by,
    .lower = lower,
    .take_measured = take_measured,
    .take_peaks = take_peaks,
    .take_pits = take_pits,
};

}  // namespace lee::simd::LEE_ISA
