#pragma once

// Estimates for each tile of the difference of two frames, on the host for both backends.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/detect_particles_pixel.hpp"

namespace lee::particles {

/// Side of the tiles in which texture and noise are estimated.
inline constexpr std::size_t tile_px = 64;

/// Division of an axis into tiles of about `side_px`, none much smaller than the others.
struct Cuts {
    std::size_t extent, count;
    Cuts(std::size_t extent_px, std::size_t side_px);
    [[nodiscard]] LEE_BOTH std::size_t begin(std::size_t k) const { return k * extent / count; }
    [[nodiscard]] LEE_BOTH std::size_t of(std::size_t at) const { return ((at + 1) * count - 1) / extent; }
    [[nodiscard]] float centre(std::size_t k) const {
        return 0.5F * static_cast<float>(begin(k) + begin(k + 1) - 1);
    }
    /// Of every pixel along the axis. Beyond the outer centres their values hold, or, where `beyond`, the
    /// straight line between the outer two goes on.
    [[nodiscard]] std::vector<Between> between(bool beyond = false) const;
};

struct Tiles {
    Cuts y, x;
    /// The same image in tiles of about another side.
    [[nodiscard]] Tiles of_side(std::size_t side_px) const {
        return {Cuts(y.extent, side_px), Cuts(x.extent, side_px)};
    }
    [[nodiscard]] LEE_BOTH std::size_t size() const { return y.count * x.count; }
};

/// Sums over the pixels of a tile that are not masked. x: the regressors in this order: slopes along x and y,
/// axial change, brightness above the tile's level; d: the difference.
inline constexpr std::size_t regressors = 4, coefficients = regressors + 1;
enum Sum : std::size_t { count, of_x = 1, of_xx = 5, of_d = 15, of_xd = 16, of_dd = 20, sums = 21 };

/// Pixels beyond so many standard deviations are excluded as spots from the estimates of texture and noise.
inline constexpr double noise_clip = 3.0;
/// How often texture and background are estimated in turn: each passes for the other where it is strong.
inline constexpr int texture_rounds = 2;
/// Sampling step of the first estimate, along both axes.
inline constexpr std::size_t start_step = 4;

/// First estimate of a tile.
struct Start {
    float offset, sigma;  ///< of the difference: median, and robust standard deviation
    float level;          ///< mean brightness
};
/// From samples of difference (NaN: masked) and brightness.
Start start_of(std::span<float> difference, std::span<const float> brightness);
/// How many of n samples, those nearest to their median, give the standard deviation.
LEE_BOTH std::uint32_t inner_samples(std::uint32_t n) {
    const std::uint32_t inner = (3 * n + 2) / 4;  // rounded
    return inner > 0 ? inner : 1;
}
/// That deviation, from the sum of squared distances from the median of those, and of all.
LEE_BOTH float start_sigma(double inner_sum, std::uint32_t inner, double whole_sum, std::uint32_t n) {
    // Standard deviation of the middle three quarters, over that of all.
    constexpr double middle_sigma = 0.6072;
    const double sigma = __builtin_sqrt(inner_sum / inner) / middle_sigma;
    // 0 where most differences of whole counts are 0.
    return static_cast<float>(sigma > 0 ? sigma : __builtin_sqrt(whole_sum / n));
}

/// The model of the difference, sum of coefficient times regressor and the last one; and its residual.
struct Fit {
    std::array<float, coefficients> coefficient{};
    float sigma = 0;        ///< standard deviation of the residual
    bool textured = false;  ///< whether more than the offset is subtracted
};
/// `clip`: pixels beyond so many standard deviations were excluded. `known_texture`: whether there is texture
/// is known; without it coefficients that are not significant are 0.
Fit fit_of(std::span<const double, sums> total, const Start& start, double clip, bool known_texture);

/// A value of each coefficient for each tile, with brightness not counted from the tiles' own levels. The
/// constant is of brightness alone: what is the same all over a tile belongs to the background.
std::array<std::vector<float>, coefficients> coefficient_maps(std::span<const Fit> fits,
                                                              std::span<const Start> starts);

/// Sums for the noise: pixels, brightness above the level and its square, residual squared and that times
/// brightness.
enum NoiseSum : std::size_t { noise_count, of_m, of_mm, of_rr, of_rrm, noise_sums };

struct NoiseModel {
    std::vector<Variance> of;  ///< by tile
    double typical = 0;        ///< median standard deviation of tiles, counts
};
/// How often the noise is estimated: at first every pixel is compared with its tile's standard deviation,
/// which excludes too many bright pixels; then with the model before.
inline constexpr int noise_rounds = 3;
/// base, slope and least of each tile.
std::array<std::vector<float>, 3> variance_maps(const NoiseModel& model);
/// Squares of noise_clip standard deviations, by tile.
std::vector<Variance> noise_limits(std::span<const Fit> fits);
std::vector<Variance> noise_limits(const NoiseModel& model);

/// The noise assumed for frames that have none.
NoiseModel noise_of_noiseless(float largest_difference, std::size_t tiles);
/// Brightness that is no more than noise tells nothing of a pixel's own noise, and the same noise is in the
/// difference: a tile's brightness counts as far as it varies by more than that.
NoiseModel noise_of(const Tiles& tiles, std::span<const std::array<double, noise_sums>> totals,
                    std::span<const Start> starts, double clip, float floor);

/// Squares of a unit-variance field by tile: included pixels and the sum of their squares.
struct Squares {
    double count = 0, sum = 0;
};
/// Standard deviation of the field in each tile: of all of them, and of each its own as far as they differ by
/// more than `patch_px` pixels of alike noise explain.
std::vector<float> scale_of(std::span<const Squares> totals, double patch_px, double clip);

/// Share of a unit normal variable's variance within +-clip, over the share of samples there.
double clipped_variance(double clip);

}  // namespace lee::particles
