#pragma once

// Whether one spot is better described as two, or as a wider one; the same on every backend.
#include "common/detect_particles_spot.hpp"

namespace lee::particles {

/// Residuals around one or two spots with their own models put back.
struct Around {
    const Residuals& image;
    Window at;
    int count;
    float peak[2];
    float along_y[2][2 * max_reach + 1], along_x[2][2 * max_reach + 1];
};

LEE_BOTH Around around(const Residuals& image, const Spot* own, int count, float point) {
    const float y = count == 1 ? own[0].y : 0.5F * (own[0].y + own[1].y);
    const float x = count == 1 ? own[0].x : 0.5F * (own[0].x + own[1].x);
    Around out{image, window_at(image, y, x, pixels(compared * point) + 1), count, {}, {}, {}};
    for (int k = 0; k < count; ++k) {
        out.peak[k] = own[k].peak;
        shape_along(own[k].y, own[k].width, out.at.y0, out.at.height, out.along_y[k]);
        shape_along(own[k].x, own[k].width, out.at.x0, out.at.width, out.along_x[k]);
    }
    return out;
}

/// Chi square of a model of `n` spots there. With `matrix`, also the normal equations: of each spot y, x,
/// peak and, with `widths`, its width.
template <int n, bool widths>
LEE_BOTH float chi_square(const Around& here, const Spot* spots, float* matrix, float* right) {
    constexpr int each = widths ? 4 : 3, all = n * each;
    float along_y[n][2 * max_reach + 1], along_x[n][2 * max_reach + 1];
    for (int k = 0; k < n; ++k) {
        shape_along(spots[k].y, spots[k].width, here.at.y0, here.at.height, along_y[k]);
        shape_along(spots[k].x, spots[k].width, here.at.x0, here.at.width, along_x[k]);
    }
    if (matrix != nullptr) {
        for (int p = 0; p < all * (all + 1) / 2; ++p) matrix[p] = 0.0F;
        for (int p = 0; p < all; ++p) right[p] = 0.0F;
    }
    float sum = 0.0F;
    for (int j = 0; j < here.at.height; ++j) {
        const std::size_t row = static_cast<std::size_t>(here.at.y0 + j) * here.image.pitch +
                                static_cast<std::size_t>(here.at.x0);
        for (int i = 0; i < here.at.width; ++i) {
            const float w = here.image.weight[row + static_cast<std::size_t>(i)];
            float r = here.image.left[row + static_cast<std::size_t>(i)];
            for (int k = 0; k < here.count; ++k) r += here.peak[k] * here.along_y[k][j] * here.along_x[k][i];
            float slope[all];
            for (int k = 0; k < n; ++k) {
                const float g = along_y[k][j] * along_x[k][i], h = spots[k].peak * g;
                const float turn = 1.0F / (spots[k].width * spots[k].width);
                const float v = static_cast<float>(here.at.y0 + j) - spots[k].y;
                const float u = static_cast<float>(here.at.x0 + i) - spots[k].x;
                slope[each * k] = h * v * turn;
                slope[each * k + 1] = h * u * turn;
                slope[each * k + 2] = g;
                if constexpr (widths) slope[each * k + 3] = h * (v * v + u * u) * turn / spots[k].width;
                r -= h;
            }
            sum += w * r * r;
            if (matrix == nullptr) continue;
            for (int p = 0; p < all; ++p) {
                const float wp = w * slope[p];
                right[p] += wp * r;
                for (int q = 0; q <= p; ++q) matrix[p * (p + 1) / 2 + q] += wp * slope[q];
            }
        }
    }
    return sum;
}

/// Fit `n` spots together (Levenberg and Marquardt); returns chi square.
template <int n, bool widths>
LEE_BOTH float fit_together(const Around& here, Spot* spots, float point, int max_steps) {
    constexpr int each = widths ? 4 : 3, all = n * each;
    float matrix[all * (all + 1) / 2], right[all];
    float best = chi_square<n, widths>(here, spots, matrix, right);
    float damping = 0.01F;
    for (int k = 0; k < max_steps; ++k) {
        bool better = false;
        float gained = 0.0F;
        Spot next[n];
        for (int attempt = 0; attempt < 4 && !better; ++attempt) {
            float a[all * (all + 1) / 2], b[all];
            for (int p = 0; p < all * (all + 1) / 2; ++p) a[p] = matrix[p];
            for (int p = 0; p < all; ++p) {
                a[p * (p + 1) / 2 + p] *= 1.0F + damping;
                b[p] = right[p];
            }
            bool sound = solve<all>(a, b);
            for (int s = 0; s < n && sound; ++s) {
                const float* d = b + each * s;
                const float most = 0.5F * point;
                next[s] = {spots[s].y + clamped(d[0], -most, most), spots[s].x + clamped(d[1], -most, most),
                           spots[s].peak + d[2], spots[s].width};
                if constexpr (widths)
                    next[s].width = clamped(spots[s].width + d[3], 0.7F * point, widest * point);
                sound = next[s].peak > 0.0F;
            }
            if (sound) {
                const float now = chi_square<n, widths>(here, next, nullptr, nullptr);
                better = now < best;
                gained = best - now;
            }
            damping *= better ? 0.2F : 6.0F;
        }
        if (!better) break;
        for (int s = 0; s < n; ++s) spots[s] = next[s];
        if (gained < 0.01F) {
            best -= gained;
            break;
        }
        best = chi_square<n, widths>(here, spots, matrix, right);
    }
    return best;
}

/// Elongation of the residuals at a spot: its direction and significance.
struct Stretch {
    float cos, sin;  // of the direction, from y towards x
    float longer;    // signal-to-noise ratio of being longer one way than the other
    float rounder;   // signal-to-noise ratio of being wider
};

LEE_BOTH Stretch stretch_of(const Residuals& image, const Spot& spot) {
    const Window at = window_at(image, spot.y, spot.x, pixels(compared * spot.width));
    float along_y[2 * max_reach + 1], along_x[2 * max_reach + 1];
    shape_along(spot.y, spot.width, at.y0, at.height, along_y);
    shape_along(spot.x, spot.width, at.x0, at.width, along_x);
    const float inverse = 1.0F / spot.width;
    // Sums down the columns, of weights and of residuals, with powers of the distance along y.
    float s0[2 * max_reach + 1], s2[2 * max_reach + 1], s4[2 * max_reach + 1];
    float r0[2 * max_reach + 1], r1[2 * max_reach + 1], r2[2 * max_reach + 1];
    for (int i = 0; i < at.width; ++i) s0[i] = s2[i] = s4[i] = r0[i] = r1[i] = r2[i] = 0.0F;
    for (int j = 0; j < at.height; ++j) {
        const std::size_t row =
            static_cast<std::size_t>(at.y0 + j) * image.pitch + static_cast<std::size_t>(at.x0);
        const float *weight = image.weight + row, *left = image.left + row;
        const float v = (static_cast<float>(at.y0 + j) - spot.y) * inverse, vv = v * v;
        const float g = along_y[j], gg = g * g;
        for (int i = 0; i < at.width; ++i) {
            const float wg = weight[i] * gg, wr = weight[i] * g * left[i];
            s0[i] += wg, s2[i] += wg * vv, s4[i] += wg * vv * vv;
            r0[i] += wr, r1[i] += wr * v, r2[i] += wr * vv;
        }
    }
    // Shapes that neither peak nor place of the spot can explain: u^2 + v^2 - 1, v^2 - u^2 and 2 u v.
    float even = 0, plus = 0, cross = 0, even_2 = 0, plus_2 = 0, cross_2 = 0;
    for (int i = 0; i < at.width; ++i) {
        const float u = (static_cast<float>(at.x0 + i) - spot.x) * inverse, uu = u * u, e = uu - 1.0F;
        const float g = along_x[i], gg = g * g;
        even += g * (r2[i] + e * r0[i]), plus += g * (r2[i] - uu * r0[i]), cross += g * 2.0F * u * r1[i];
        even_2 += gg * (s4[i] + 2.0F * e * s2[i] + e * e * s0[i]);
        plus_2 += gg * (s4[i] - 2.0F * uu * s2[i] + uu * uu * s0[i]);
        cross_2 += gg * 4.0F * uu * s2[i];
    }
    const float p = plus_2 > 0 ? plus / __builtin_sqrtf(plus_2) : 0.0F;
    const float c = cross_2 > 0 ? cross / __builtin_sqrtf(cross_2) : 0.0F;
    const float size = __builtin_sqrtf(p * p + c * c);
    // Half the angle of (p, c), by the half-angle formulas.
    const float cosine = size > 0 ? p / size : 1.0F;
    const float half = __builtin_sqrtf(0.5F * (1.0F + cosine) > 0 ? 0.5F * (1.0F + cosine) : 0.0F);
    const float other = __builtin_sqrtf(0.5F * (1.0F - cosine) > 0 ? 0.5F * (1.0F - cosine) : 0.0F);
    return {half, c < 0 ? -other : other, size, even_2 > 0 ? even / __builtin_sqrtf(even_2) : 0.0F};
}

}  // namespace lee::particles
