// Compiled once for each instruction set. Only plain loops here, nothing inline from the standard library:
// the linker keeps one copy of an inline function for the whole program, which may be the one for AVX-512.
#include "kernels/simd/opening.hpp"

namespace lee::simd::LEE_ISA {
namespace {

// Where the sign is set, larger magnitudes are smaller numbers: turn the other bits over.
std::int32_t ordered(std::int32_t bits) {
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

void encode(const float* __restrict height, std::int32_t* __restrict keys, std::size_t n, std::int32_t flip) {
    for (std::size_t i = 0; i < n; ++i) {
        std::int32_t bits;
        __builtin_memcpy(&bits, height + i, sizeof bits);
        const bool finite = (bits & 0x7f800000) != 0x7f800000;
        keys[i] = finite ? ordered(bits) ^ flip : INT32_MAX;
    }
}

void decode(const std::int32_t* __restrict keys, float* __restrict height, std::size_t n, std::int32_t flip) {
    for (std::size_t i = 0; i < n; ++i) {
        const std::int32_t bits = ordered(keys[i] ^ flip);
        __builtin_memcpy(height + i, &bits, sizeof bits);
    }
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

bool finite(float value) {
    return value - value == 0.0F;
}

void take_measured(const float* __restrict height, const float* __restrict opened, float* __restrict out,
                   std::size_t n) {
    for (std::size_t i = 0; i < n; ++i)
        out[i] = finite(height[i]) && finite(opened[i]) ? opened[i] : height[i];
}

void take_peaks(const float* __restrict height, const float* opened, const float* __restrict limit,
                float* out, std::int8_t* __restrict removed, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const bool peak = finite(height[i]) & (height[i] - opened[i] > limit[i]);
        out[i] = peak ? opened[i] : height[i];
        removed[i] = peak ? 1 : 0;
    }
}

void take_pits(const float* __restrict height, const float* __restrict closed,
               const float* __restrict pit_limit, const float* __restrict peak_limit, float* __restrict out,
               std::int8_t* __restrict removed, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        if (!(finite(height[i]) & (closed[i] - out[i] > pit_limit[i]))) continue;
        const bool high = height[i] - closed[i] > peak_limit[i];
        const bool low = closed[i] - height[i] > pit_limit[i];
        out[i] = high | low ? closed[i] : height[i];
        removed[i] = high ? 1 : low ? -1 : 0;
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
