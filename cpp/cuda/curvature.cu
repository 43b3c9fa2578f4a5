#include "lee/curvature.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/curvature_check.hpp"
#include "common/curvature_fit.hpp"
#include "common/curvature_pixel.hpp"
#include "common/curvature_window.hpp"
#include "common/floats.hpp"
#include "cuda/runtime.cuh"

namespace lee {
namespace {

constexpr unsigned threads = 128;
using curvature_fit::powers;
using curvature_fit::terms;
using Map = DeviceView<float, 2>;

// One fit for all pixels of a launch, and the rows its moments are kept for.
struct Fit {
    std::size_t rows, columns, radius, inset;
    std::size_t first_row, kept_rows;
    double unit_px, noisiest;
    curvature_fit::Excess excess;
    double to_um[5];
};

struct Maps {
    float* derivatives[5];  // null where curvatures are wanted
    float* curvatures[6];   // the last two are null without sigmas
};

// Moments along a row: of heights, of the mask, and, with sigmas, of their squares and of where they are.
constexpr int maps_of(int order) {
    return 3 * order + 2;
}

template <int order>
__global__ void __launch_bounds__(threads)
    along(const float* height, const float* sigma, const double* taps, Fit fit, double* moments) {
    const std::size_t x = std::size_t{blockIdx.x} * threads + threadIdx.x;
    if (x >= fit.columns) return;
    const std::size_t row = (fit.first_row + blockIdx.y) * fit.columns;
    double value[order + 1] = {}, mask[2 * order + 1] = {}, square = 0.0, known = 0.0;
    const std::size_t begin = x < fit.radius ? 0 : x - fit.radius;
    const std::size_t end = x + fit.radius < fit.columns ? x + fit.radius + 1 : fit.columns;
    for (std::size_t i = begin; i < end; ++i) {
        const bool before = i < x;
        const double* tap = taps + (before ? x - i : i - x) * powers;
        const float h = height[row + i];
        if (finite(h)) {
            for (int a = 0; a <= 2 * order; ++a) {
                const double weight = before && a % 2 != 0 ? -tap[a] : tap[a];
                mask[a] += weight;
                if (a <= order) value[a] += weight * static_cast<double>(h);
            }
        }
        const float s = sigma == nullptr ? -1.0F : sigma[row + i];
        if (finite(s) && s >= 0.0F) {
            square += tap[0] * (static_cast<double>(s) * static_cast<double>(s));
            known += tap[0];
        }
    }
    const std::size_t step = fit.kept_rows * fit.columns;
    double* out = moments + blockIdx.y * fit.columns + x;
    for (int a = 0; a <= order; ++a, out += step) *out = value[a];
    for (int a = 0; a <= 2 * order; ++a, out += step) *out = mask[a];
    if (sigma == nullptr) return;
    out[0] = square;
    out[step] = known;
}

// The mean square of the sigmas around a pixel.
template <int order>
__device__ float local_noise(const double* moments, const double* taps, const Fit& fit, std::size_t y,
                             std::size_t x) {
    const std::size_t step = fit.kept_rows * fit.columns;
    const std::size_t begin = y < fit.radius ? 0 : y - fit.radius;
    const std::size_t end = y + fit.radius < fit.rows ? y + fit.radius + 1 : fit.rows;
    double square = 0.0, known = 0.0;
    for (std::size_t j = begin; j < end; ++j) {
        const double* at = moments + maps_of(order) * step + (j - fit.first_row) * fit.columns + x;
        const double weight = taps[(j < y ? y - j : j - y) * powers];
        square += weight * at[0];
        known += weight * at[step];
    }
    return static_cast<float>(square / known);
}

__device__ inline void finish(const curvature_of::Derivatives& d, const double* covariance, float noise,
                              const Fit& fit, std::size_t at, const Maps& out) {
    if (out.derivatives[0] != nullptr) {
        const float all[5] = {d.x, d.y, d.xx, d.xy, d.yy};
        for (int k = 0; k < 5; ++k) out.derivatives[k][at] = all[k];
        return;
    }
    const curvature_of::Curvatures c = curvature_of::curvatures(d);
    out.curvatures[0][at] = c.mean;
    out.curvatures[1][at] = c.gauss;
    out.curvatures[2][at] = c.high;
    out.curvatures[3][at] = c.low;
    if (out.curvatures[4] == nullptr) return;
    float s[curvature_of::covariances];
    for (int i = 0, k = 0; i < 5; ++i) {
        for (int j = i; j < 5; ++j, ++k) {
            s[k] = static_cast<float>(covariance[k] * (fit.to_um[i] * fit.to_um[j]));
        }
    }
    const curvature_of::Sigmas sigmas = curvature_of::sigmas(
        d, {s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11], s[12], s[13], s[14]},
        noise);
    out.curvatures[4][at] = sigmas.mean;
    out.curvatures[5][at] = sigmas.gauss;
}

/// A thread a pixel: it adds up the moments of its window's rows and solves.
template <int order>
__global__ void __launch_bounds__(threads) across(const float* height, const double* moments,
                                                  const double* taps, Fit fit, std::size_t first, Maps out) {
    const std::size_t x = std::size_t{blockIdx.x} * threads + threadIdx.x, y = first + blockIdx.y;
    if (x >= fit.columns) return;
    const std::size_t at = y * fit.columns + x;
    const bool uncertain = out.derivatives[0] == nullptr && out.curvatures[4] != nullptr;
    const float none = __builtin_nanf("");
    curvature_of::Derivatives d{none, none, none, none, none};
    double covariance[curvature_of::covariances] = {};
    float noise = none;
    if (finite(height[at])) {
        const std::size_t cx = curvature_fit::centre(x, fit.columns, fit.inset);
        const std::size_t cy = curvature_fit::centre(y, fit.rows, fit.inset);
        const std::size_t step = fit.kept_rows * fit.columns;
        const std::size_t begin = cy < fit.radius ? 0 : cy - fit.radius;
        const std::size_t end = cy + fit.radius < fit.rows ? cy + fit.radius + 1 : fit.rows;
        double value[terms(order)] = {}, mask[terms(2 * order)] = {};
        for (std::size_t j = begin; j < end; ++j) {
            const bool before = j < cy;
            const double* tap = taps + (before ? cy - j : j - cy) * powers;
            const double* row = moments + (j - fit.first_row) * fit.columns + cx;
            for (int a = 0, k = 0; a <= order; ++a, row += step) {
                for (int b = 0; a + b <= order; ++b, ++k) {
                    value[k] += row[0] * (before && b % 2 != 0 ? -tap[b] : tap[b]);
                }
            }
            for (int a = 0, k = 0; a <= 2 * order; ++a, row += step) {
                for (int b = 0; a + b <= 2 * order; ++b, ++k) {
                    mask[k] += row[0] * (before && b % 2 != 0 ? -tap[b] : tap[b]);
                }
            }
        }
        curvature_fit::Factor<double, order> factor;
        curvature_fit::factorise<double, order>(mask, factor);
        const auto place = curvature_fit::place<double, order>(
            (static_cast<double>(x) - static_cast<double>(cx)) / fit.unit_px,
            (static_cast<double>(y) - static_cast<double>(cy)) / fit.unit_px);
        if (factor.worst > 0.0 &&
            curvature_fit::laplacian_gain<double, order>(factor, place) <= fit.noisiest) {
            curvature_fit::solve<double, order>(factor, value);
            const auto jet = curvature_fit::evaluate<double, order>(value, place);
            d = {static_cast<float>(jet.d[0] * fit.to_um[0]), static_cast<float>(jet.d[1] * fit.to_um[1]),
                 static_cast<float>(jet.d[2] * fit.to_um[2]), static_cast<float>(jet.d[3] * fit.to_um[3]),
                 static_cast<float>(jet.d[4] * fit.to_um[4])};
            if (uncertain) {
                curvature_fit::covariance<double, order>(factor, place, fit.excess, covariance);
                noise = local_noise<order>(moments, taps, fit, y, x);
            }
        }
    }
    finish(d, covariance, noise, fit, at, out);
}

// Rows are processed in bands, so that the moments need a bounded part of the memory.
template <int order>
void measure(const char* operation, const float* height, const float* sigma, Fit fit, const double* taps,
             const Maps& out, cudaStream_t queue) {
    constexpr std::size_t most = std::size_t{32} << 20;  // doubles
    const std::size_t maps = maps_of(order) + (sigma == nullptr ? 0 : 2);
    const std::size_t affordable = most / (maps * fit.columns);
    const std::size_t band = affordable > 5 * fit.radius ? affordable - 4 * fit.radius : fit.radius + 1;
    const std::size_t rows = std::min(fit.rows, band + 4 * fit.radius);
    const cuda::Array<double> moments(operation, maps * rows * fit.columns, queue);
    const unsigned wide = cuda::blocks(fit.columns, threads);
    for (std::size_t y = 0; y < fit.rows; y += band) {
        const std::size_t end = std::min(y + band, fit.rows);
        const std::size_t low = std::min(y, curvature_fit::centre(y, fit.rows, fit.inset));
        const std::size_t high = std::max(end - 1, curvature_fit::centre(end - 1, fit.rows, fit.inset));
        fit.first_row = low < fit.radius ? 0 : low - fit.radius;
        fit.kept_rows = std::min(fit.rows, high + fit.radius + 1) - fit.first_row;
        cuda::launch(operation, along<order>,
                     {.grid = dim3(wide, static_cast<unsigned>(fit.kept_rows)),
                      .block = dim3(threads),
                      .stream = queue},
                     height, sigma, taps, fit, moments.get());
        cuda::launch(
            operation, across<order>,
            {.grid = dim3(wide, static_cast<unsigned>(end - y)), .block = dim3(threads), .stream = queue},
            height, moments.get(), taps, fit, y, out);
    }
}

template <std::size_t N>
void run(const char* operation, DeviceView<const float, 2> height, const DeviceView<const float, 2>* sigma,
         const std::array<Map, N>& maps, const std::array<const char*, N>& names,
         const CurvatureParams& params, Stream stream) {
    check::curvature_maps(operation, height, maps, names);
    const auto basis = curvature_window_of::basis_of(operation, params);
    cuda::on_this_device(operation, "height", height);
    if (sigma != nullptr) {
        check::same_shape(operation, "height", height, "sigma", *sigma);
        cuda::on_this_device(operation, "sigma", *sigma);
    }
    Maps out{};
    for (std::size_t k = 0; k < N; ++k) {
        cuda::on_this_device(operation, names[k], maps[k]);
        (N == 5 ? out.derivatives : out.curvatures)[k] = maps[k].data;
    }
    const auto [rows, columns] = height.shape;
    check::that(rows <= 65535U && columns <= std::size_t{INT32_MAX}, operation,
                "height has more than 65535 rows; give it in parts");
    const double unit_um = basis.unit_px * params.pixel_um;
    const Fit fit{.rows = rows,
                  .columns = columns,
                  .radius = basis.radius,
                  .inset = basis.order == 4 ? basis.radius : 0,
                  .first_row = 0,
                  .kept_rows = 0,
                  .unit_px = basis.unit_px,
                  .noisiest = basis.noisiest(),
                  .excess = basis.excess(),
                  .to_um = {1.0 / unit_um, 1.0 / unit_um, 1.0 / (unit_um * unit_um),
                            1.0 / (unit_um * unit_um), 1.0 / (unit_um * unit_um)}};
    const cudaStream_t queue = cuda::stream_of(stream);
    const std::vector<double> taps = basis.power_taps();
    const auto on_device = cuda::upload(operation, taps.data(), taps.size(), queue);
    const float* sigmas = sigma == nullptr ? nullptr : sigma->data;
    if (basis.order == 4) {
        measure<4>(operation, height.data, sigmas, fit, on_device.get(), out, queue);
    } else {
        measure<2>(operation, height.data, sigmas, fit, on_device.get(), out, queue);
    }
}

}  // namespace

void height_derivatives(DeviceView<const float, 2> height, Map slope_x, Map slope_y, Map xx, Map xy, Map yy,
                        const CurvatureParams& params, Stream stream) {
    run<5>("height_derivatives", height, nullptr, {slope_x, slope_y, xx, xy, yy}, check::derivative_names,
           params, stream);
}

void curvature(DeviceView<const float, 2> height, Map mean, Map gauss, Map high, Map low,
               const CurvatureParams& params, Stream stream) {
    run<4>("curvature", height, nullptr, {mean, gauss, high, low}, check::curvature_names, params, stream);
}

void curvature(DeviceView<const float, 2> height, DeviceView<const float, 2> sigma, Map mean, Map gauss,
               Map high, Map low, Map mean_sigma, Map gauss_sigma, const CurvatureParams& params,
               Stream stream) {
    run<6>("curvature", height, &sigma, {mean, gauss, high, low, mean_sigma, gauss_sigma},
           check::curvature_sigma_names, params, stream);
}

}  // namespace lee
