#include <algorithm>

#include "kernels/curvature_fit.hpp"

namespace lee {

void filter_derivatives(const CurvatureTask& task, const Rectangle& where, float offset,
                        const TakeDerivatives& take) {
    constexpr std::size_t strip = simd::curvature_strip;
    const std::size_t radius = task.radius;
    const std::size_t n = where.x1 - where.x0;
    const std::size_t stride = task.maps * strip;
    const auto segment = aligned_array<float>(strip + 2 * radius);
    std::fill_n(segment.get(), strip + 2 * radius, 0.0F);
    const auto maps = aligned_array<float>((where.y1 - where.y0 + 2 * radius) * stride);
    for (std::size_t y = where.y0 - radius; y < where.y1 + radius; ++y) {
        task.loops.lower(task.height.data + y * task.columns + where.x0 - radius, offset, segment.get(),
                         n + 2 * radius);
        task.loops.along(segment.get(), task.along.get(), radius, task.maps,
                         maps.get() + (y + radius - where.y0) * stride);
    }
    float covariance[curvature_of::covariances * strip];
    for (std::size_t k = 0; k < curvature_of::covariances; ++k) {
        std::fill_n(covariance + k * strip, strip, task.covariance[k]);
    }
    alignas(vector_bytes) float derivatives[5 * strip];
    for (std::size_t y = where.y0; y < where.y1; ++y) {
        task.loops.across(maps.get() + (y - where.y0) * stride, task.across.get(), radius, task.maps,
                          derivatives);
        take(y, where.x0, n, derivatives, covariance, strip);
    }
}

}  // namespace lee
