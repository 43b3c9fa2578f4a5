#pragma once

#include <cstddef>
#include <cstdint>

#include "common/isa.hpp"

namespace lee::simd {

/// Elements that loops over sums may read and write past the end of a row.
inline constexpr std::size_t slack = 32;

/// Loops over one row of window sums, in whole numbers modulo 2^32 (exact) or in double precision.
template <class Sum>
struct SumLoops {
    /// out[i] = sum over k of plus[k][i] - minus[k][i]
    void (*edges)(const Sum* const* plus, const Sum* const* minus, std::size_t count, Sum* out,
                  std::size_t n);
    /// sums[i] += enters[i] - leaves[i]
    void (*slide)(const Sum* enters, const Sum* leaves, Sum* sums, std::size_t n);
    /// out[i] = in[0] + ... + in[skip + i]
    void (*prefix)(const Sum* in, std::size_t skip, Sum* out, std::size_t n);
};

struct AdaptiveVarianceLoops {
    SumLoops<std::uint32_t> whole;
    SumLoops<double> real;

    // value[i] and square[i] of pixel[i]; a null pointer is not written
    void (*load_8)(const std::uint8_t* pixel, std::uint32_t* value, std::uint32_t* square, std::size_t n);
    void (*load_8_real)(const std::uint8_t* pixel, double* value, double* square, std::size_t n);
    void (*load_16)(const std::uint16_t* pixel, double* value, double* square, std::size_t n);
    /// of pixel[i] - offset; 0 where a pixel is not finite
    void (*load_float)(const float* pixel, double offset, double* value, double* square, std::size_t n);
    /// present[i] = 1 where pixel[i] is finite, else 0; false if any is not
    bool (*presence)(const float* pixel, std::uint32_t* present, std::size_t n);

    // focus[i] of the sums over a footprint; NaN where count is 0, 0 where the mean is not positive
    void (*variance_whole)(const std::uint32_t* sum, const std::uint32_t* square, const std::uint32_t* count,
                           float* focus, std::size_t n);
    void (*variance_real)(const double* sum, const double* square, const std::uint32_t* count, double offset,
                          float* focus, std::size_t n);
    void (*average)(const double* sum, const std::uint32_t* count, float* focus, std::size_t n);

    // energy[i] = (pixel[i] - m)^2 / m, m = offset + sum[i] / count[i]; NaN where a pixel is not finite
    void (*detail_8)(const std::uint8_t* pixel, const double* sum, const std::uint32_t* count, double offset,
                     float* energy, std::size_t n);
    void (*detail_16)(const std::uint16_t* pixel, const double* sum, const std::uint32_t* count,
                      double offset, float* energy, std::size_t n);
    void (*detail_float)(const float* pixel, const double* sum, const std::uint32_t* count, double offset,
                         float* energy, std::size_t n);

    /// largest[i] = max(largest[i], focus[i]); out[i] = focus[i] where open[i] is not 0
    void (*keep_open)(const float* focus, const std::uint8_t* open, float* largest, float* out,
                      std::size_t n);
};

}  // namespace lee::simd

LEE_DECLARE_ISAS(::lee::simd::AdaptiveVarianceLoops, adaptive_variance_loops)
