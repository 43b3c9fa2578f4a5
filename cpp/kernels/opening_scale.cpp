#include "kernels/opening_scale.hpp"

#include <algorithm>
#include <cmath>

#include "common/opening_pixel.hpp"
#include "common/parallel.hpp"

namespace lee {
namespace {

constexpr std::size_t tile = morphology::limit_tile;
constexpr std::size_t few = morphology::limit_few;

// The lower median: an element of the sample, so that no rounding enters.
float median(std::vector<float>& sample) {
    const auto middle = sample.begin() + static_cast<std::ptrdiff_t>((sample.size() - 1) / 2);
    std::nth_element(sample.begin(), middle, sample.end());
    return *middle;
}

double limit_of(std::vector<float>& residue, float factor) {
    const float centre = median(residue);
    for (float& value : residue) value = std::fabs(value - centre);
    return morphology::limit_of(centre, median(residue), factor);
}

}  // namespace

LocalScale::LocalScale(const float* upper, const float* lower, std::size_t height, std::size_t width,
                       float factor, int threads)
    : rows_((height + tile - 1) / tile), columns_((width + tile - 1) / tile), limits_(rows_ * columns_) {
    const auto step = static_cast<std::size_t>(morphology::limit_step(static_cast<double>(height * width)));
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
    // Without any measured pixel there is nothing to remove.
    double overall = INFINITY;
    if (std::any_of(residue.begin(), residue.end(), [](const auto& part) { return part.size() < few; })) {
        std::vector<float> all;
        for (const auto& part : residue) all.insert(all.end(), part.begin(), part.end());
        if (!all.empty()) overall = limit_of(all, factor);
    }
    parallel_for(limits_.size(), threads, [&](std::size_t index, int) {
        limits_[index] = residue[index].size() < few ? overall : limit_of(residue[index], factor);
    });
}

void LocalScale::row(std::size_t y, std::size_t x, std::size_t n, float* limits) const {
    if (limits_.size() == 1) {
        std::fill_n(limits, n, static_cast<float>(limits_[0]));
        return;
    }
    const double place = std::max((static_cast<double>(y) + 0.5) / tile - 0.5, 0.0);
    const std::size_t above = std::min(static_cast<std::size_t>(place), rows_ - 1);
    const double down = place - static_cast<double>(above);
    const double* upper = limits_.data() + above * columns_;
    const double* lower = limits_.data() + std::min(above + 1, rows_ - 1) * columns_;
    const auto at_centre = [&](std::size_t column) {
        return upper[column] + down * (lower[column] - upper[column]);
    };
    // From one tile's centre to the next; level before the first and after the last.
    for (std::size_t begin = x; begin < x + n;) {
        const std::size_t passed = (begin + tile / 2) / tile;
        const std::size_t end = passed < columns_ ? std::min(x + n, passed * tile + tile / 2) : x + n;
        const std::size_t left = passed == 0 ? 0 : passed - 1;
        const double value = at_centre(left);
        const double rise = passed == 0 || passed == columns_ ? 0.0 : at_centre(passed) - value;
        for (std::size_t at = begin; at < end; ++at) {
            limits[at - x] = morphology::limit_between(value, rise, static_cast<std::int32_t>(left),
                                                       static_cast<std::int32_t>(at));
        }
        begin = end;
    }
}

}  // namespace lee
