#include "kernels/adaptive_variance_noise.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/parallel.hpp"

namespace lee {
namespace {

constexpr std::size_t planes_looked_at = 16;
constexpr double pixels_along = 128.0;
constexpr double median_of_chi_squared = 0.45493642311957283;

std::size_t step_of(std::size_t pixels) {
    return static_cast<std::size_t>(
        std::max(1.0, std::ceil(std::sqrt(static_cast<double>(pixels)) / pixels_along)));
}

// r^2 / (36 m) of the 3 by 3 pixels around `pixel`; -1 where there is none.
template <class Pixel>
double sample(const Pixel* pixel, std::size_t columns) {
    const auto at = [&](std::ptrdiff_t dy, std::ptrdiff_t dx) {
        return static_cast<double>(pixel[dy * static_cast<std::ptrdiff_t>(columns) + dx]);
    };
    const double corners = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1);
    const double sides = at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1);
    const double response = corners - 2.0 * sides + 4.0 * at(0, 0);
    const double mean = (corners + sides + at(0, 0)) / 9.0;
    return std::isfinite(mean) && mean > 0.0 ? response * response / (36.0 * mean) : -1.0;
}

}  // namespace

template <class Pixel>
float noise_of(HostView<const Pixel, 3> stack, int threads) {
    const auto [planes, rows, columns] = stack.shape;
    if (rows < 3 || columns < 3) return 0.0F;
    const std::size_t plane_step = (planes + planes_looked_at - 1) / planes_looked_at;
    const std::size_t step = step_of((rows - 2) * (columns - 2));
    std::vector<std::vector<double>> found((planes + plane_step - 1) / plane_step);
    parallel_for(found.size(), threads, [&](std::size_t index, int) {
        const Pixel* plane = stack.data + index * plane_step * rows * columns;
        for (std::size_t y = 1; y + 1 < rows; y += step) {
            for (std::size_t x = 1; x + 1 < columns; x += step) {
                const double value = sample(plane + y * columns + x, columns);
                if (value >= 0.0) found[index].push_back(value);
            }
        }
    });
    std::vector<double> all;
    for (const auto& part : found) all.insert(all.end(), part.begin(), part.end());
    if (all.empty()) return 0.0F;
    // The lower median, an element of the sample.
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>((all.size() - 1) / 2);
    std::nth_element(all.begin(), middle, all.end());
    return static_cast<float>(*middle / median_of_chi_squared);
}

template float noise_of(HostView<const std::uint8_t, 3>, int);
template float noise_of(HostView<const std::uint16_t, 3>, int);
template float noise_of(HostView<const float, 3>, int);

}  // namespace lee
