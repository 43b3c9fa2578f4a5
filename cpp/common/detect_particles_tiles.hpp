#pragma once

// What is decided tile by tile about the difference of two frames, on the host for both backends.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/detect_particles_pixel.hpp"

namespace lee::particles {

/// How an axis is cut into tiles of about 64 px, none much smaller than the others.
struct Cuts {
    std::size_t extent, count;
    explicit Cuts(std::size_t extent_px);
    [[nodiscard]] LEE_BOTH std::size_t begin(std::size_t k) const { return k * extent / count; }
    [[nodiscard]] LEE_BOTH std::size_t of(std::size_t at) const { return ((at + 1) * count - 1) / extent; }
    [[nodiscard]] float centre(std::size_t k) const {
        return 0.5F * static_cast<float>(begin(k) + begin(k + 1) - 1);
    }
    [[nodiscard]] std::vector<Between> between() const;  ///< of every pixel along the axis
};

struct Tiles {
    Cuts y, x;
    [[nodiscard]] LEE_BOTH std::size_t size() const { return y.count * x.count; }
};

/// Sums over the pixels of a tile that take part. x: what the difference is freed from, in this order: slopes
/// along x and y, axial change, brightness above the tile's level; d: the difference.
inline constexpr std::size_t regressors = 4, coefficients = regressors + 1;
enum Sum : std::size_t { count, of_x = 1, of_xx = 5, of_d = 15, of_xd = 16, of_dd = 20, sums = 21 };

/// Pixels farther out than so many standard deviations are spots, or will be: first from a rough start.
inline constexpr double start_clip = 4.0, noise_clip = 3.0;
/// A tile is begun with every so many pixels, along both axes.
inline constexpr std::size_t start_step = 4;

/// What a tile is begun with.
struct Start {
    float offset, sigma;  ///< of the difference: median, and robust standard deviation
    float level;          ///< mean brightness
};
/// From samples of difference (NaN: takes no part) and brightness.
Start start_of(std::span<float> difference, std::span<const float> brightness);
/// How many of n samples, those nearest to their median, tell the standard deviation.
LEE_BOTH std::uint32_t inner_samples(std::uint32_t n) {
    const std::uint32_t inner = (3 * n + 2) / 4;  // rounded
    return inner > 0 ? inner : 1;
}
/// That deviation, from the sum of squared distances from the median of those, and of all.
LEE_BOTH float start_sigma(double inner_sum, std::uint32_t inner, double whole_sum, std::uint32_t n) {
    // So much smaller is the deviation of the middle three quarters.
    constexpr double middle_sigma = 0.6072;
    const double sigma = __builtin_sqrt(inner_sum / inner) / middle_sigma;
    // Where most differences of whole counts are none.
    return static_cast<float>(sigma > 0 ? sigma : __builtin_sqrt(whole_sum / n));
}

/// What is taken from the difference, sum of coefficient times regressor and the last one; and what is left.
struct Fit {
    std::array<float, coefficients> coefficient{};
    float sigma = 0;           ///< standard deviation of what is left
    bool significant = false;  ///< whether anything but the offset is taken
};
/// `clip`: pixels farther than so many standard deviations took no part.
Fit fit_of(std::span<const double, sums> total, const Start& start, double clip);

/// A value of each coefficient for each tile, with brightness not counted from the tiles' own levels.
std::array<std::vector<float>, coefficients> coefficient_maps(std::span<const Fit> fits,
                                                              std::span<const Start> starts);

/// Sums for the noise: pixels, brightness above the level and its square, residual squared and that times
/// brightness.
enum NoiseSum : std::size_t { noise_count, of_m, of_mm, of_rr, of_rrm, noise_sums };

struct NoiseModel {
    Variance of{};
    std::vector<float> factor;  ///< of the variance, by tile
    double typical = 0;         ///< median standard deviation of tiles, counts
};
/// How often the noise is estimated: at first every pixel of a tile is held against the tile's own standard
/// deviation, which cuts bright pixels' noise short; then against the model before.
inline constexpr int noise_rounds = 3;
/// Squares of what lies noise_clip standard deviations off, by tile.
std::vector<Variance> noise_limits(std::span<const Fit> fits);
std::vector<Variance> noise_limits(const NoiseModel& model);

/// What stands in for the noise of frames that have none.
inline double noise_of_noiseless(float largest_difference) {
    return 1e-3 * static_cast<double>(largest_difference);
}
NoiseModel noise_of(const Tiles& tiles, std::span<const std::array<double, noise_sums>> totals,
                    std::span<const Start> starts, double clip, float floor);

/// Squares of a unit-variance field by tile: pixels that took part and the sum of their squares.
struct Squares {
    double count = 0, sum = 0;
};
/// Standard deviation of the field in each tile: of all of them, and of each its own as far as they differ by
/// more than `patch_px` pixels of alike noise explain.
std::vector<float> scale_of(std::span<const Squares> totals, double patch_px, double clip);

/// Share of a unit normal variable's variance that lies within +-clip, over the share of samples there.
double clipped_variance(double clip);

}  // namespace lee::particles
