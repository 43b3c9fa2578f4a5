#include "lee/curvature.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "common/check.hpp"
#include "common/curvature_check.hpp"
#include "common/curvature_window.hpp"
#include "common/parallel.hpp"
#include "kernels/curvature_fit.hpp"

namespace lee {
namespace {

using Map = HostView<float, 2>;

// Rows of a job: so many that the margins above and below it are small in comparison.
std::size_t job_rows(std::size_t radius) {
    return std::max<std::size_t>(128, 4 * radius);
}

struct Found {
    float offset;  // midway between the lowest and the highest
    bool all;
    bool none;
};

// Which pixels in the windows of `where` are measured, and their middle height: sums of small numbers are
// more exact.
Found look(const CurvatureTask& task, const Rectangle& where) {
    const auto begin = [&](std::size_t at, std::size_t extent) {
        const std::size_t centre = task.centre(at, extent);
        return centre < task.radius ? 0 : centre - task.radius;
    };
    const auto end = [&](std::size_t at, std::size_t extent) {
        return std::min(extent, task.centre(at, extent) + task.radius + 1);
    };
    const std::size_t x0 = begin(where.x0, task.columns), x1 = end(where.x1 - 1, task.columns);
    const std::size_t y0 = begin(where.y0, task.rows), y1 = end(where.y1 - 1, task.rows);
    float low = std::numeric_limits<float>::infinity(), high = -low;
    std::size_t count = 0;
    for (std::size_t y = y0; y < y1; ++y) {
        count += task.loops.range(task.height.data + y * task.columns + x0, x1 - x0, &low, &high);
    }
    return {count == 0 ? 0.0F : low + 0.5F * (high - low), count == (x1 - x0) * (y1 - y0), count == 0};
}

void derive(const CurvatureTask& task, const Rectangle& where, const TakeDerivatives& take) {
    const Found found = look(task, where);
    if (!found.all || found.none) return fit_derivatives(task, where, found.offset, false, take);
    const std::size_t r = task.radius;
    const auto inner = [&](std::size_t at, std::size_t extent) {
        return extent > 2 * r ? std::clamp(at, r, extent - r) : extent;
    };
    const Rectangle middle{inner(where.y0, task.rows), inner(where.y1, task.rows),
                           inner(where.x0, task.columns), inner(where.x1, task.columns)};
    // Windows are complete once shifted, unless the image is smaller or they stay where they are.
    const bool complete = task.inset == r && task.rows > 2 * r && task.columns > 2 * r;
    if (middle.empty()) return fit_derivatives(task, where, found.offset, complete, take);
    filter_derivatives(task, middle, found.offset, take);
    const Rectangle around[] = {{where.y0, middle.y0, where.x0, where.x1},
                                {middle.y1, where.y1, where.x0, where.x1},
                                {middle.y0, middle.y1, where.x0, middle.x0},
                                {middle.y0, middle.y1, middle.x1, where.x1}};
    for (const Rectangle& part : around) {
        if (!part.empty()) fit_derivatives(task, part, found.offset, complete, take);
    }
}

// Jobs are cut the same for any number of threads, so their results are the same.
void for_each_job(const CurvatureTask& task, int threads, const std::function<void(const Rectangle&)>& work) {
    const std::size_t height = job_rows(task.radius);
    const std::size_t across = (task.columns + simd::curvature_strip - 1) / simd::curvature_strip;
    const std::size_t down = (task.rows + height - 1) / height;
    parallel_for(across * down, threads, [&](std::size_t job, int) {
        const std::size_t y = job / across * height, x = job % across * simd::curvature_strip;
        work({y, std::min(y + height, task.rows), x, std::min(x + simd::curvature_strip, task.columns)});
    });
}

void measure(const char* operation, HostView<const float, 2> height, const HostView<const float, 2>* sigma,
             const std::array<Map, 6>& out, const CurvatureParams& params) {
    check::threads(operation, params.threads);
    const CurvatureTask task(curvature_window_of::basis_of(operation, params), height, params.pixel_um,
                             sigma != nullptr);
    constexpr std::size_t strip = simd::curvature_strip;
    for_each_job(task, params.threads, [&](const Rectangle& where) {
        const auto noise = aligned_array<float>(sigma == nullptr ? 1 : (where.y1 - where.y0) * strip);
        if (sigma != nullptr) local_noise(task, *sigma, where, noise.get(), strip);
        derive(task, where,
               [&](std::size_t y, std::size_t x, std::size_t n, const float* derivatives,
                   const float* covariance, std::size_t stride) {
                   simd::CurvatureRows rows{};
                   for (std::size_t k = 0; k < 5; ++k) rows.derivatives[k] = derivatives + k * stride;
                   for (std::size_t k = 0; k < curvature_of::covariances; ++k) {
                       rows.covariance[k] = covariance + k * stride;
                   }
                   if (sigma != nullptr) rows.noise = noise.get() + (y - where.y0) * strip + (x - where.x0);
                   for (std::size_t k = 0; k < (sigma == nullptr ? 4 : 6); ++k) {
                       rows.out[k] = out[k].data + y * task.columns + x;
                   }
                   task.loops.finish(rows, n);
               });
    });
}

}  // namespace

CurvatureWindow curvature_window(const CurvatureParams& params) {
    const auto basis = curvature_window_of::basis_of("curvature_window", params);
    const double scale_px = params.family == CurvatureFamily::gaussian
                                ? basis.unit_px
                                : curvature_window_of::equivalent_px(basis);
    return {basis.radius, scale_px * params.pixel_um};
}

void height_derivatives(HostView<const float, 2> height, Map slope_x, Map slope_y, Map xx, Map xy, Map yy,
                        const CurvatureParams& params) {
    const char* operation = "height_derivatives";
    const std::array<Map, 5> out{slope_x, slope_y, xx, xy, yy};
    check::curvature_maps(operation, height, out, check::derivative_names);
    check::threads(operation, params.threads);
    const CurvatureTask task(curvature_window_of::basis_of(operation, params), height, params.pixel_um,
                             false);
    for_each_job(task, params.threads, [&](const Rectangle& where) {
        derive(task, where,
               [&](std::size_t y, std::size_t x, std::size_t n, const float* derivatives, const float*,
                   std::size_t stride) {
                   for (std::size_t k = 0; k < 5; ++k) {
                       std::copy_n(derivatives + k * stride, n, out[k].data + y * task.columns + x);
                   }
               });
    });
}

void curvature(HostView<const float, 2> height, Map mean, Map gauss, Map high, Map low,
               const CurvatureParams& params) {
    const std::array<Map, 4> out{mean, gauss, high, low};
    check::curvature_maps("curvature", height, out, check::curvature_names);
    measure("curvature", height, nullptr, {mean, gauss, high, low, {}, {}}, params);
}

void curvature(HostView<const float, 2> height, HostView<const float, 2> sigma, Map mean, Map gauss, Map high,
               Map low, Map mean_sigma, Map gauss_sigma, const CurvatureParams& params) {
    const std::array<Map, 6> out{mean, gauss, high, low, mean_sigma, gauss_sigma};
    check::curvature_maps("curvature", height, out, check::curvature_sigma_names);
    check::same_shape("curvature", "height", height, "sigma", sigma);
    measure("curvature", height, &sigma, out, params);
}

}  // namespace lee
