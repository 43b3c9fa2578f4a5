#include "common/detect_particles_shift.hpp"

#include <algorithm>
#include <cmath>

namespace lee::particles {
namespace {

constexpr double pi = 3.14159265358979324;
constexpr double whole_px = 1e-6;

double bessel_i0(double x) {
    double term = 1, sum = 1;
    for (int k = 1; k < 40; ++k) {
        term *= (0.5 * x / k) * (0.5 * x / k);
        sum += term;
    }
    return sum;
}

}  // namespace

Shift::Shift(double shift_px) {
    const double whole = std::floor(shift_px), part = shift_px - whole;
    if (part < whole_px || part > 1 - whole_px) {
        first = low = high = -static_cast<std::ptrdiff_t>(std::lround(shift_px));
        weights[0] = 1.0F;
        return;
    }
    constexpr int half = shift_taps / 2;
    taps = shift_taps;
    first = -half - static_cast<std::ptrdiff_t>(whole);
    low = first + half - 1, high = first + half;
    std::array<double, shift_taps> exact{};
    double sum = 0;
    for (int k = 0; k < shift_taps; ++k) {
        const double distance = k - half + part, inner = distance / half;
        const double window = bessel_i0(kaiser_beta * std::sqrt(std::max(1 - inner * inner, 0.0)));
        exact[static_cast<std::size_t>(k)] = std::sin(pi * distance) / (pi * distance) * window;
        sum += exact[static_cast<std::size_t>(k)];
    }
    for (std::size_t k = 0; k < shift_taps; ++k) weights[k] = static_cast<float>(exact[k] / sum);
}

std::pair<std::ptrdiff_t, std::ptrdiff_t> Shift::inside(std::ptrdiff_t n) const {
    const std::ptrdiff_t begin = std::clamp<std::ptrdiff_t>(-low, 0, n);
    return {begin, std::clamp<std::ptrdiff_t>(n - high, begin, n)};
}

std::pair<std::ptrdiff_t, std::ptrdiff_t> Shift::nearest(std::ptrdiff_t i, std::ptrdiff_t n) const {
    return {std::clamp<std::ptrdiff_t>(i + low, 0, n - 1), std::clamp<std::ptrdiff_t>(i + high, 0, n - 1)};
}

}  // namespace lee::particles
