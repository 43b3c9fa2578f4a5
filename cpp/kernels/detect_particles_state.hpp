#pragma once

// A pair of frames on its way to the list of particles.

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "common/aligned.hpp"
#include "common/detect_particles_background.hpp"
#include "common/detect_particles_tail.hpp"
#include "common/detect_particles_tiles.hpp"
#include "kernels/simd/detect_particles.hpp"
#include "lee/detect_particles.hpp"

namespace lee::particles {

/// An image whose rows can be read a little beyond their ends, and one row beyond the first and the last.
class Padded {
  public:
    Padded() = default;
    Padded(std::size_t rows, std::size_t columns)
        : columns_(columns),
          pitch_((columns + 15) / 16 * 16 + 2 * margin),
          data_(aligned_array<float>((rows + 2) * pitch_)),
          size_((rows + 2) * pitch_) {}
    [[nodiscard]] float* row(std::size_t y) const { return data_.get() + (y + 1) * pitch_ + margin; }
    [[nodiscard]] float* row_before(std::size_t y) const { return row(y) - pitch_; }
    [[nodiscard]] float* row_after(std::size_t y) const { return row(y) + pitch_; }
    [[nodiscard]] explicit operator bool() const { return static_cast<bool>(data_); }
    [[nodiscard]] std::size_t pitch() const { return pitch_; }
    /// Set to zero what is beyond the image.
    void clear_around() const {
        const std::size_t rows = size_ / pitch_ - 2;
        std::fill_n(data_.get(), pitch_ + margin, 0.0F);
        for (std::size_t y = 0; y < rows; ++y) std::fill_n(row(y) + columns_, pitch_ - columns_, 0.0F);
        std::fill_n(row(rows), pitch_ - margin, 0.0F);
    }

  private:
    static constexpr std::size_t margin = 16;
    std::size_t columns_ = 0, pitch_ = 0;
    AlignedArray<float> data_;
    std::size_t size_ = 0;
};

/// Values of tiles, interpolated at the rows of an image.
struct Ramps {
    Ramps(const Tiles& of, bool beyond);
    void row(const simd::DetectParticlesLoops& loops, const float* tile_values, std::size_t y,
             float* out) const;
    /// Add a row of them, times `times`.
    void add_row(const simd::DetectParticlesLoops& loops, const float* tile_values, float times,
                 std::size_t y, float* out) const;

    std::size_t tile_columns;
    std::vector<Between> of_y, of_x;
    std::vector<std::pair<std::size_t, std::size_t>> stretches;  ///< columns between the same two tiles
    std::vector<float> shares;                                   ///< of `of_x`

  private:
    template <class Use>
    void each_stretch(const float* tile_values, std::size_t y, const Use& use) const;
};

struct State {
    State(std::size_t rows_px, std::size_t columns_px, const DetectParticlesParams& given);

    const DetectParticlesParams& params;
    const simd::DetectParticlesLoops& loops;
    std::size_t rows, columns;
    Tiles tiles;
    Ramps ramps;      ///< between the tiles
    float floor = 0;  ///< least variance of a pixel's difference

    Padded left;       ///< the difference; then without texture; then without the spots found so far
    Padded reference;  ///< the frame without the particles: `before`, aligned, or, where particles disappear,
                       ///< `after`; like `brightness` given away where it is not textured
    Padded brightness;  ///< the same, smoothed
    Padded axial;       ///< change of `before` with height, smoothed; may be absent
    Padded weight;      ///< 1 / variance, 0 where masked
    Padded snr;         ///< output of the matched filter, over its standard deviation for white noise
    Padded texture;  ///< variance of `snr` over that of white noise, where texture raises it; may be absent
    Background background;       ///< what has been subtracted from `left`
    std::vector<char> textured;  ///< by tile: whether anything was taken from the difference
    std::vector<float> scale;    ///< standard deviation of `snr` by tile, without the texture's part
    std::vector<float> slope;    ///< of a pixel's variance over brightness, by tile

    DetectedParticles found;

    /// Pixels that are not masked.
    [[nodiscard]] std::size_t area() const { return rows * columns - found.not_measured - found.saturated; }
    /// Standard deviation of `snr`.
    [[nodiscard]] Deviation deviation() const;
};

/// Whether texture was taken from the difference anywhere.
inline bool is_textured(const State& state) {
    return std::ranges::any_of(state.textured, [](char yes) { return yes != 0; });
}

/// left, brightness, axial; counts the masked pixels.
template <class Pixel>
void take_difference(State& state, HostView<const Pixel, 2> before, HostView<const Pixel, 2> after,
                     HostView<const float, 2> axial);

/// Subtract texture and background from `left`, and weigh it by its noise.
void free_of_texture(State& state);

/// Subtract the background from `left`, or what is left of it.
void flatten_once(State& state);
/// Put back all that has been subtracted as background, and subtract it in cells for spots of a width.
void flatten_anew(State& state, double sigma_px);

/// snr, texture and scale for a spot's width.
void filter(State& state, double sigma_px);

/// How the noise of pixels is distributed.
NoiseTail tail_of(const State& state);

struct Candidate {
    std::size_t y, x;
};
/// Maxima of snr above `threshold` deviations, by rows, then columns.
std::vector<Candidate> maxima(const State& state, float threshold);

/// The width of a point's image, from the brightest spots; 0 where there are too few. `count`: how many.
double spot_sigma(const State& state, double begin_px, std::size_t& count);

/// Fit spots to all candidates; `left` becomes the residual.
void fit_spots(State& state, double sigma_px, const Limits& limits);

}  // namespace lee::particles
