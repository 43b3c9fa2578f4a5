#pragma once

// Arguments that both backends refuse, and how they prepare footprints.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "common/adaptive_variance_pixel.hpp"
#include "common/check.hpp"
#include "common/footprint_runs.hpp"
#include "lee/adaptive_variance.hpp"

namespace lee::variance {

inline constexpr const char* operation = "adaptive_variance";

template <class Stack, class Focus, class Window>
void check_all(const Stack& stack, const Focus& focus, const Window& window, std::size_t footprints,
               const AdaptiveVarianceParams& params) {
    check::not_empty(operation, "stack", stack);
    check::same_shape(operation, "stack", stack, "focus", focus);
    const auto [planes, rows, columns] = stack.shape;
    check::same_shape(operation, "a plane", HostView<const float, 2>{nullptr, {rows, columns}}, "window",
                      window);
    check::that(footprints >= 1 && footprints <= 255, operation,
                std::to_string(footprints) + " footprints given; give 1 to 255");
    check::that(params.detail_px == 0 || (params.detail_px >= 3 && params.detail_px % 2 == 1), operation,
                "detail_px is " + std::to_string(params.detail_px) + "; give 0, or an odd number >= 3");
    check::that(!(params.noise < 0), operation,
                "noise is " + std::to_string(params.noise) + "; give a number >= 0, or NaN for automatic");
    check::that(params.significance >= 0, operation,
                "significance is " + std::to_string(params.significance) + "; give a number >= 0");
}

struct Windows {
    std::vector<FootprintRuns> footprints;
    std::vector<std::size_t> areas;  // of the whole masks, px
    FootprintRuns square;            // with detail_px

    /// Whether sums of 8-bit pixels fit 32 bits.
    [[nodiscard]] bool whole() const {
        return std::all_of(areas.begin(), areas.end(),
                           [](std::size_t area) { return area <= max_whole_area; });
    }
};

inline Windows windows_of(std::span<const Footprint> footprints, std::size_t detail_px, std::size_t rows,
                          std::size_t columns) {
    Windows windows;
    for (const Footprint& footprint : footprints) {
        windows.footprints.push_back(footprint_runs(operation, footprint, rows, columns, false));
        const auto& mask = footprint.mask;
        windows.areas.push_back(static_cast<std::size_t>(
            std::count_if(mask.data, mask.data + mask.size(), [](std::uint8_t set) { return set != 0; })));
    }
    if (detail_px != 0) {
        const std::vector<std::uint8_t> ones(detail_px * detail_px, 1);
        const Footprint square{.mask = {ones.data(), {detail_px, detail_px}},
                               .centre_y = detail_px / 2,
                               .centre_x = detail_px / 2};
        windows.square = footprint_runs(operation, square, rows, columns, false);
    }
    return windows;
}

/// The two factors of a footprint's limit.
struct Limit {
    double own, excess;
};

inline Limit limit_for(std::size_t area, const AdaptiveVarianceParams& params) {
    const auto pixels = static_cast<double>(area);
    const auto side = static_cast<double>(params.detail_px);
    return {params.detail_px != 0 ? 1.0 / (side * side) : 1.0 / pixels,
            1.0 + static_cast<double>(params.significance) * std::sqrt(2.0 / pixels)};
}

/// Samples of the noise: every `planes`th plane, and pixels `step` apart.
struct NoiseGrid {
    std::size_t planes, step, of_planes, down, across;
};

inline NoiseGrid noise_grid(std::size_t planes, std::size_t rows, std::size_t columns) {
    if (rows < 3 || columns < 3) return {1, 1, 0, 0, 0};
    const auto inner = static_cast<double>((rows - 2) * (columns - 2));
    const auto step =
        static_cast<std::size_t>(std::max(1.0, std::ceil(std::sqrt(inner) / noise_pixels_along)));
    const std::size_t every = (planes + noise_planes - 1) / noise_planes;
    return {every, step, (planes + every - 1) / every, (rows - 2 + step - 1) / step,
            (columns - 2 + step - 1) / step};
}

}  // namespace lee::variance
