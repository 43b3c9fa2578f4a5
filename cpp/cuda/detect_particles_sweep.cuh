#pragma once

// A step of a cell's spots by a warp: lanes take pixels and columns together, and add up in the order in
// which one thread would.

#include "common/detect_particles_limits.hpp"
#include "cuda/detect_particles_cells.cuh"

namespace lee::particles::on_device {

inline constexpr int max_columns = 2 * max_reach + 1, max_terms = 9;

/// Values that the lanes of a warp share.
struct WarpShared {
    float old_y[max_columns], old_x[max_columns], next_y[max_columns], next_x[max_columns];
    float terms[max_terms][max_columns];
    float sums[max_terms];
};

/// shape_along by a warp, which must synchronise before it is read.
__device__ inline void shape_together(float centre, float width, int first, int n, float* out) {
    for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(lanes))
        shape_along(centre, width, first + i, 1, out + i);
}

/// normal_of by a warp; all lanes get the sums.
__device__ inline Normal normal_together(const Residuals& image, const Spot& spot, WarpShared& shared) {
    const Window at = window_at(image, spot.y, spot.x, pixels(fitted * spot.width));
    const auto lane = static_cast<int>(threadIdx.x);
    shape_together(spot.y, spot.width, at.y0, at.height, shared.old_y);
    shape_together(spot.x, spot.width, at.x0, at.width, shared.old_x);
    __syncwarp();
    const float turn = spot.peak / (spot.width * spot.width);
    for (int i = lane; i < at.width; i += static_cast<int>(lanes)) {
        float s = 0.0F, sv = 0.0F, svv = 0.0F, r = 0.0F, rv = 0.0F;
        for (int j = 0; j < at.height; ++j) {
            const std::size_t pixel =
                static_cast<std::size_t>(at.y0 + j) * image.pitch + static_cast<std::size_t>(at.x0 + i);
            const float g = shared.old_y[j], gg = g * g;
            const float v = (static_cast<float>(at.y0 + j) - spot.y) * turn;
            const float w = image.weight[pixel], wg = w * gg, wr = w * g * image.left[pixel];
            s += wg, sv += wg * v, svv += wg * v * v;
            r += wr, rv += wr * v;
        }
        const float g = shared.old_x[i], gg = g * g;
        const float u = (static_cast<float>(at.x0 + i) - spot.x) * turn;
        const float terms[max_terms] = {gg * s,         gg * sv, gg * s * u, gg * svv, gg * sv * u,
                                        gg * s * u * u, g * r,   g * rv,     g * r * u};
        for (int k = 0; k < max_terms; ++k) shared.terms[k][i] = terms[k];
    }
    __syncwarp();
    if (lane < max_terms) {
        float sum = 0.0F;
        for (int i = 0; i < at.width; ++i) sum += shared.terms[lane][i];
        shared.sums[lane] = sum;
    }
    __syncwarp();
    const float* sum = shared.sums;
    const Normal out{sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6], sum[7], sum[8]};
    __syncwarp();
    return out;
}

/// redraw by a warp.
__device__ inline void redraw_together(const Residuals& image, const Spot& old, const Spot& next, float point,
                                       WarpShared& shared) {
    const float wide = old.width > next.width ? old.width : next.width;
    const float far = drawn * wide, most = drawn_widest * point;
    const Window at = window_at(image, next.y, next.x, pixels(far < most ? far : most));
    shape_together(old.y, old.width, at.y0, at.height, shared.old_y);
    shape_together(old.x, old.width, at.x0, at.width, shared.old_x);
    shape_together(next.y, next.width, at.y0, at.height, shared.next_y);
    shape_together(next.x, next.width, at.x0, at.width, shared.next_x);
    __syncwarp();
    for (int k = static_cast<int>(threadIdx.x); k < at.height * at.width; k += static_cast<int>(lanes)) {
        const int j = k / at.width, i = k % at.width;
        const std::size_t pixel =
            static_cast<std::size_t>(at.y0 + j) * image.pitch + static_cast<std::size_t>(at.x0 + i);
        const float removed = old.peak * shared.old_y[j], added = next.peak * shared.next_y[j];
        image.left[pixel] += removed * shared.old_x[i] - added * shared.next_x[i];
    }
    __syncwarp();
}

/// sweep_cell by a block that is one warp.
__device__ inline bool sweep_together(const Scene& scene, Cell& cell, int index) {
    __shared__ WarpShared shared;
    const Home home(scene.grid, index, scene.point);
    bool moved = false;
    for (int k = 0; k < cell.count; ++k) {
        const Spot spot = cell.emitters[k].spot;
        Spot next = spot;
        if (!step(normal_together(scene.image, spot, shared), next)) continue;
        home.keep(next);
        redraw_together(scene.image, spot, next, scene.point, shared);
        moved = moved || has_moved(spot, next, sweep_tolerance);
        if (threadIdx.x == 0) cell.emitters[k].spot = next;
    }
    return moved;
}

}  // namespace lee::particles::on_device
