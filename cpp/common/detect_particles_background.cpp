#include "common/detect_particles_background.hpp"

namespace lee::particles {
namespace {

/// Value at the middle of five of the quadratic fitted to them.
constexpr float quadratic[] = {-3.0F / 35, 12.0F / 35, 17.0F / 35, 12.0F / 35, -3.0F / 35};

void smooth_along(std::vector<float>& values, std::size_t begin, std::size_t step, std::size_t n) {
    if (n < 3) return;
    const auto reach = static_cast<std::ptrdiff_t>(2), last = static_cast<std::ptrdiff_t>(n) - 1;
    const std::vector<float> whole = values;
    // Beyond the ends a straight line goes on.
    const auto at = [&](std::ptrdiff_t k) {
        const auto value = [&](std::ptrdiff_t i) {
            return whole[begin + static_cast<std::size_t>(i) * step];
        };
        if (k < 0) return 2 * value(0) - value(-k);
        if (k > last) return 2 * value(last) - value(2 * last - k);
        return value(k);
    };
    for (std::ptrdiff_t k = 0; k <= last; ++k) {
        float sum = 0;
        for (std::ptrdiff_t i = -reach; i <= reach; ++i) sum += quadratic[i + reach] * at(k + i);
        values[begin + static_cast<std::size_t>(k) * step] = sum;
    }
}

}  // namespace

std::vector<float> smoothed_levels(const Tiles& cells, std::span<const float> levels) {
    std::vector<float> values(levels.begin(), levels.end());
    const std::size_t rows = cells.y.count, columns = cells.x.count;
    for (std::size_t y = 0; y < rows; ++y) smooth_along(values, y * columns, 1, columns);
    for (std::size_t x = 0; x < columns; ++x) smooth_along(values, x, columns, rows);
    return values;
}

}  // namespace lee::particles
