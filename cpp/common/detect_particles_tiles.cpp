#include "common/detect_particles_tiles.hpp"

#include <algorithm>
#include <cmath>

#include "lee/detect_particles.hpp"

namespace lee {
namespace particles {
namespace {

// The explained sum must be this many times the variance of a pixel. Chance explains five: noise of `before` is
// in regressors and difference, and counts in what is even by half as much again. One frame in 200 of a
// thousand tiles passes this by chance.
constexpr double significance = 40.0;
// Share of real changes in a tile's brightness below which it passes for noise.
constexpr double least_real = 0.6;

double median(std::vector<double> values) {
    if (values.empty()) return 0.0;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

std::size_t pair_of(std::size_t i, std::size_t j) {
    return i * regressors - i * (i - 1) / 2 + (j - i);
}

/// Solve for the coefficients of regressors that vary at all; the others get 0.
std::array<double, regressors> solved(std::array<std::array<double, regressors>, regressors> a,
                                      std::array<double, regressors> b) {
    std::array<double, regressors> scale{};
    for (std::size_t i = 0; i < regressors; ++i) scale[i] = a[i][i] > 0 ? 1 / std::sqrt(a[i][i]) : 0;
    for (std::size_t i = 0; i < regressors; ++i) {
        b[i] *= scale[i];
        for (std::size_t j = 0; j < regressors; ++j) a[i][j] *= scale[i] * scale[j];
        // Nearly alike regressors share what they explain.
        a[i][i] = 1 + 1e-4;
    }
    for (std::size_t k = 0; k < regressors; ++k) {
        for (std::size_t i = k + 1; i < regressors; ++i) {
            const double factor = a[i][k] / a[k][k];
            for (std::size_t j = k; j < regressors; ++j) a[i][j] -= factor * a[k][j];
            b[i] -= factor * b[k];
        }
    }
    std::array<double, regressors> x{};
    for (std::size_t k = regressors; k-- > 0;) {
        double sum = b[k];
        for (std::size_t j = k + 1; j < regressors; ++j) sum -= a[k][j] * x[j];
        x[k] = sum / a[k][k];
    }
    for (std::size_t i = 0; i < regressors; ++i) x[i] *= scale[i];
    return x;
}

}  // namespace

Cuts::Cuts(std::size_t extent_px, std::size_t side_px)
    : extent(extent_px), count(std::max<std::size_t>(1, (extent_px + side_px / 2) / side_px)) {}

std::vector<Between> Cuts::between(bool beyond) const {
    std::vector<Between> places(extent);
    std::size_t k = 0;
    for (std::size_t at = 0; at < extent; ++at) {
        const auto here = static_cast<float>(at);
        while (k + 1 < count && here >= centre(k + 1)) ++k;
        const std::size_t last = count - 1;
        if (beyond && count > 1) k = std::min(k, last - 1);
        const std::size_t next = here < centre(0) && !beyond ? k : std::min(k + 1, last);
        const float from = centre(k), to = centre(next);
        places[at] = {static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(next),
                      to > from ? (here - from) / (to - from) : 0.0F};
    }
    return places;
}

Start start_of(std::span<float> difference, std::span<const float> brightness) {
    double level = 0;
    for (const float value : brightness) level += value;
    Start start{
        0, 0, brightness.empty() ? 0.0F : static_cast<float>(level / static_cast<double>(brightness.size()))};
    const auto end = std::remove_if(difference.begin(), difference.end(), [](float d) { return d != d; });
    const std::span<float> known(difference.begin(), end);
    if (known.empty()) return start;
    const auto n = static_cast<std::ptrdiff_t>(known.size());
    std::nth_element(known.begin(), known.begin() + n / 2, known.end());
    start.offset = known[static_cast<std::size_t>(n / 2)];
    for (float& value : known) value = std::abs(value - start.offset);
    const std::ptrdiff_t inner = inner_samples(static_cast<std::uint32_t>(n));
    std::nth_element(known.begin(), known.begin() + (inner - 1), known.end());
    double sum = 0, all = 0;
    for (std::ptrdiff_t k = 0; k < n; ++k) {
        const double square = double{known[static_cast<std::size_t>(k)]} * known[static_cast<std::size_t>(k)];
        all += square;
        if (k < inner) sum += square;
    }
    start.sigma = start_sigma(sum, static_cast<std::uint32_t>(inner), all, static_cast<std::uint32_t>(n));
    return start;
}

Fit fit_of(std::span<const double, sums> total, const Start& start, double clip, bool known_texture) {
    Fit fit;
    const double n = total[Sum::count];
    fit.coefficient[regressors] = start.offset;
    if (n < 2) return fit;
    const double mean_d = total[of_d] / n;
    std::array<double, regressors> mean{}, b{}, c{};
    std::array<std::array<double, regressors>, regressors> a{};
    for (std::size_t i = 0; i < regressors; ++i) {
        mean[i] = total[of_x + i] / n;
        b[i] = total[of_xd + i] - mean[i] * total[of_d];
    }
    for (std::size_t i = 0; i < regressors; ++i) {
        for (std::size_t j = i; j < regressors; ++j) {
            a[i][j] = a[j][i] = total[of_xx + pair_of(i, j)] - mean[i] * total[of_x + j];
        }
    }
    const double whole = std::max(total[of_dd] - mean_d * total[of_d], 0.0);
    double left = whole;
    if (n > 8 * regressors) {
        c = solved(a, b);
        for (std::size_t i = 0; i < regressors; ++i) {
            left -= 2 * c[i] * b[i];
            for (std::size_t j = 0; j < regressors; ++j) left += c[i] * c[j] * a[i][j];
        }
        left = std::max(left, 0.0);
        fit.textured = known_texture || whole - left > significance * left / n;
    }
    if (!fit.textured) c = {}, left = whole;
    double offset = mean_d;
    for (std::size_t i = 0; i < regressors; ++i) {
        fit.coefficient[i] = static_cast<float>(c[i]);
        offset -= c[i] * mean[i];
    }
    fit.coefficient[regressors] = static_cast<float>(offset);
    fit.sigma = static_cast<float>(std::sqrt(left / n / clipped_variance(clip)));
    return fit;
}

std::array<std::vector<float>, coefficients> coefficient_maps(std::span<const Fit> fits,
                                                              std::span<const Start> starts) {
    std::array<std::vector<float>, coefficients> maps;
    for (std::size_t c = 0; c < coefficients; ++c) {
        for (const Fit& fit : fits) maps[c].push_back(c < regressors ? fit.coefficient[c] : 0.0F);
    }
    for (std::size_t k = 0; k < fits.size(); ++k)
        maps[regressors][k] = -maps[regressors - 1][k] * starts[k].level;
    return maps;
}

NoiseModel noise_of(const Tiles& tiles, std::span<const std::array<double, noise_sums>> totals,
                    std::span<const Start> starts, double clip, float floor) {
    const auto is_known = [](const std::array<double, noise_sums>& t) {
        return t[noise_count] > 1 && t[of_rr] > 0;
    };
    // Weighted least squares of squared residual over brightness, each pixel by its tile's own variance.
    double w = 0, m = 0, mm = 0, r = 0, rm = 0;
    std::vector<double> real(totals.size(), 0.0), middle(totals.size(), 0.0);
    for (std::size_t k = 0; k < totals.size(); ++k) {
        const auto& t = totals[k];
        if (!is_known(t)) continue;
        const double n = t[noise_count], variance = t[of_rr] / n, weight = 1 / (variance * variance);
        const double own = variance / clipped_variance(clip) / 2;  // of a frame
        middle[k] = starts[k].level + t[of_m] / n;
        const double varies = t[of_mm] / n - t[of_m] / n * t[of_m] / n;
        const double share = varies > 0 ? 1 - double{smoothing_squares} * own / varies : 0;
        real[k] = share > least_real ? share : 0;
        w += weight * n;
        m += weight * n * middle[k];
        mm += weight * n * (middle[k] * middle[k] + real[k] * real[k] * varies);
        r += weight * t[of_rr];
        rm += weight * (middle[k] * t[of_rr] + real[k] * (t[of_rrm] - t[of_m] / n * t[of_rr]));
        // Photons deviate more to the bright side: a pixel that is so by chance seems noisier.
        mm += weight * n * real[k] * double{own_share} * own / 2;
    }
    NoiseModel model;
    model.of.assign(totals.size(), {0.0F, 0.0F, floor});
    if (!(w > 0)) return model;
    const double spread = mm - m * m / w;
    double slope = spread > 1e-9 * mm ? (rm - m * r / w) / spread : 0.0;
    double base = (r - slope * m) / w;
    if (slope < 0) slope = 0, base = r / w;
    if (base < 0) base = 0, slope = m > 0 ? r / m : 0.0;
    // Nothing is less noisy than a twentieth of what is usual: a straight line may cross zero in the dark.
    const double least = 0.05 * r / w;
    std::vector<double> typical;
    std::vector<double> own(totals.size(), 0.0), expected(totals.size(), 0.0);
    for (std::size_t k = 0; k < totals.size(); ++k) {
        const auto& t = totals[k];
        if (!is_known(t)) continue;
        own[k] = t[of_rr];
        expected[k] = std::max(base + slope * middle[k], least) * t[noise_count];
        typical.push_back(std::sqrt(t[of_rr] / t[noise_count] / clipped_variance(clip)));
    }
    model.typical = median(typical);
    const auto rows = static_cast<std::ptrdiff_t>(tiles.y.count),
               columns = static_cast<std::ptrdiff_t>(tiles.x.count);
    for (std::ptrdiff_t y = 0; y < rows; ++y) {
        for (std::ptrdiff_t x = 0; x < columns; ++x) {
            // Neighbours count as much together as the tile itself: one tile alone is known to 1 or 2 %.
            double sum = 0, line = 0;
            for (std::ptrdiff_t v = std::max<std::ptrdiff_t>(y - 1, 0); v <= std::min(y + 1, rows - 1); ++v) {
                for (std::ptrdiff_t u = std::max<std::ptrdiff_t>(x - 1, 0); u <= std::min(x + 1, columns - 1);
                     ++u) {
                    const auto k = static_cast<std::size_t>(v * columns + u);
                    const double share = v == y && u == x ? 1.0 : 0.125;
                    sum += share * own[k], line += share * expected[k];
                }
            }
            const auto k = static_cast<std::size_t>(y * columns + x);
            if (!(line > 0)) continue;
            const double factor = sum / line / clipped_variance(clip);
            model.of[k] = {static_cast<float>(factor * (base + slope * (1 - real[k]) * middle[k])),
                           static_cast<float>(factor * slope * real[k]),
                           std::max(static_cast<float>(factor * least), floor)};
        }
    }
    return model;
}

std::array<std::vector<float>, 3> variance_maps(const NoiseModel& model) {
    std::array<std::vector<float>, 3> maps;
    for (const Variance& of : model.of) {
        maps[0].push_back(of.base), maps[1].push_back(of.slope), maps[2].push_back(of.least);
    }
    return maps;
}

std::vector<Variance> noise_limits(std::span<const Fit> fits) {
    std::vector<Variance> limits;
    for (const Fit& fit : fits) {
        const double limit = noise_clip * static_cast<double>(fit.sigma);
        limits.push_back({static_cast<float>(limit * limit), 0.0F, 0.0F});
    }
    return limits;
}

std::vector<Variance> noise_limits(const NoiseModel& model) {
    constexpr auto square = static_cast<float>(noise_clip * noise_clip);
    std::vector<Variance> limits;
    for (const Variance& of : model.of)
        limits.push_back({square * of.base, square * of.slope, square * of.least});
    return limits;
}

NoiseModel noise_of_noiseless(float largest_difference, std::size_t tiles) {
    const double sigma = 1e-3 * static_cast<double>(largest_difference);
    return {std::vector<Variance>(tiles, {0.0F, 0.0F, static_cast<float>(sigma * sigma)}), sigma};
}

std::vector<float> scale_of(std::span<const Squares> totals, double patch_px, double clip) {
    double count = 0, sum = 0;
    std::vector<double> seen;
    for (const Squares& t : totals) {
        if (!(t.count > 0)) continue;
        count += t.count, sum += t.sum;
        seen.push_back(t.sum / t.count);
    }
    if (!(count > 0)) return std::vector<float>(totals.size(), 1.0F);
    const double common = median(seen), within = clipped_variance(clip);
    // How much squares scatter from tile to tile, against what a finite number of patches explains.
    double scatter = 0, chance = 0;
    for (const Squares& t : totals) {
        if (!(t.count > 0)) continue;
        const double off = t.sum / t.count / common - 1;
        scatter += t.count * std::min(off * off, 1.0);
        chance += t.count * std::min(2 * patch_px / t.count, 1.0);
    }
    const double real = std::max(scatter - chance, 0.0) / count;
    std::vector<float> scale(totals.size());
    for (std::size_t k = 0; k < totals.size(); ++k) {
        const Squares& t = totals[k];
        double square = common;
        if (t.count > 0) {
            const double share = real / (real + 2 * patch_px / t.count);
            square += share * (t.sum / t.count - common);
        }
        scale[k] = static_cast<float>(std::sqrt(std::max(square, 1e-12) / within));
    }
    return scale;
}

double clipped_variance(double clip) {
    const double density = std::exp(-0.5 * clip * clip) / std::sqrt(2 * 3.14159265358979324);
    return 1 - 2 * clip * density / std::erf(clip / std::sqrt(2.0));
}

}  // namespace particles

double particle_threshold(double area_px, double spot_sigma_px, double false_alarms) {
    // Expected maxima above u of a unit field: area |Lambda|^1/2 u exp(-u^2 / 2) / (2 pi)^(3/2); behind the
    // filter white noise has a Gaussian correlation of variance 2 sigma^2, so |Lambda|^1/2 is its inverse.
    constexpr double pi = 3.14159265358979324;
    const double patches = area_px / (2 * spot_sigma_px * spot_sigma_px) / std::pow(2 * pi, 1.5);
    double low = 2, high = 40;
    for (int k = 0; k < 60; ++k) {
        const double u = 0.5 * (low + high);
        (patches * u * std::exp(-0.5 * u * u) > false_alarms ? low : high) = u;
    }
    return 0.5 * (low + high);
}

}  // namespace lee
