#pragma once

#include <cstddef>
#include <cstdint>

#include "common/isa.hpp"

namespace lee::simd {

/// The two largest maxima of each pixel in a row, the larger first, and what else is kept of its focus curve.
struct PeakRow {
    float* z_um[2];
    std::uint16_t* peak[2];   // focus, coded
    std::uint16_t* width[2];  // curvature of the log focus curve, coded; 0 = not fitted
    float* counts[2];         // null where intensities are not kept
};

/// Detail and focus are kept as the upper half of a float: eight bits of mantissa; where nothing is negative,
/// whole numbers in the same order.
struct RefocuserLoops {
    /// sum[i] = frame[i], or += where `add`
    void (*accumulate_u8)(const std::uint8_t* frame, std::uint16_t* sum, std::size_t n, bool add);
    void (*accumulate_u16)(const std::uint16_t* frame, float* sum, std::size_t n, bool add);
    void (*accumulate_f32)(const float* frame, float* sum, std::size_t n, bool add);
    /// mean[i] = sum[i] * scale
    void (*mean_u16)(const std::uint16_t* sum, float* mean, std::size_t n, float scale);
    void (*mean_f32)(const float* sum, float* mean, std::size_t n, float scale);
    /// out[i] = weights[0] * in[i] + ... + weights[5] * in[i + 5]
    void (*resample_along)(const float* in, const float* weights, float* out, std::size_t n);
    /// out[i] = weights[0] * rows[0][i] + ... + weights[5] * rows[5][i]
    void (*resample_rows)(const float* const* rows, const float* weights, float* out, std::size_t n);
    /// out[i] = in[i] + ... + in[i + taps - 1]
    void (*sum_along)(const float* in, std::size_t taps, float* out, std::size_t n);
    /// out[i] = (mean[i] - local) / sqrt(local + dark), local = scale * (rows[0][i] + ... + rows[taps -
    /// 1][i]); 0 for NaN
    void (*detail)(const float* mean, const float* const* rows, std::size_t taps, float scale, float dark,
                   float* out, std::size_t n);
    /// codes[i] = code of values[i], whatever its sign
    void (*encode)(const float* values, std::uint16_t* codes, std::size_t n);
    /// values[i] of codes[i]
    void (*decode)(const std::uint16_t* codes, float* values, std::size_t n);
    /// values[i] = (one[i] + other[i]) / 2, of codes
    void (*decode_mean)(const std::uint16_t* one, const std::uint16_t* other, float* values, std::size_t n);
    /// Sobel's gradient, over 8, of three rows of n + 2 values: across[i] and down[i] at value i + 1
    void (*gradient)(const float* above, const float* row, const float* below, float* across, float* down,
                     std::size_t n);
    /// Products of two gradients: xx[i] = ax[i] bx[i], yy[i] = ay[i] by[i], xy[i] = (ax[i] by[i] + ay[i]
    /// bx[i]) / 2
    void (*tensor)(const float* ax, const float* ay, const float* bx, const float* by, float* xx, float* yy,
                   float* xy, std::size_t n);
    /// out[i] = code of scale times the focus of the tensor summed over `taps` rows; xx, yy, xy: rows of its
    /// entries
    void (*pool)(const float* const* xx, const float* const* yy, const float* const* xy, std::size_t taps,
                 float scale, std::uint16_t* out, std::size_t n);
    /// out[i] = mean of the four values upper[2 i], upper[2 i + 1], lower[2 i], lower[2 i + 1]
    void (*halve)(const float* upper, const float* lower, float* out, std::size_t n);
    /// Where ring[2] is a maximum above the second peak so far, fit it and keep it. ring: the last five
    /// groups, oldest first; u_um: their heights relative to the middle one, at z_um counts: of the middle
    /// group, null where PeakRow keeps none
    void (*track)(const std::uint16_t* const* ring, const float* u_um, float z_um, const float* counts,
                  const PeakRow& peaks, std::size_t n);
    /// sum[i] += values[i], and 1 to count[i] where values[i] >= limit
    void (*add)(const float* values, float limit, float* sum, float* count, std::size_t n);
};

}  // namespace lee::simd

LEE_DECLARE_ISAS(::lee::simd::RefocuserLoops, refocuser_loops)
