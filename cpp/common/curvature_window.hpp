#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "common/check.hpp"
#include "common/curvature_fit.hpp"
#include "lee/curvature.hpp"

// The window of a scale, and the polynomials of the fit over it.
namespace lee::curvature_window_of {

inline constexpr std::size_t max_radius = 1024;
inline constexpr double gaussian_reach = 4.0;  // standard deviations
inline constexpr double noisiest_times = 8.0;  // of a complete window's Laplacian

/// Polynomials orthogonal over the window, and the derivatives of each at its centre.
struct Basis {
    int order;
    std::size_t radius;
    double unit_px;                                 ///< of s and t
    std::vector<double> weights;                    ///< one a tap, from the centre outward
    std::array<std::array<double, 5>, 5> powers{};  ///< of s, in each polynomial
    std::array<double, 5> norms{};                  ///< sums of weight times square

    Basis(int order_, std::size_t radius_, double unit, std::vector<double> w)
        : order(order_), radius(radius_), unit_px(unit), weights(std::move(w)) {
        for (int i = 0; i <= order; ++i) {
            auto& p = powers[static_cast<std::size_t>(i)];
            p[static_cast<std::size_t>(i)] = 1.0;
            // Those of the other parity are orthogonal already.
            for (int q = i - 2; q >= 0; q -= 2) {
                const auto& other = powers[static_cast<std::size_t>(q)];
                const double share = product(i, q, true) / norms[static_cast<std::size_t>(q)];
                for (int a = 0; a <= q; ++a) {
                    p[static_cast<std::size_t>(a)] -= share * other[static_cast<std::size_t>(a)];
                }
            }
            norms[static_cast<std::size_t>(i)] = product(i, i, false);
        }
    }

    [[nodiscard]] double at(int i, double s) const {
        double value = 0.0;
        for (int a = order; a >= 0; --a) value = value * s + powers[std::size_t(i)][std::size_t(a)];
        return value;
    }

    /// The `derivative`-th derivative of the i-th polynomial at the centre, in px.
    [[nodiscard]] double derivative(int i, int derivative) const {
        const double factor[] = {1.0, 1.0 / unit_px, 2.0 / (unit_px * unit_px)};
        return powers[std::size_t(i)][std::size_t(derivative)] * factor[derivative];
    }

    /// Covariance of two derivatives of a complete window, each (order along x, along y), in px, for errors
    /// of 1: of all pixels alike, or (`weighted`) each as small as the pixel's weight implies.
    [[nodiscard]] double covariance(std::array<int, 2> one, std::array<int, 2> other, bool weighted) const {
        const auto overlap = [&](int i, int k) {
            if (weighted) return i == k ? 1.0 / norms[std::size_t(i)] : 0.0;
            if ((i + k) % 2 != 0) return 0.0;
            double sum = 0.0;
            for (std::size_t n = 0; n < weights.size(); ++n) {
                const double s = static_cast<double>(n) / unit_px;
                sum += (n == 0 ? 1.0 : 2.0) * at(i, s) * at(k, s) * weights[n] * weights[n];
            }
            return sum / (norms[std::size_t(i)] * norms[std::size_t(k)]);
        };
        std::array<std::array<double, 5>, 5> overlaps{};
        for (int i = 0; i <= order; ++i) {
            for (int k = 0; k <= order; ++k) overlaps[std::size_t(i)][std::size_t(k)] = overlap(i, k);
        }
        double sum = 0.0;
        for (int i = 0; i <= order; ++i) {
            for (int j = 0; i + j <= order; ++j) {
                const double left = derivative(i, one[0]) * derivative(j, one[1]);
                if (left == 0.0) continue;
                for (int k = 0; k <= order; ++k) {
                    for (int l = 0; k + l <= order; ++l) {
                        sum += left * derivative(k, other[0]) * derivative(l, other[1]) *
                               overlaps[std::size_t(i)][std::size_t(k)] *
                               overlaps[std::size_t(j)][std::size_t(l)];
                    }
                }
            }
        }
        return sum;
    }

    /// Variance of the Laplacian of a complete window for errors of 1, px^-4.
    [[nodiscard]] double laplacian_gain(bool weighted) const {
        return 2.0 * (covariance({2, 0}, {2, 0}, weighted) + covariance({2, 0}, {0, 2}, weighted));
    }

