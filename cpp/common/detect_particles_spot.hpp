#pragma once

// Gaussian spots on an image of residuals: drawn, and fitted by weighted least squares; the same on every
// backend.
#include <cstddef>
#include <cstdint>

#include "common/both.hpp"
#include "common/floats.hpp"

namespace lee::particles {

/// Widest spot, px, and how far a spot is drawn and fitted, in standard deviations.
inline constexpr float max_width_px = 6.0F, drawn = 4.5F, fitted = 2.5F, compared = 3.0F;
/// A spot wider than a point's is at most so many times as wide; then it is drawn no farther than so many
/// points.
inline constexpr float widest = 1.8F, drawn_widest = 5.5F;
/// Half the side of the largest window.
inline constexpr int max_reach = 36;

struct Spot {
    float y, x, peak, width;
};

/// The residual of the difference, and each pixel's weight: 1 / variance, 0 where masked.
struct Residuals {
    float* left;
    const float* weight;
    std::size_t pitch;
    int rows, columns;
};

struct Window {
    int y0, x0, height, width;
};

LEE_BOTH int nearest(float value) {
    return static_cast<int>(__builtin_floorf(value + 0.5F));
}

LEE_BOTH int pixels(float length) {
    const int reach = static_cast<int>(__builtin_ceilf(length));
    return reach < max_reach ? reach : max_reach;
}

LEE_BOTH Window window_at(const Residuals& image, float y, float x, int reach) {
    const int cy = nearest(y), cx = nearest(x);
    const int y0 = cy - reach > 0 ? cy - reach : 0, x0 = cx - reach > 0 ? cx - reach : 0;
    const int y1 = cy + reach < image.rows ? cy + reach + 1 : image.rows;
    const int x1 = cx + reach < image.columns ? cx + reach + 1 : image.columns;
    return {y0, x0, y1 > y0 ? y1 - y0 : 0, x1 > x0 ? x1 - x0 : 0};
}

/// exp(x) of x <= 0, to 3e-7 relative.
LEE_BOTH float exp_of(float x) {
    const float t = (x > -80.0F ? x : -80.0F) * 1.44269504F;
    const int whole = static_cast<int>(t - 0.5F);
    const float f = t - static_cast<float>(whole);
    const float p =
        1.0F +
        f * (0.693147181F +
             f * (0.240226507F +
                  f * (0.0555041087F + f * (0.00961812911F + f * (0.00133335581F + f * 0.000154035304F)))));
    return p * float_of(static_cast<std::uint32_t>(whole + 127) << 23);
}

/// A spot's shape along one axis.
LEE_BOTH void shape_along(float centre, float width, int first, int n, float* out) {
    const float inverse = 1.0F / width;
    for (int i = 0; i < n; ++i) {
        const float u = (static_cast<float>(first + i) - centre) * inverse;
        out[i] = exp_of(-0.5F * u * u);
    }
}

/// Add a spot times `times`: -1 subtracts it. `point`: width of a point's image.
LEE_BOTH void draw(const Residuals& image, const Spot& spot, float times, float point) {
    const float far = drawn * spot.width, most = drawn_widest * point;
    const Window at = window_at(image, spot.y, spot.x, pixels(far < most ? far : most));
    float along_y[2 * max_reach + 1], along_x[2 * max_reach + 1];
    shape_along(spot.y, spot.width, at.y0, at.height, along_y);
    shape_along(spot.x, spot.width, at.x0, at.width, along_x);
    for (int j = 0; j < at.height; ++j) {
        float* row = image.left + static_cast<std::size_t>(at.y0 + j) * image.pitch + at.x0;
        const float high = times * spot.peak * along_y[j];
        for (int i = 0; i < at.width; ++i) row[i] += high * along_x[i];
    }
}

/// Replace a spot by another.
LEE_BOTH void redraw(const Residuals& image, const Spot& old, const Spot& next, float point) {
    const float wide = old.width > next.width ? old.width : next.width;
    const float far = drawn * wide, most = drawn_widest * point;
    const Window at = window_at(image, next.y, next.x, pixels(far < most ? far : most));
    float old_y[2 * max_reach + 1], old_x[2 * max_reach + 1];
    float next_y[2 * max_reach + 1], next_x[2 * max_reach + 1];
    shape_along(old.y, old.width, at.y0, at.height, old_y);
    shape_along(old.x, old.width, at.x0, at.width, old_x);
    shape_along(next.y, next.width, at.y0, at.height, next_y);
    shape_along(next.x, next.width, at.x0, at.width, next_x);
    for (int j = 0; j < at.height; ++j) {
        float* row = image.left + static_cast<std::size_t>(at.y0 + j) * image.pitch + at.x0;
        const float removed = old.peak * old_y[j], added = next.peak * next_y[j];
        for (int i = 0; i < at.width; ++i) row[i] += removed * old_x[i] - added * next_x[i];
    }
}

/// Sums of weight, shape and residual over a spot's window: with the shape itself, its change with y and with
/// x.
struct Normal {
    float pp = 0, py = 0, px = 0, yy = 0, yx = 0, xx = 0;  // products of peak's, y's and x's derivatives
    float p = 0, y = 0, x = 0;                             // with the residual
};

LEE_BOTH Normal normal_of(const Residuals& image, const Spot& spot) {
    const Window at = window_at(image, spot.y, spot.x, pixels(fitted * spot.width));
    float along_y[2 * max_reach + 1], along_x[2 * max_reach + 1];
    shape_along(spot.y, spot.width, at.y0, at.height, along_y);
    shape_along(spot.x, spot.width, at.x0, at.width, along_x);
    const float turn = spot.peak / (spot.width * spot.width);
    // Down the columns first, so that compilers take columns together.
    float s[2 * max_reach + 1], sv[2 * max_reach + 1], svv[2 * max_reach + 1];
    float r[2 * max_reach + 1], rv[2 * max_reach + 1];
    for (int i = 0; i < at.width; ++i) s[i] = sv[i] = svv[i] = r[i] = rv[i] = 0.0F;
    for (int j = 0; j < at.height; ++j) {
        const std::size_t row =
            static_cast<std::size_t>(at.y0 + j) * image.pitch + static_cast<std::size_t>(at.x0);
        const float *weight = image.weight + row, *left = image.left + row;
        const float g = along_y[j], gg = g * g;
        const float v = (static_cast<float>(at.y0 + j) - spot.y) * turn;
        for (int i = 0; i < at.width; ++i) {
            const float w = weight[i], wg = w * gg, wr = w * g * left[i];
            s[i] += wg, sv[i] += wg * v, svv[i] += wg * v * v;
            r[i] += wr, rv[i] += wr * v;
        }
    }
    Normal sum;
    for (int i = 0; i < at.width; ++i) {
        const float g = along_x[i], gg = g * g;
        const float u = (static_cast<float>(at.x0 + i) - spot.x) * turn;
        sum.pp += gg * s[i], sum.py += gg * sv[i], sum.px += gg * s[i] * u;
        sum.yy += gg * svv[i], sum.yx += gg * sv[i] * u, sum.xx += gg * s[i] * u * u;
        sum.p += g * r[i], sum.y += g * rv[i], sum.x += g * r[i] * u;
    }
    return sum;
}

/// Solve a x = b for a symmetric positive definite matrix packed by rows of its lower half; b becomes x.
template <int n>
LEE_BOTH bool solve(float* a, float* b) {
    for (int i = 0; i < n; ++i) {
        for (int j = 0; j <= i; ++j) {
            float sum = a[i * (i + 1) / 2 + j];
            for (int k = 0; k < j; ++k) sum -= a[i * (i + 1) / 2 + k] * a[j * (j + 1) / 2 + k];
            if (i == j) {
                if (!(sum > 0.0F)) return false;
                a[i * (i + 1) / 2 + i] = __builtin_sqrtf(sum);
            } else {
                a[i * (i + 1) / 2 + j] = sum / a[j * (j + 1) / 2 + j];
            }
        }
    }
    for (int i = 0; i < n; ++i) {
        float sum = b[i];
        for (int k = 0; k < i; ++k) sum -= a[i * (i + 1) / 2 + k] * b[k];
        b[i] = sum / a[i * (i + 1) / 2 + i];
    }
    for (int i = n - 1; i >= 0; --i) {
        float sum = b[i];
        for (int k = i + 1; k < n; ++k) sum -= a[k * (k + 1) / 2 + i] * b[k];
        b[i] = sum / a[i * (i + 1) / 2 + i];
    }
    return true;
}

LEE_BOTH float clamped(float value, float low, float high) {
    return value < low ? low : value > high ? high : value;
}

/// One Gauss-Newton step of a spot whose model has been subtracted from the residuals, from its sums; false
/// where all of it is masked.
LEE_BOTH bool step(const Normal& of, Spot& spot) {
    if (!(of.pp > 0.0F)) return false;
    constexpr float damping = 1.001F;
    // The place is known at least to a few widths: without this, nearly masked spots would diverge.
    const float held = 0.05F / (spot.width * spot.width);
    float a[6] = {damping * of.pp, of.py, damping * of.yy + held, of.px, of.yx, damping * of.xx + held};
    float b[3] = {of.p, of.y, of.x};
    if (!solve<3>(a, b)) return false;
    const float most = 0.5F * spot.width;
    const float peak = spot.peak + b[0];
    spot.peak = peak > 0.1F * spot.peak ? peak : 0.1F * spot.peak;
    spot.y += clamped(b[1], -most, most);
    spot.x += clamped(b[2], -most, most);
    return true;
}

/// Chi square that the one pixel explains which explains most of a spot.
LEE_BOTH float of_one_pixel(const Residuals& image, const Spot& spot) {
    const Window at = window_at(image, spot.y, spot.x, 1);
    float along_y[3], along_x[3], most = 0.0F;
    shape_along(spot.y, spot.width, at.y0, at.height, along_y);
    shape_along(spot.x, spot.width, at.x0, at.width, along_x);
    for (int j = 0; j < at.height; ++j) {
        for (int i = 0; i < at.width; ++i) {
            const std::size_t pixel =
                static_cast<std::size_t>(at.y0 + j) * image.pitch + static_cast<std::size_t>(at.x0 + i);
            const float value = image.left[pixel] + spot.peak * along_y[j] * along_x[i];
            const float square = image.weight[pixel] * value * value;
            most = square > most ? square : most;
        }
    }
    return most;
}

}  // namespace lee::particles
