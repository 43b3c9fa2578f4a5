#pragma once

// The level of the background in a cell of the difference; the same on every backend.
#include <cstddef>

#include "common/both.hpp"

namespace lee::particles {

/// Where a smaller share of a cell is measured and free of spots, its level counts less.
inline constexpr float enough_pixels = 0.25F;
/// Pixels beyond so many standard deviations of their cell are excluded as spots, in so many rounds.
inline constexpr float level_clip = 2.0F;
inline constexpr int level_rounds = 3;
inline constexpr float level_settled = 0.01F;
/// Pixels of a cell; `weight`: 0 where masked, or null where a masked pixel is NaN.
struct CellPixels {
    const float *left, *weight;
    std::size_t pitch, rows, columns;
};

/// Sums over a cell's pixels within +-limit of a mean, counted from it: of pixels, of their weights, and of
/// weight times value and its square.
struct CellSums {
    float count, weight, value, square;
};

/// Sums of `together` columns from `first` on, added to `all`; compilers keep them in registers.
template <bool has_weight, std::size_t together>
LEE_BOTH void add_columns(const CellPixels& cell, std::size_t first, float mean, float limit, CellSums& all) {
    float count[together] = {}, weights[together] = {}, value[together] = {}, square[together] = {};
    for (std::size_t j = 0; j < cell.rows; ++j) {
        const float* left = cell.left + j * cell.pitch + first;
        const float* weight = has_weight ? cell.weight + j * cell.pitch + first : left;
#if !defined(__CUDACC__)
#pragma GCC unroll 1  // unrolled, GCC no longer vectorises it
#endif
        for (std::size_t i = 0; i < together; ++i) {
            const float off = left[i] - mean, given = has_weight ? weight[i] : 1.0F;
            const bool use = (off <= limit) & (off >= -limit) & (given > 0.0F);
            const float one = use ? 1.0F : 0.0F, r = use ? off : 0.0F, w = one * given;
            count[i] += one, weights[i] += w, value[i] += w * r, square[i] += w * r * r;
        }
    }
    for (std::size_t i = 0; i < together; ++i)
        all.count += count[i], all.weight += weights[i], all.value += value[i], all.square += square[i];
}

template <bool has_weight>
LEE_BOTH CellSums sums_of(const CellPixels& cell, float mean, float limit) {
    constexpr std::size_t together = 16;
    CellSums all{};
    std::size_t first = 0;
    for (; first + together <= cell.columns; first += together)
        add_columns<has_weight, together>(cell, first, mean, limit, all);
    for (; first < cell.columns; ++first) add_columns<has_weight, 1>(cell, first, mean, limit, all);
    return all;
}

/// Mean of a cell's pixels without its spots, weighted where weights are known, as those correlate with the
/// noise. `inside`: clipped_variance(level_clip).
LEE_BOTH float level_of(const CellPixels& cell, float inside) {
    float mean = 0.0F, limit = __builtin_inff(), known = 0.0F;
    for (int round = 0; round <= level_rounds; ++round) {
        const CellSums sums =
            cell.weight != nullptr ? sums_of<true>(cell, mean, limit) : sums_of<false>(cell, mean, limit);
        if (!(sums.weight > 0.0F)) return 0.0F;
        // The limit has settled where it leaves out as many as before, and the mean with it.
        const bool settled = round > 0 && known - sums.count <= level_settled * known &&
                             sums.count - known <= level_settled * known;
        known = sums.count;
        const float moved = sums.value / sums.weight, variance = sums.square / sums.weight - moved * moved;
        mean += moved;
        if (settled) break;
        limit =
            variance > 0.0F ? level_clip * __builtin_sqrtf(round > 0 ? variance / inside : variance) : 0.0F;
    }
    const float enough = enough_pixels * static_cast<float>(cell.rows * cell.columns);
    return known < enough ? mean * known / enough : mean;
}

}  // namespace lee::particles
