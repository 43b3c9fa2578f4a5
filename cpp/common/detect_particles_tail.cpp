#include "common/detect_particles_tail.hpp"

namespace lee::particles {
namespace {

/// Fewer pixels do not tell a tail; and a threshold that differs by less is that of a Gaussian.
constexpr double least_pixels = 2000, near_gaussian = 0.01;
/// Share of the false alarms that pixels may be which stand out by themselves; a fit moves a spot until it fits
/// such a pixel best, as if it were tried at so many places.
constexpr double most_by_one_pixel = 0.5, offsets_tried = 3;

/// A filter's weights, to the sum of squares of one, and how often each occurs.
struct Weight {
    double value, times;
};

std::vector<Weight> weights_of(double sigma_px) {
    const int reach = static_cast<int>(std::ceil(3 * sigma_px));
    std::vector<Weight> weights;
    double squares = 0;
    for (int y = 0; y <= reach; ++y) {
        for (int x = 0; x <= reach; ++x) {
            const double g = std::exp(-0.5 * (x * x + y * y) / (sigma_px * sigma_px));
            const double times = (y > 0 ? 2 : 1) * (x > 0 ? 2 : 1);
            weights.push_back({g, times});
            squares += times * g * g;
        }
    }
    for (Weight& one : weights) one.value /= std::sqrt(squares);
    return weights;
}

/// Logarithm of the mean of exp(t x), and its slope.
struct Cumulant {
    double value, slope;
};

/// Of the pixels of some bins and their mirror image.
Cumulant cumulant_at(const Tail& tail, std::size_t bins, double t) {
    double count = 0, mean = 0, slope = 0;
    for (std::size_t k = 0; k < bins; ++k) {
        if (tail[k] == 0) continue;
        const double x = (static_cast<double>(k) + 0.5) / static_cast<double>(bins_per_sigma);
        const double up = std::exp(t * x), down = 1 / up;
        count += tail[k];
        mean += tail[k] * 0.5 * (up + down);
        slope += tail[k] * 0.5 * x * (up - down);
    }
    return {std::log(mean / count), slope / mean};
}

/// Of the weighted sum of such pixels.
Cumulant cumulant_of_sum(const Tail& tail, std::size_t bins, const std::vector<Weight>& weights, double t) {
    Cumulant sum{0, 0};
    for (const Weight& one : weights) {
        const Cumulant of = cumulant_at(tail, bins, t * one.value);
        sum.value += one.times * of.value;
        sum.slope += one.times * one.value * of.slope;
    }
    return sum;
}

/// Gaussian deviations as rare as where the saddle point of `sum` is at t.
double rarity(const Cumulant& sum, double t) {
    return std::sqrt(2 * std::max(t * sum.slope - sum.value, 0.0));
}

/// The Gaussian level that is as rarely exceeded as `level` by the sum of a spot's pixels.
double gaussian_level(const Tail& tail, const std::vector<Weight>& weights, double level) {
    const auto bins = static_cast<std::size_t>(
        std::min(level * static_cast<double>(bins_per_sigma), static_cast<double>(tail_bins)));
    double low = 0, high = 2 * level;
    for (int k = 0; k < 30; ++k) {
        const double t = 0.5 * (low + high);
        (cumulant_of_sum(tail, bins, weights, t).slope < level ? low : high) = t;
    }
    const double t = 0.5 * (low + high);
    const Cumulant sum = cumulant_of_sum(tail, bins, weights, t);
    return std::sqrt(2 * std::max(t * level - sum.value, 0.0));
}

/// How rarely the sum of a spot's pixels but the brightest, to the sum of squares of one, exceeds a level:
/// beside a pixel that stands out another may.
class Rest {
  public:
    Rest(const Tail& tail, const std::vector<Weight>& weights, double largest, double share) {
        std::vector<Weight> others;
        for (const Weight& one : weights) {
            if (one.value < largest) others.push_back({one.value / share, one.times});
        }
        for (double t = 0; t <= most; t += step) {
            const Cumulant sum = cumulant_of_sum(tail, tail_bins, others, t);
            levels_.push_back(sum.slope);
            gaussian_.push_back(rarity(sum, t));
        }
    }
    /// The Gaussian level that is as rarely exceeded.
    [[nodiscard]] double operator()(double level) const {
        const auto next = std::upper_bound(levels_.begin(), levels_.end(), level);
        if (next == levels_.end()) return gaussian_.back();
        const auto k = static_cast<std::size_t>(next - levels_.begin());
        const double part = (level - levels_[k - 1]) / (levels_[k] - levels_[k - 1]);
        return gaussian_[k - 1] + part * (gaussian_[k] - gaussian_[k - 1]);
    }

  private:
    static constexpr double most = 8, step = 0.25;
    std::vector<double> levels_, gaussian_;
};

}  // namespace

double middle_of(std::vector<float> deviations) {
    const auto middle = deviations.begin() + static_cast<std::ptrdiff_t>(deviations.size() / 2);
    std::nth_element(deviations.begin(), middle, deviations.end());
    return *middle;
}

double threshold_in(const NoiseTail& noise, double gaussian, double sigma_px) {
    const Tail& tail = noise.pixels;
    const double deviation = noise.deviation;
    double count = 0;
    for (const std::uint32_t one : tail) count += one;
    if (count < least_pixels) return gaussian;
    const std::vector<Weight> weights = weights_of(sigma_px);
    if (gaussian_level(tail, weights, gaussian * deviation) >= (1 - near_gaussian) * gaussian)
        return gaussian;
    double low = gaussian, high = 2 * gaussian;
    for (int k = 0; k < 12; ++k) {
        const double u = 0.5 * (low + high);
        (gaussian_level(tail, weights, u * deviation) < gaussian ? low : high) = u;
    }
    return high;
}

double one_pixel_margin(const NoiseTail& noise, double threshold, double sigma_px, double false_alarms) {
    double largest = 0;
    const std::vector<Weight> weights = weights_of(sigma_px);
    for (const Weight& one : weights) largest = std::max(largest, one.value);
    const double share = std::sqrt(std::max(1 - largest * largest, 1e-6));
    const double level = threshold * noise.deviation;
    const auto first = static_cast<std::size_t>(level * bins_per_sigma);
    double outside = 0;
    for (std::size_t k = first; k < tail_bins; ++k) outside += noise.pixels[k];
    if (!(outside > 0)) return 0;
    const Rest rest(noise.pixels, weights, largest, share);
    const auto expected = [&](double margin) {
        double sum = 0;
        for (std::size_t k = first; k < tail_bins; ++k) {
            if (noise.pixels[k] == 0) continue;
            const double x = (static_cast<double>(k) + 0.5) / static_cast<double>(bins_per_sigma);
            const double beyond = rest((std::sqrt(x * x + margin) - largest * x) / share);
            sum += noise.pixels[k] * 0.5 * std::erfc(beyond / std::sqrt(2.0));
        }
        return offsets_tried * sum * static_cast<double>(noise.step * noise.step);
    };
    double low = 0, high = level * level;
    if (!(expected(low) > most_by_one_pixel * false_alarms)) return 0;
    for (int k = 0; k < 20; ++k) {
        const double margin = 0.5 * (low + high);
        (expected(margin) > most_by_one_pixel * false_alarms ? low : high) = margin;
    }
    return high;
}

}  // namespace lee::particles
