#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "common/footprint_runs.hpp"

namespace lee {

/// No row handed over is longer.
inline constexpr std::size_t widest_strip = 512;

/// Write pixels [x, x + n) of row y of the input as keys.
using ReadKeys = std::function<void(std::size_t y, std::size_t x, std::size_t n, std::int32_t* keys)>;
/// Take pixels [x, x + n) of row y of the result.
using TakeKeys = std::function<void(std::size_t y, std::size_t x, std::size_t n, const std::int32_t* keys)>;

/// Least key over p + s, s in the footprint, at every pixel p of an (H, W) image; INT32_MAX where there is
/// none.
///
/// Both functions are called from several threads; each output pixel is taken once, in no given order.
void footprint_minimum(const FootprintRuns& footprint, std::size_t height, std::size_t width,
                       const ReadKeys& read, const TakeKeys& take, int threads);

}  // namespace lee
