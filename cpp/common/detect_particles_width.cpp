#include "common/detect_particles_width.hpp"

#include <algorithm>
#include <cmath>

namespace lee::particles {

namespace {

/// Mean width of the narrowest spot and those no wider than errors and focus explain: blends are wider.
double narrowest(const std::vector<WidthOf>& widths, std::size_t& count) {
    const WidthOf* least = nullptr;
    for (const WidthOf& one : widths) {
        if (one.px > 0 && (least == nullptr || one.px < least->px)) least = &one;
    }
    count = 0;
    if (least == nullptr) return 0;
    double sum = 0, weights = 0;
    for (const WidthOf& one : widths) {
        if (!(one.px > 0)) continue;
        const float error = std::sqrt(one.sigma * one.sigma + least->sigma * least->sigma);
        if (one.px > (1 + alike) * least->px + 3 * error) continue;
        const double weight = 1 / (double{one.sigma} * one.sigma);
        sum += weight * one.px, weights += weight;
        ++count;
    }
    return sum / weights;
}

}  // namespace

double common_width(const std::vector<WidthOf>& widths, double expected_px, std::size_t& count) {
    std::vector<float> known;
    for (const WidthOf& one : widths) {
        if (one.px > 0) known.push_back(one.px);
    }
    count = known.size();
    if (known.size() < min_widths) {
        const double width = narrowest(widths, count);
        if (width >= expected_px) return width;
        count = 0;
        return 0;
    }
    std::ranges::sort(known);
    // The shortest interval that holds half of them, and again half of that while there are many.
    std::size_t begin = 0, size = known.size();
    while (size >= 2 * min_widths) {
        const std::size_t half = (size + 1) / 2;
        std::size_t best = begin;
        for (std::size_t k = begin; k + half <= begin + size; ++k) {
            if (known[k + half - 1] - known[k] < known[best + half - 1] - known[best]) best = k;
        }
        begin = best, size = half;
        if (size <= known.size() / 4) break;
    }
    double sum = 0;
    for (std::size_t k = begin; k < begin + size; ++k) sum += known[k];
    return sum / static_cast<double>(size);
}

}  // namespace lee::particles
