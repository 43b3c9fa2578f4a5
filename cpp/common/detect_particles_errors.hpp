#pragma once

// Standard deviations of a fitted spot, those of its neighbours included; the same on every backend.
#include "common/detect_particles_cells.hpp"
#include "lee/detect_particles.hpp"

namespace lee::particles {

/// Neighbours whose uncertainty is included, at most: the nearest ones within `overlap` widths.
inline constexpr int joint_spots = 5;
inline constexpr float overlap = 3.5F;
/// A spot is called wide from so many widths of a point on: less is a matter of focus.
inline constexpr float wide_from = 1.2F;

/// Variances of the first spot's y, x and peak when all are fitted together; false where they cannot be
/// estimated.
template <int n>
LEE_BOTH bool joint_variances(const Residuals& image, const Spot* spots, float* out) {
    constexpr int all = 3 * n;
    float matrix[all * (all + 1) / 2] = {};
    const Window at = window_at(image, spots[0].y, spots[0].x, pixels(drawn * spots[0].width));
    float along_y[n][2 * max_reach + 1], along_x[n][2 * max_reach + 1];
    for (int k = 0; k < n; ++k) {
        shape_along(spots[k].y, spots[k].width, at.y0, at.height, along_y[k]);
        shape_along(spots[k].x, spots[k].width, at.x0, at.width, along_x[k]);
    }
    for (int j = 0; j < at.height; ++j) {
        for (int i = 0; i < at.width; ++i) {
            const float w = image.weight[static_cast<std::size_t>(at.y0 + j) * image.pitch +
                                         static_cast<std::size_t>(at.x0 + i)];
            float slope[all];
            for (int k = 0; k < n; ++k) {
                const float g = along_y[k][j] * along_x[k][i];
                const float turn = spots[k].peak * g / (spots[k].width * spots[k].width);
                slope[3 * k] = (static_cast<float>(at.y0 + j) - spots[k].y) * turn;
                slope[3 * k + 1] = (static_cast<float>(at.x0 + i) - spots[k].x) * turn;
                slope[3 * k + 2] = g;
            }
            for (int p = 0; p < all; ++p) {
                for (int q = 0; q <= p; ++q) matrix[p * (p + 1) / 2 + q] += w * slope[p] * slope[q];
            }
        }
    }
    for (int p = 0; p < all; ++p) matrix[p * (p + 1) / 2 + p] *= 1.0F + 1e-5F;
    for (int wanted = 0; wanted < 3; ++wanted) {
        float a[all * (all + 1) / 2], b[all] = {};
        for (int p = 0; p < all * (all + 1) / 2; ++p) a[p] = matrix[p];
        b[wanted] = 1.0F;
        if (!solve<all>(a, b) || !(b[wanted] > 0)) return false;
        out[wanted] = b[wanted];
    }
    return true;
}

LEE_BOTH bool variances(const Residuals& image, const Spot* spots, int count, float* out) {
    switch (count) {
        case 1:
            return joint_variances<1>(image, spots, out);
        case 2:
            return joint_variances<2>(image, spots, out);
        case 3:
            return joint_variances<3>(image, spots, out);
        case 4:
            return joint_variances<4>(image, spots, out);
        default:
            return joint_variances<joint_spots>(image, spots, out);
    }
}

/// A spot as it is reported.
LEE_BOTH Particle report(const Residuals& image, const Grid& grid, const Cell* cells, int index,
                         const Emitter& one, const Deviation& deviation, float point) {
    Spot spots[joint_spots] = {one.spot};
    float apart[joint_spots] = {};
    int count = 1;
    for_each_near(grid, cells, index, [&](const Emitter& other) {
        const float distance = squared_distance(one.spot, other.spot);
        if (same(one.spot, other.spot) || distance > overlap * overlap * point * point) return;
        if (count == joint_spots && !(distance < apart[count - 1])) return;
        int at = count < joint_spots ? count++ : count - 1;
        for (; at > 1 && distance < apart[at - 1]; --at) {
            spots[at] = spots[at - 1];
            apart[at] = apart[at - 1];
        }
        spots[at] = other.spot;
        apart[at] = distance;
    });
    const float noise = deviation(one.spot.y, one.spot.x), nan = __builtin_nanf("");
    float variance[3];
    const bool known = variances(image, spots, count, variance);
    float sigma[3];
    for (int k = 0; k < 3; ++k) sigma[k] = known ? noise * __builtin_sqrtf(variance[k]) : nan;
    const float cut = 2.0F * one.spot.width;
    const bool edge = one.spot.y < cut || one.spot.x < cut ||
                      one.spot.y > static_cast<float>(image.rows - 1) - cut ||
                      one.spot.x > static_cast<float>(image.columns - 1) - cut;
    const Window seen = window_at(image, one.spot.y, one.spot.x, pixels(1.5F * one.spot.width));
    bool masked = false;
    for (int j = 0; j < seen.height; ++j) {
        for (int i = 0; i < seen.width; ++i) {
            masked = masked || !(image.weight[static_cast<std::size_t>(seen.y0 + j) * image.pitch +
                                              static_cast<std::size_t>(seen.x0 + i)] > 0);
        }
    }
    const int flags = (count > 1 ? particle_crowded : 0) | (edge ? particle_edge : 0) |
                      (masked ? particle_masked : 0) |
                      (one.spot.width > wide_from * point ? particle_wide : 0);
    return {one.spot.y, one.spot.x, one.spot.peak, one.spot.width,           sigma[0],
            sigma[1],   sigma[2],   one.snr,       static_cast<float>(flags)};
}

/// Whether a particle's centre is on a pixel that is not masked.
LEE_BOTH bool is_on_measured(const Residuals& image, const Particle& one) {
    const int y = nearest(one.y_px), x = nearest(one.x_px);
    return y >= 0 && x >= 0 && y < image.rows && x < image.columns &&
           image.weight[static_cast<std::size_t>(y) * image.pitch + static_cast<std::size_t>(x)] > 0;
}

}  // namespace lee::particles
