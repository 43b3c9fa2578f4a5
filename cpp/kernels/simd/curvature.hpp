#pragma once

#include <cstddef>

#include "common/curvature_fit.hpp"
#include "common/curvature_pixel.hpp"
#include "common/isa.hpp"

namespace lee::simd {

/// Columns of a strip, in float and in double.
constexpr std::size_t curvature_strip = 64;
constexpr std::size_t curvature_narrow = 32;
/// Maps along rows, and filters across them, that give the derivatives where all is measured.
constexpr std::size_t curvature_maps = 5;
constexpr std::size_t curvature_filters = 10;

struct CurvatureRows {
    const float* derivatives[5];                         // x, y, xx, xy, yy
    const float* covariance[curvature_of::covariances];  // of the derivatives, for heights of sigma 1
    const float* noise;                                  // variance of the heights; null without sigmas
    float* out[6];                                       // mean, gauss, high, low, and the two sigmas
};

struct CurvatureLoops {
    /// Widen [low, high] by the finite values of a row; returns how many there are.
    std::size_t (*range)(const float* row, std::size_t n, float* low, float* high);
    /// out[i] = row[i] - offset
    void (*lower)(const float* row, float offset, float* out, std::size_t n);
    /// Of a strip and `radius` to each side, `maps` filtered rows of a strip each; taps hold
    /// `curvature_maps` for each distance from the centre, even or odd by turns: 0 2 4 even, 1 3 odd.
    void (*along)(const float* row, const float* taps, std::size_t radius, std::size_t maps, float* out);
    /// Derivatives (5 rows of a strip) from 2 radius + 1 rows of maps, the first at `rows`; taps hold
    /// `curvature_filters` for each distance.
    void (*across)(const float* rows, const float* taps, std::size_t radius, std::size_t maps, float* out);

    /// heights[i] = row[i] - offset and seen[i] = 1, or 0 and 0 where it is not finite (or is below 0 with
    /// squares, which takes the square)
    void (*measured)(const float* row, double offset, bool squares, double* heights, double* seen,
                     std::size_t n);
    /// Sums of weight times value times s^a over a row, a = 0 ... highest, each a narrow strip.
    void (*moments_along)(const double* row, const double* taps, std::size_t radius, int highest,
                          double* out);
    /// From 2 radius + 1 rows `stride` apart: sums of weight times s^a t^b, a + b <= highest, each a
    /// narrow strip; taps hold highest_tap + 1 powers for each distance.
    void (*moments_across)(const double* rows, std::size_t stride, const double* taps, std::size_t radius,
                           int highest, double* out);
    /// Fits of a narrow strip, `order` 2 or 4; moments become coefficients. Its size: `factor_doubles`.
    void (*factorise)(int order, const double* mask, double* factor);
    void (*solve)(int order, const double* factor, double* moments);
    /// Eight pixels, the fit of each in a lane: derivatives, and where wanted the gain of the Laplacian
    /// and the covariances; `place` holds s and t.
    void (*evaluate)(int order, const double* coefficients, const double* place, double* derivatives);
    void (*uncertain)(int order, const double* factor, const double* place,
                      const curvature_fit::Excess& excess, double* gain, double* covariance);

    /// Curvatures from rows of derivatives.
    void (*finish)(const CurvatureRows& rows, std::size_t n);
};

/// Doubles of a factor for one group of eight fits.
constexpr std::size_t curvature_factor(int order) {
    return order == 4 ? 8 * (105 + 15 + 1) : 8 * (15 + 6 + 1);
}

}  // namespace lee::simd

LEE_DECLARE_ISAS(::lee::simd::CurvatureLoops, curvature_loops)
