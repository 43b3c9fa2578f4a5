#include "common/detect_particles_texture.hpp"

#include "common/detect_particles_background.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace lee::particles {
namespace {

constexpr double rough_clip = 5.0, clip = 3.0;
constexpr int rounds = 5;

using Three = std::array<double, 3>;

/// Least squares with the unknowns of `used` alone.
bool solve(const std::array<Three, 3>& a, const Three& b, unsigned used, Three& x) {
    std::array<std::array<double, 4>, 3> m{};
    for (std::size_t i = 0; i < 3; ++i) {
        const bool in = (used >> i & 1U) != 0;
        for (std::size_t j = 0; j < 3; ++j)
            m[i][j] = in && (used >> j & 1U) != 0 ? a[i][j] : (i == j ? 1.0 : 0.0);
        m[i][3] = in ? b[i] : 0.0;
    }
    for (std::size_t k = 0; k < 3; ++k) {
        if (!(m[k][k] > 1e-12 * std::max(a[k][k], 1e-300))) return false;
        for (std::size_t i = k + 1; i < 3; ++i) {
            const double factor = m[i][k] / m[k][k];
            for (std::size_t j = k; j < 4; ++j) m[i][j] -= factor * m[k][j];
        }
    }
    for (std::size_t k = 3; k-- > 0;) {
        x[k] = m[k][3];
        for (std::size_t j = k + 1; j < 3; ++j) x[k] -= m[k][j] * x[j];
        x[k] /= m[k][k];
    }
    return x[0] > 0 && x[1] >= 0 && x[2] >= 0;
}

}  // namespace

std::vector<float> gaussian(double sigma_px, int power) {
    const auto reach = static_cast<std::ptrdiff_t>(std::ceil(filter_reach * sigma_px));
    std::vector<float> taps;
    for (std::ptrdiff_t k = -reach; k <= reach; ++k) {
        const double u = static_cast<double>(k) / sigma_px;
        taps.push_back(static_cast<float>(std::exp(-0.5 * power * u * u)));
    }
    return taps;
}

double sum_of(std::span<const float> taps) {
    double sum = 0;
    for (const float tap : taps) sum += tap;
    return sum;
}

std::vector<float> mean_gaussian(double sigma_px) {
    std::vector<float> taps = gaussian(sigma_px, 1);
    const double sum = sum_of(taps);
    for (float& tap : taps) tap = static_cast<float>(tap / sum);
    return taps;
}

float min_information(std::span<const float> square_taps) {
    return static_cast<float>(min_seen * sum_of(square_taps) * sum_of(square_taps));
}

std::vector<float> deviations_of(std::span<const Squares> totals, double sigma_px) {
    std::vector<float> scale = scale_of(totals, patch_px(sigma_px), filter_clip);
    const auto whole = static_cast<float>(1 + taken_by_background(sigma_px));
    for (float& one : scale) one = whole * std::max(one, min_deviation);
    return scale;
}

TextureVariance texture_variance(std::span<const TextureSample> samples) {
    if (samples.empty()) return {1.0F, 0.0F, 0.0F};
    std::vector<float> squares(samples.size());
    std::ranges::transform(samples, squares.begin(), &TextureSample::square);
    const auto middle = squares.begin() + static_cast<std::ptrdiff_t>(squares.size() / 2);
    std::nth_element(squares.begin(), middle, squares.end());
    Three found{std::max(*middle / 0.45494, 1e-6), 0, 0};
    for (int round = 0; round < rounds; ++round) {
        const double limit = round == 0 ? rough_clip : clip;
        const double inside = clipped_variance(limit);
        std::array<Three, 3> a{};
        Three b{};
        double best = 0;
        for (const TextureSample& sample : samples) {
            const Three x{1, sample.laplacian, sample.axial};
            const double variance = found[0] + found[1] * x[1] + found[2] * x[2];
            if (sample.square > limit * limit * variance) continue;
            const double weight = 1 / (variance * variance), y = sample.square / inside;
            for (std::size_t i = 0; i < 3; ++i) {
                for (std::size_t j = 0; j < 3; ++j) a[i][j] += weight * x[i] * x[j];
                b[i] += weight * x[i] * y;
            }
        }
        // Of the fits with subsets of the strengths, the best without a negative one.
        Three kept = found;
        for (const unsigned used : {7U, 5U, 3U, 1U}) {
            Three x{};
            if (!solve(a, b, used, x)) continue;
            double gain = 0;
            for (std::size_t i = 0; i < 3; ++i) {
                gain += 2 * x[i] * b[i];
                for (std::size_t j = 0; j < 3; ++j) gain -= x[i] * a[i][j] * x[j];
            }
            if (gain > best) best = gain, kept = x;
        }
        found = kept;
    }
    return {static_cast<float>(found[0]), static_cast<float>(found[1]), static_cast<float>(found[2])};
}

}  // namespace lee::particles
