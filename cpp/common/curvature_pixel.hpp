#pragma once

#include "common/both.hpp"

// The curvatures of one pixel from its derivatives.
namespace lee::curvature_of {

struct Derivatives {
    float x, y, xx, xy, yy;
};

struct Curvatures {
    float mean, gauss, high, low;
};

/// In axes along and across the slope the shape operator is symmetric, so that the difference of the
/// principal curvatures is a sum of squares: mean^2 - gauss would cancel where they are nearly equal.
LEE_BOTH Curvatures curvatures(const Derivatives& d) {
    const float steep = d.x * d.x + d.y * d.y;
    // Below this the direction of the slope does not matter, and its square underflows.
    const bool flat = steep < 1e-30F;
    const float inverse = 1.0F / __builtin_sqrtf(flat ? 1.0F : steep);
    const float nx = flat ? 1.0F : d.x * inverse;
    const float ny = flat ? 0.0F : d.y * inverse;
    const float w = 1.0F / __builtin_sqrtf(1.0F + steep);
    const float along = nx * nx * d.xx + 2.0F * nx * ny * d.xy + ny * ny * d.yy;
    const float across = ny * ny * d.xx - 2.0F * nx * ny * d.xy + nx * nx * d.yy;
    const float mixed = nx * ny * (d.yy - d.xx) + (nx * nx - ny * ny) * d.xy;
    const float a = along * (w * w * w);
    const float b = mixed * (w * w);
    const float c = across * w;
    const float mean = 0.5F * (a + c);
    const float half = 0.5F * (a - c);
    const float spread = __builtin_sqrtf(half * half + b * b);
    return {mean, a * c - b * b, mean + spread, mean - spread};
}

/// Covariances of the derivatives for heights of standard deviation 1, upper triangle by rows, in the order
/// x, y, xx, xy, yy.
struct Covariance {
    float xx, xy, x_xx, x_xy, x_yy, yy, y_xx, y_xy, y_yy, xx_xx, xx_xy, xx_yy, xy_xy, xy_yy, yy_yy;
};

constexpr int covariances = 15;

LEE_BOTH float variance(const Covariance& c, const Derivatives& j) {
    const float x = j.x * c.xx + 2.0F * (j.y * c.xy + j.xx * c.x_xx + j.xy * c.x_xy + j.yy * c.x_yy);
    const float y = j.y * c.yy + 2.0F * (j.xx * c.y_xx + j.xy * c.y_xy + j.yy * c.y_yy);
    const float xx = j.xx * c.xx_xx + 2.0F * (j.xy * c.xx_xy + j.yy * c.xx_yy);
    const float xy = j.xy * c.xy_xy + 2.0F * j.yy * c.xy_yy;
    const float all = j.x * x + j.y * y + j.xx * xx + j.xy * xy + j.yy * (j.yy * c.yy_yy);
    return all > 0.0F ? all : 0.0F * all;
}

struct Sigmas {
    float mean, gauss;
};

/// `noise` is the variance of the heights.
LEE_BOTH Sigmas sigmas(const Derivatives& d, const Covariance& c, float noise) {
    const float q = 1.0F / (1.0F + d.x * d.x + d.y * d.y);
    const float root = __builtin_sqrtf(q);
    const float half = 0.5F * q * root;
    const float numerator = (1.0F + d.y * d.y) * d.xx - 2.0F * d.x * d.y * d.xy + (1.0F + d.x * d.x) * d.yy;
    const float mean = numerator * half;
    const float gauss = (d.xx * d.yy - d.xy * d.xy) * (q * q);
    const Derivatives of_mean{2.0F * half * (d.x * d.yy - d.y * d.xy) - 3.0F * d.x * q * mean,
                              2.0F * half * (d.y * d.xx - d.x * d.xy) - 3.0F * d.y * q * mean,
                              half * (1.0F + d.y * d.y), -2.0F * half * d.x * d.y, half * (1.0F + d.x * d.x)};
    const Derivatives of_gauss{-4.0F * d.x * q * gauss, -4.0F * d.y * q * gauss, d.yy * (q * q),
                               -2.0F * d.xy * (q * q), d.xx * (q * q)};
    // Half the trace of (Hessian covariance)^2: where the surface is flat this is all there is.
    const float second =
        (c.xx_yy * c.xx_yy + c.xx_xx * c.yy_yy + 2.0F * c.xy_xy * c.xy_xy - 4.0F * c.xx_xy * c.xy_yy) *
        (q * q) * (q * q);
    return {__builtin_sqrtf(variance(c, of_mean) * noise),
            __builtin_sqrtf((variance(c, of_gauss) + second * noise) * noise)};
}

}  // namespace lee::curvature_of
