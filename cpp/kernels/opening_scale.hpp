#pragma once

#include <cstddef>
#include <vector>

namespace lee {

/// Threshold of outliers, pixel by pixel: one value, or median + factor * 1.4826 MAD of upper - lower, tile
/// by tile and interpolated between the tiles' centres.
class LocalScale {
  public:
    explicit LocalScale(float everywhere) : rows_(1), columns_(1), limits_{everywhere} {}

    /// Tiles have 128 by 128 pixels; those with fewer than 16 samples take the value of the whole image.
    /// Samples are every fourth pixel of every fourth row where the image has more than 65536 pixels.
    LocalScale(const float* upper, const float* lower, std::size_t height, std::size_t width, float factor,
               int threads);

    /// Limits of pixels [x, x + n) of row y.
    void row(std::size_t y, std::size_t x, std::size_t n, float* limits) const;

  private:
    std::size_t rows_;
    std::size_t columns_;
    std::vector<double> limits_;  // one a tile
};

}  // namespace lee
