#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/curvature_fit.hpp"

namespace lee {
namespace {

using Basis = curvature_window_of::Basis;
using Order = std::array<int, 2>;  // of a derivative, along x and along y

constexpr std::array<Order, 5> orders{{{1, 0}, {0, 1}, {2, 0}, {1, 1}, {0, 2}}};

// The filter that takes the coefficient of the i-th polynomial out of a row.
std::vector<double> projection(const Basis& basis, int i) {
    std::vector<double> taps;
    for (std::size_t k = 0; k <= basis.radius; ++k) {
        const double s = static_cast<double>(k) / basis.unit_px;
        taps.push_back(basis.weights[k] * basis.at(i, s) / basis.norms[static_cast<std::size_t>(i)]);
    }
    return taps;
}

// The derivative of the fit in one variable: a sum of projections, times `factor`.
std::vector<double> derivative(const Basis& basis, int order, double factor) {
    std::vector<double> taps(basis.radius + 1, 0.0);
    for (int i = order; i <= basis.order; i += 2) {
        const std::vector<double> part = projection(basis, i);
        for (std::size_t k = 0; k < taps.size(); ++k)
            taps[k] += factor * basis.derivative(i, order) * part[k];
    }
    return taps;
}

std::vector<double> times(std::vector<double> taps, double factor) {
    for (double& tap : taps) tap *= factor;
    return taps;
}

AlignedArray<float> interleaved(const std::vector<std::vector<double>>& filters, std::size_t stride) {
    const std::size_t count = filters.front().size();
    auto taps = aligned_array<float>(count * stride);
    std::fill_n(taps.get(), count * stride, 0.0F);
    for (std::size_t f = 0; f < filters.size(); ++f) {
        for (std::size_t k = 0; k < count; ++k) taps[k * stride + f] = static_cast<float>(filters[f][k]);
    }
    return taps;
}

// Of the polynomials, s^i t^j with i + j <= order take part: what is of order 2 across takes its partner of
// order 2 less along.
AlignedArray<float> filters_across(const Basis& basis, double per_um) {
    const double first = basis.derivative(1, 1) * per_um;
    const auto smooth = projection(basis, 0);
    std::vector<std::vector<double>> filters{smooth, derivative(basis, 1, per_um), smooth,
                                             times(projection(basis, 1), first),
                                             derivative(basis, 2, per_um * per_um)};
    if (basis.order == 4) {
        const double second = basis.derivative(2, 2) * per_um * per_um;
        const double middle = basis.derivative(2, 0);
        const double third = basis.derivative(3, 1) * per_um;
        filters.push_back(times(projection(basis, 2), first * middle));
        filters.push_back(times(projection(basis, 1), first * middle));
        filters.push_back(times(projection(basis, 2), second * middle));
        filters.push_back(times(projection(basis, 3), first * third));
        filters.push_back(times(projection(basis, 2), second * middle));
    }
    return interleaved(filters, simd::curvature_filters);
}

AlignedArray<float> filters_along(const Basis& basis, double per_um) {
    std::vector<std::vector<double>> filters{projection(basis, 0), derivative(basis, 1, per_um),
                                             derivative(basis, 2, per_um * per_um)};
    if (basis.order == 4) {
        filters.push_back(projection(basis, 1));
        filters.push_back(projection(basis, 2));
    }
    return interleaved(filters, simd::curvature_maps);
}

// Sums of weight times s^a over a complete window.
double whole(const Basis& basis, int a) {
    double sum = 0.0;
    for (std::size_t k = 0; k <= basis.radius && a % 2 == 0; ++k) {
        const double s = static_cast<double>(k) / basis.unit_px;
        sum += (k == 0 ? 1.0 : 2.0) * basis.weights[k] * std::pow(s, a);
    }
    return sum;
}

}  // namespace

CurvatureTask::CurvatureTask(const Basis& basis, HostView<const float, 2> height_, double pixel_um,
                             bool covariance_wanted_)
    : height(height_),
      rows(height_.shape[0]),
      columns(height_.shape[1]),
      radius(basis.radius),
      order(basis.order),
      inset(basis.order == 4 ? basis.radius : 0),
      maps(basis.order == 4 ? 5 : 3),
      covariance_wanted(covariance_wanted_),
      along(filters_along(basis, 1.0 / pixel_um)),
      across(filters_across(basis, 1.0 / pixel_um)),
      powers(aligned_array<double>((basis.radius + 1) * curvature_fit::powers)),
      factor(aligned_array<double>(simd::curvature_factor(basis.order) * simd::curvature_narrow / 8)),
      unit_px(basis.unit_px) {
    constexpr std::size_t narrow = simd::curvature_narrow;
    const auto mask =
        aligned_array<double>(static_cast<std::size_t>(curvature_fit::terms(2 * order)) * narrow);
    double* into = mask.get();
    for (int a = 0; a <= 2 * order; ++a) {
        for (int b = 0; a + b <= 2 * order; ++b, into += narrow) {
            std::fill_n(into, narrow, whole(basis, a) * whole(basis, b));
        }
    }
    loops.factorise(order, mask.get(), factor.get());
    const std::vector<double> taps = basis.power_taps();
    std::copy(taps.begin(), taps.end(), powers.get());
    noisiest = basis.noisiest();
    const double unit_um = unit_px * pixel_um;
    excess = basis.excess();
    for (std::size_t i = 0, at = 0; i < 5; ++i) {
        const auto of = [&](std::size_t k) { return std::pow(unit_um, -(orders[k][0] + orders[k][1])); };
        const auto of_px = [&](std::size_t k) { return std::pow(pixel_um, -(orders[k][0] + orders[k][1])); };
        to_um[i] = of(i);
        for (std::size_t k = i; k < 5; ++k, ++at) {
            const double real = basis.covariance(orders[i], orders[k], false);
            covariance_to_um[at] = of(i) * of(k);
            covariance[at] = static_cast<float>(real * of_px(i) * of_px(k));
        }
    }
}

}  // namespace lee
