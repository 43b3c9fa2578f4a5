#pragma once

// Per-pixel arithmetic of the difference of two frames, the same on every backend.
#include <cstddef>
#include <cstdint>

#include "common/both.hpp"

namespace lee::particles {

/// Brightness is smoothed by the binomial (1 4 6 4 1) / 16 along both axes before it is differentiated.
inline constexpr float smooth_middle = 0.375F, smooth_near = 0.25F, smooth_far = 0.0625F;
/// Weight of the pixel itself in its smoothed brightness, and in the Laplacian of that.
inline constexpr float own_share = smooth_middle * smooth_middle;
/// Sum of the squares of all weights: variance of the smoothed brightness over that of a pixel.
inline constexpr float smoothing_squares =
    (smooth_middle * smooth_middle + 2.0F * (smooth_near * smooth_near + smooth_far * smooth_far)) *
    (smooth_middle * smooth_middle + 2.0F * (smooth_near * smooth_near + smooth_far * smooth_far));
inline constexpr float own_laplacian = 4.0F * smooth_middle * (smooth_near - smooth_middle);

LEE_BOTH float smoothed(float a, float b, float c, float d, float e) {
    return smooth_middle * c + smooth_near * (b + d) + smooth_far * (a + e);
}

/// Taps of the shift's sinc, and the shape of its window.
inline constexpr int shift_taps = 8;
inline constexpr double kaiser_beta = 5.0;

/// Regressors of the difference at one pixel: texture that shift, change of height and of brightness reveal.
struct Regressors {
    float x, y, axial, brightness;
};

/// From brightness at the pixel, and smoothed there and at its four neighbours, all of the frame without the
/// particles. None contains the pixel's own noise, which is in the difference too and would correlate with
/// it: the pixel's smoothed surroundings take its place. `axial` is the change with height; has_axial false:
/// the Laplacian.
LEE_BOTH Regressors regressors_at(float own, float left, float middle, float right, float up, float down,
                                  float axial, bool has_axial, float level) {
    const float around = (middle - own_share * own) * (1.0F / (1.0F - own_share));
    const float laplacian = left + right + up + down - 4.0F * middle - own_laplacian * (own - around);
    return {0.5F * (right - left), 0.5F * (down - up), has_axial ? axial : laplacian, around - level};
}

LEE_BOTH float taken(const Regressors& at, float cx, float cy, float caxial, float cbrightness,
                     float offset) {
    return offset + cx * at.x + cy * at.y + caxial * at.axial + cbrightness * at.brightness;
}

/// Whether a residual is included in sums; NaN, a masked pixel, never is.
LEE_BOTH bool within(float residual, float limit) {
    return (residual < limit) & (residual > -limit);
}

/// Variance of the difference of two whole numbers, for their rounding alone.
inline constexpr float rounding_variance = 1.0F / 6.0F;

/// The variance of a pixel's difference as a function of its brightness.
struct Variance {
    float base, slope;
    float least;  ///< of all: of the line, or from rounding alone
};

LEE_BOTH float variance_of(const Variance& of, float brightness) {
    const float line = of.base + of.slope * brightness;
    return line > of.least ? line : of.least;
}

/// The place of a pixel between the centres of two tiles: low + share * (high - low).
struct Between {
    std::uint32_t low, high;
    float share;
};

/// Values of tiles, interpolated at a pixel between the tiles' centres.
LEE_BOTH float ramp_at(const float* by_tile, std::size_t tile_columns, const Between& of_y,
                       const Between& of_x) {
    const float *low = by_tile + of_y.low * tile_columns, *high = by_tile + of_y.high * tile_columns;
    const float a = low[of_x.low] + of_y.share * (high[of_x.low] - low[of_x.low]);
    const float b = low[of_x.high] + of_y.share * (high[of_x.high] - low[of_x.high]);
    return a + of_x.share * (b - a);
}

/// Standard deviation of the matched filter's output, over that of white noise: by tile, and where texture
/// raises it.
struct Deviation {
    const float* scale;          ///< by tile
    const Between *of_y, *of_x;  ///< of rows and columns
    std::size_t tile_columns;
    const float* slope;    ///< of a pixel's variance over brightness, by tile
    const float* texture;  ///< variance, or null
    std::size_t pitch;     ///< of its rows
    int rows, columns;

    [[nodiscard]] LEE_BOTH int row_of(float y) const {
        const int row = static_cast<int>(y + 0.5F);
        return row < 0 ? 0 : row < rows ? row : rows - 1;
    }
    [[nodiscard]] LEE_BOTH int column_of(float x) const {
        const int column = static_cast<int>(x + 0.5F);
        return column < 0 ? 0 : column < columns ? column : columns - 1;
    }
    LEE_BOTH float operator()(float y, float x) const {
        const int row = row_of(y), column = column_of(x);
        const float from_tiles = ramp_at(scale, tile_columns, of_y[row], of_x[column]);
        if (texture == nullptr) return from_tiles;
        return from_tiles *
               __builtin_sqrtf(
                   texture[static_cast<std::size_t>(row) * pitch + static_cast<std::size_t>(column)]);
    }
    [[nodiscard]] LEE_BOTH float slope_at(float y, float x) const {
        return ramp_at(slope, tile_columns, of_y[row_of(y)], of_x[column_of(x)]);
    }
};

/// Signal-to-noise ratio of the matched filter. `least`: information below which too much of the spot is
/// masked; `weight`: the pixel's own, 0 where it is masked.
LEE_BOTH float filtered(float numerator, float information, float weight, float least) {
    const bool usable = (weight > 0.0F) & (information >= least * weight);
    return usable ? numerator / __builtin_sqrtf(information) : 0.0F;
}

}  // namespace lee::particles
