#include "kernels/opening_scale.hpp"

#include <algorithm>
#include <cmath>

#include "common/parallel.hpp"

namespace lee {
namespace {

constexpr std::size_t tile = 128;
constexpr std::size_t few = 16;

// The lower median: an element of the sample, so that no rounding enters.
float median(std::vector<float>& sample) {
    const auto middle = sample.begin() + static_cast<std::ptrdiff_t>((sample.size() - 1) / 2);
    std::nth_element(sample.begin(), middle, sample.end());
    return *middle;
}

double limit_of(std::vector<float>& residue, float factor) {
    const float centre = median(residue);
    for (float& value : residue) value = std::fabs(value - centre);
    return static_cast<double>(centre) + static_cast<double>(factor) * 1.4826 * static_cast<double>(median(residue));
}

// Where pixel `at` lies between tile centres: the tile before it, and the weight of the one after.
struct Between {
    std::size_t tile;
    double weight;
};

Between between(std::size_t at, std::size_t tiles) {
    const double place = (static_cast<double>(at) + 0.5) / static_cast<double>(tile) - 0.5;
    if (place <= 0.0 || tiles == 1) return {0, 0.0};
    const auto before = std::min(static_cast<std::size_t>(place), tiles - 2);
    return {before, std::min(place - static_cast<double>(before), 1.0)};
}

}  // namespace

LocalScale::LocalScale(const float* upper, const float* lower, std::size_t height, std::size_t width, float factor,
                       int threads)
    : rows_((height + tile - 1) / tile), columns_((width + tile - 1) / tile), limits_(rows_ * columns_) {
    const std::size_t step = height * width > 65536 ? 4 : 1;
    std::vector<std::vector<float>> residue(limits_.size());
    parallel_for(limits_.size(), threads, [&](std::size_t index, int) {
        const std::size_t top = index / columns_ * tile;
        const std::size_t left = index % columns_ * tile;
        for (std::size_t y = top; y < std::min(top + tile, height); y += step) {
            for (std::size_t x = left; x < std::min(left + tile, width); x += step) {
                const float value = upper[y * width + x] - lower[y * width + x];
                if (std::isfinite(value)) residue[index].push_back(value);
            }
        }
    });
    std::vector<float> all;
    for (const auto& part : residue) all.insert(all.end(), part.begin(), part.end());
    // Without any measured pixel there is nothing to remove.
    const double overall = all.empty() ? INFINITY : limit_of(all, factor);
    parallel_for(limits_.size(), threads, [&](std::size_t index, int) {
        limits_[index] = residue[index].size() < few ? overall : limit_of(residue[index], factor);
    });
}

void LocalScale::row(std::size_t y, std::size_t x, std::size_t n, float* limits) const {
    if (limits_.size() == 1) {
        std::fill_n(limits, n, static_cast<float>(limits_[0]));
        return;
    }
    const auto [above, down] = between(y, rows_);
    const std::size_t below = std::min(above + 1, rows_ - 1);
    const auto mix = [](double a, double b, double weight) { return a + weight * (b - a); };
    for (std::size_t i = 0; i < n; ++i) {
        const auto [left, across] = between(x + i, columns_);
        const std::size_t right = std::min(left + 1, columns_ - 1);
        const double upper = mix(limits_[above * columns_ + left], limits_[above * columns_ + right], across);
        const double lower = mix(limits_[below * columns_ + left], limits_[below * columns_ + right], across);
        limits[i] = static_cast<float>(mix(upper, lower, down));
    }
}

}  // namespace lee
