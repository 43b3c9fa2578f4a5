#pragma once

// Per-pixel arithmetic of the opening, the same on every backend.
#include <cstdint>

#include "common/both.hpp"
#include "common/floats.hpp"

namespace lee::morphology {

/// Key of what is not measured: above every height's.
inline constexpr std::int32_t absent = INT32_MAX;

/// flip: 0 for minima, -1 for maxima
LEE_BOTH std::int32_t key_of(float height, std::int32_t flip) {
    const auto bits = static_cast<std::int32_t>(bits_of(height));
    return (bits & 0x7f800000) != 0x7f800000 ? ordered(bits) ^ flip : absent;
}

LEE_BOTH float height_of(std::int32_t key, std::int32_t flip) {
    return float_of(static_cast<std::uint32_t>(ordered(key ^ flip)));
}

/// The opened height where there is one, else the height itself.
LEE_BOTH float measured(float height, float opened) {
    return finite(height) & finite(opened) ? opened : height;
}

LEE_BOTH bool is_peak(float height, float opened, float limit) {
    return finite(height) & (height - opened > limit);
}

struct Settled {
    float height;
    std::int8_t removed;
};

/// A pixel after the second step. before: what the first step left, and marked `removed`.
LEE_BOTH Settled settle(float height, float closed, float pit_limit, float peak_limit, float before,
                        std::int8_t removed) {
    if (!(finite(height) & (closed - before > pit_limit))) return {before, removed};
    const bool high = height - closed > peak_limit;
    const bool low = closed - height > pit_limit;
    return {high | low ? closed : height, static_cast<std::int8_t>(high ? 1 : low ? -1 : 0)};
}

// The automatic limit: one value a tile, interpolated between the tiles' centres.
inline constexpr std::int32_t limit_tile = 128;
/// Tiles with fewer samples take the value of the whole image.
inline constexpr std::uint32_t limit_few = 16;

/// Sampling step along rows and columns.
LEE_BOTH std::int32_t limit_step(double pixels) {
    return pixels > 65536.0 ? 4 : 1;
}

/// From the median of the residue, and the median of its distance from that.
LEE_BOTH double limit_of(float median, float deviation, float factor) {
    return static_cast<double>(median) +
           static_cast<double>(factor) * 1.4826 * static_cast<double>(deviation);
}

/// Limit at column x between tile `left`, whose limit is `value`, and the next, whose limit is `rise` higher.
LEE_BOTH float limit_between(double value, double rise, std::int32_t left, std::int32_t x) {
    const double centre = static_cast<double>(left) * limit_tile + 0.5 * (limit_tile - 1);
    return static_cast<float>(value + (static_cast<double>(x) - centre) / limit_tile * rise);
}

}  // namespace lee::morphology
