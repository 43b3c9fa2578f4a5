#pragma once

// Shift of an image along one axis: an eight-point sinc under a Kaiser window, whole pixels exactly.

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "common/detect_particles_pixel.hpp"

namespace lee::particles {

/// Whether a pixel of a frame is masked, and why; where two pixels are combined, the larger wins.
inline constexpr std::uint8_t not_masked = 0, mask_missing = 1, mask_saturated = 2;

/// out[i] = sum over k of weights[k] in[i + first + k], k in [0, taps).
struct Shift {
    explicit Shift(double shift_px);

    std::ptrdiff_t first = 0;
    int taps = 1;
    std::array<float, shift_taps> weights{};
    std::ptrdiff_t low = 0, high = 0;  ///< the nearest pixels to both sides of the source, from i

    /// Whether i's source is in [0, n - 1].
    [[nodiscard]] bool covers(std::ptrdiff_t i, std::ptrdiff_t n) const {
        return i + low >= 0 && i + high < n;
    }
    /// Pixels whose source does: [begin, end).
    [[nodiscard]] std::pair<std::ptrdiff_t, std::ptrdiff_t> inside(std::ptrdiff_t n) const;
    /// Both nearest pixels, inside the image.
    [[nodiscard]] std::pair<std::ptrdiff_t, std::ptrdiff_t> nearest(std::ptrdiff_t i, std::ptrdiff_t n) const;
};

}  // namespace lee::particles
