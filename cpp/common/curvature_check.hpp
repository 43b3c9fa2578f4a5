#pragma once

#include <array>
#include <cstddef>

#include "common/check.hpp"

namespace lee::check {

/// Refuse maps that no backend accepts.
template <class Height, class Map, std::size_t N>
void curvature_maps(const char* operation, const Height& height, const std::array<Map, N>& maps,
                    const std::array<const char*, N>& names) {
    not_empty(operation, "height", height);
    for (std::size_t k = 0; k < N; ++k) same_shape(operation, "height", height, names[k], maps[k]);
}

inline constexpr std::array<const char*, 5> derivative_names{"slope_x", "slope_y", "xx", "xy", "yy"};
inline constexpr std::array<const char*, 4> curvature_names{"mean", "gauss", "high", "low"};
inline constexpr std::array<const char*, 6> curvature_sigma_names{"mean", "gauss",      "high",
                                                                  "low",  "mean_sigma", "gauss_sigma"};

}  // namespace lee::check