    /// Largest gain of the Laplacian that is accepted, in the unit of s.
    [[nodiscard]] double noisiest() const {
        return noisiest_times * noisiest_times * laplacian_gain(true) * std::pow(unit_px, 4);
    }

    [[nodiscard]] curvature_fit::Excess excess() const {
        const auto ratio = [&](std::array<int, 2> one, std::array<int, 2> other, double sign) {
            const auto of = [&](bool weighted) {
                return covariance(one, one, weighted) + sign * covariance(one, other, weighted);
            };
            return std::sqrt(of(false) / of(true));
        };
        const double sum = ratio({2, 0}, {0, 2}, 1.0), difference = ratio({2, 0}, {0, 2}, -1.0);
        return {.first = ratio({1, 0}, {1, 0}, 0.0),
                .mixed = ratio({1, 1}, {1, 1}, 0.0),
                .same = 0.5 * (sum + difference),
                .crossed = 0.5 * (sum - difference)};
    }

    /// Weight times distance to the powers 0 to 8, for each distance.
    [[nodiscard]] std::vector<double> power_taps() const {
        std::vector<double> taps;
        for (std::size_t k = 0; k <= radius; ++k) {
            double power = weights[k];
            for (std::size_t a = 0; a < curvature_fit::powers; ++a) {
                taps.push_back(power);
                power *= static_cast<double>(k) / unit_px;
            }
        }
        return taps;
    }

  private:
    [[nodiscard]] double product(int i, int q, bool raw) const {
        double sum = 0.0;
        for (std::size_t n = 0; n < weights.size(); ++n) {
            const double s = static_cast<double>(n) / unit_px;
            const double left = raw ? std::pow(s, i) : at(i, s);
            sum += (n == 0 ? 1.0 : 2.0) * weights[n] * left * at(q, s);
        }
        return sum;
    }
};

inline Basis savgol(std::size_t radius) {
    return {4, radius, static_cast<double>(radius), std::vector<double>(radius + 1, 1.0)};
}

inline Basis gaussian(double sigma_px) {
    const auto radius = static_cast<std::size_t>(std::ceil(gaussian_reach * sigma_px));
    std::vector<double> weights;
    for (std::size_t k = 0; k <= radius; ++k) {
        weights.push_back(std::exp(-0.5 * std::pow(static_cast<double>(k) / sigma_px, 2)));
    }
    return {2, radius, sigma_px, std::move(weights)};
}

/// The standard deviation, px, of the Gaussian whose Laplacian is as noisy: its variance is 1 / (2 pi s^6).
inline double equivalent_px(const Basis& basis) {
    return std::pow(2.0 * 3.14159265358979323846 * basis.laplacian_gain(true), -1.0 / 6.0);
}

inline Basis basis_of(const char* operation, const CurvatureParams& params) {
    const auto positive = [&](double value, const char* name) {
        check::that(std::isfinite(value) && value > 0.0, operation,
                    std::string(name) + " is " + std::to_string(value) + "; give a length in µm above 0");
    };
    positive(params.pixel_um, "pixel_um");
    positive(params.scale_um, "scale_um");
    const double scale_px = params.scale_um / params.pixel_um;
    const auto refuse_large = [&](double radius) {
        check::that(radius <= static_cast<double>(max_radius), operation,
                    "scale_um is " + std::to_string(params.scale_um) + ", " + std::to_string(scale_px) +
                        " pixels: its window is wider than 1024 px to each side; average pixels first");
    };
    const auto refuse_small = [&](double least) {
        check::that(scale_px >= least, operation,
                    "scale_um is " + std::to_string(params.scale_um) + ", " + std::to_string(scale_px) +
                        " pixels; give at least " + std::to_string(least * params.pixel_um) + " µm");
    };
    if (params.family == CurvatureFamily::gaussian) {
        refuse_small(0.5);
        refuse_large(gaussian_reach * scale_px);
        return gaussian(scale_px);
    }
    Basis below = savgol(2);
    // A little less than the smallest there is still means that one.
    refuse_small(0.9 * equivalent_px(below));
    refuse_large(3.4 * scale_px);
    below = savgol(std::max<std::size_t>(2, static_cast<std::size_t>(3.2 * scale_px)));
    while (below.radius < max_radius) {
        Basis above = savgol(below.radius + 1);
        if (scale_px * scale_px < equivalent_px(below) * equivalent_px(above)) break;
        below = std::move(above);
    }
    return below;
}

}  // namespace lee::curvature_window_of
