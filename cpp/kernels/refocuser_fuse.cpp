// How much to trust each window, pixel by pixel. Small windows follow the surface but are noisy, large ones
// are sure but flatten it; both errors are estimated from the scan itself, and each finer window corrects the
// coarser height by the share of their difference that is surface rather than noise (an empirical Wiener
// filter over scales).
#include "kernels/refocuser_fuse.hpp"

#include <algorithm>
#include <cmath>

#include "common/focus_fit.hpp"
#include "common/parallel.hpp"

namespace lee {
namespace {

constexpr std::size_t band_rows = 64;
constexpr std::size_t coarsest =
    2;  // larger windows find maxima where texture fades, but say little of the height
constexpr std::size_t neighbours = 5;    // the share is estimated over 11 by 11 pixels of the level
constexpr float gaussian_mean = 0.798F;  // E|x| of a standard Gaussian

// Variance of a maximum's height, in squared widths of the focus curve: texture against noise, and noise
// against noise; windows twice as large average over 4 and over 7 times as much. Measured on flat scenes
// drawn by two renderers.
constexpr float signal_noise = 0.15F, noise_noise = 3.0F;
constexpr float signal_gain = 4.0F, noise_gain = 7.0F;
// Below this signal-to-noise ratio the largest maximum may be noise alone.
constexpr float false_maxima = 8.0F;

constexpr float far = 3.0F;           // standard deviations beyond which a difference is not surface ...
constexpr float sure = 15.0F;         // ... unless the maximum stands this many times above the noise
constexpr float most_misfit = 12.0F;  // however far off, a dominant maximum stays in the choice
constexpr float dominance = 8.0F;     // weight of the two maxima's ratio against their misfits

// Largest maximum of a window that noise alone makes in a hundred groups, times the root of its pixels, over
// the noise of one: 5, and a margin.
constexpr float significant = 6.0F;

// Share of each source in the variance of the result: what the filter leaves, what it took for surface, slope
// and curvature under the finest window, and the finest height's scatter. Fitted once, to 68 % within one
// sigma, over scenes of two renderers; slope and curvature are per window.
constexpr float of_filter = 0.343F, of_detail = 0.296F, of_coarse_detail = 0.107F, of_slope = 0.0116F,
                of_curvature = 0.0025F, of_scatter = 0.415F;

struct Map {
    explicit Map(Extent e, float value = 0.0F) : extent(e), values(e.rows * e.columns, value) {}
    float* row(std::size_t y) { return values.data() + y * extent.columns; }
    [[nodiscard]] const float* row(std::size_t y) const { return values.data() + y * extent.columns; }
    Extent extent;
    std::vector<float> values;
};

template <class Row>
void for_rows(std::size_t rows, int threads, const Row& of_row) {
    parallel_for((rows + band_rows - 1) / band_rows, threads, [&](std::size_t band, int) {
        for (std::size_t y = band * band_rows; y < std::min(rows, (band + 1) * band_rows); ++y) of_row(y);
    });
}

/// Sums over squares of 2 reach + 1 pixels, clipped to the image.
Map box_sums(const Map& in, std::size_t reach, int threads) {
    const auto [rows, columns] = in.extent;
    Map along(in.extent), out(in.extent);
    for_rows(rows, threads, [&](std::size_t y) {
        const float* from = in.row(y);
        float* to = along.row(y);
        float sum = 0.0F;
        for (std::size_t x = 0; x < std::min(reach, columns); ++x) sum += from[x];
        for (std::size_t x = 0; x < columns; ++x) {
            if (x + reach < columns) sum += from[x + reach];
            if (x > reach) sum -= from[x - reach - 1];
            to[x] = sum;
        }
    });
    for_rows(rows, threads, [&](std::size_t y) {
        float* to = out.row(y);
        for (std::size_t k = y - std::min(y, reach); k <= std::min(rows - 1, y + reach); ++k) {
            const float* from = along.row(k);
            for (std::size_t x = 0; x < columns; ++x) to[x] += from[x];
        }
    });
    return out;
}

/// A map of the next coarser level at this level's pixels, bilinear.
Map twice(const Map& in, Extent extent, int threads) {
    Map out(extent);
    const auto near = [](std::size_t at, std::size_t extent_in, std::size_t& low, std::size_t& high) {
        const std::size_t cell = std::min(at / 2, extent_in - 1);
        // Of an odd extent the last pixel has no cell of its own: the last cell's edge is repeated.
        const bool upper = at % 2 == 1 || at / 2 >= extent_in;
        low = upper ? cell : cell - std::min<std::size_t>(cell, 1);
        high = upper ? std::min(cell + 1, extent_in - 1) : cell;
        return upper ? 0.25F
                     : 0.75F;  // weight of `high`: pixel centres lie a quarter of a cell beside the cell's
    };
    for_rows(extent.rows, threads, [&](std::size_t y) {
        std::size_t y0, y1, x0, x1;
        const float v = near(y, in.extent.rows, y0, y1);
        const float *above = in.row(y0), *below = in.row(y1);
        float* to = out.row(y);
        for (std::size_t x = 0; x < extent.columns; ++x) {
            const float u = near(x, in.extent.columns, x0, x1);
            const float left = above[x0] + v * (below[x0] - above[x0]);
            const float right = above[x1] + v * (below[x1] - above[x1]);
            to[x] = left + u * (right - left);
        }
    });
    return out;
}

/// Variance of a maximum's height by its signal-to-noise ratio.
struct NoiseModel {
    NoiseModel(std::size_t level, float noise, float width_um) : per_noise(1.0F / std::max(noise, 1e-12F)) {
        const float k = static_cast<float>(level);
        one = width_um * width_um * signal_noise / std::pow(signal_gain, k);
        two = width_um * width_um * noise_noise / std::pow(noise_gain, k);
        false_below = false_maxima / std::pow(2.0F, k);
        sure_above = sure / std::pow(1.5F, k);
        least = 4e-5F * width_um * width_um;
    }

    [[nodiscard]] float ratio(std::uint16_t peak) const { return focus::decode(peak) * per_noise; }

    [[nodiscard]] float variance(float snr) const {
        const float s = std::max(snr, 0.05F);
        const float chance = false_below / s;
        return (one + two / s) / s * (1.0F + chance * chance * chance * chance) + least;
    }

    float per_noise, one, two, false_below, sure_above, least;
};

/// Median of the finite values; 0 where there are none.
float median_of(const std::vector<float>& values) {
    std::vector<float> finite;
    finite.reserve(values.size());
    for (const float value : values) {
        if (std::isfinite(value)) finite.push_back(value);
    }
    if (finite.empty()) return 0.0F;
    const auto middle = finite.begin() + static_cast<std::ptrdiff_t>(finite.size() / 2);
    std::nth_element(finite.begin(), middle, finite.end());
    return *middle;
}

/// A height so far, the variance the filter leaves it, and how much of the finer levels' difference was
/// surface.
struct Estimate {
    Map height, variance, detail;
};

Estimate start(const FocusLevel& level, const NoiseModel& model, float most_detail) {
    Estimate out{Map(level.extent), Map(level.extent), Map(level.extent, most_detail)};
    const float otherwise = median_of(level.z_um[0]);
    for (std::size_t i = 0; i < out.height.values.size(); ++i) {
        const float z = level.z_um[0][i];
        out.height.values[i] = std::isfinite(z) ? z : otherwise;
        out.variance.values[i] = model.variance(model.ratio(level.peak[0][i]));
    }
    return out;
}

/// Correct the coarser estimate by a finer level.
Estimate refine(const Estimate& coarse, const FocusLevel& level, const NoiseModel& model, float width_um,
                int threads) {
    const Extent extent = level.extent;
    Estimate out{twice(coarse.height, extent, threads), twice(coarse.variance, extent, threads),
                 twice(coarse.detail, extent, threads)};
    const float most_offset = 2.67F * width_um;  // beyond this a difference is a wrong maximum
    const float soft = 0.044F * width_um * width_um;

    Map weight(extent), offset(extent), noise(extent);
    for_rows(extent.rows, threads, [&](std::size_t y) {
        const std::size_t at = y * extent.columns;
        for (std::size_t x = 0; x < extent.columns; ++x) {
            const float z = level.z_um[0][at + x];
            const float variance = model.variance(model.ratio(level.peak[0][at + x]));
            const float w = std::isfinite(z) ? 1.0F / (variance + soft) : 0.0F;
            weight.row(y)[x] = w;
            offset.row(y)[x] =
                w > 0.0F ? w * std::min(std::abs(z - out.height.row(y)[x]), most_offset) : 0.0F;
            noise.row(y)[x] = w * std::min(variance, 7.0F * width_um * width_um);
        }
    });
    weight = box_sums(weight, neighbours, threads);
    offset = box_sums(offset, neighbours, threads);
    noise = box_sums(noise, neighbours, threads);

    for_rows(extent.rows, threads, [&](std::size_t y) {
        const std::size_t at = y * extent.columns;
        float *height = out.height.row(y), *left = out.variance.row(y), *detail = out.detail.row(y);
        for (std::size_t x = 0; x < extent.columns; ++x) {
            const float w = std::max(weight.row(y)[x], 1e-20F);
            const float spread = offset.row(y)[x] / (w * gaussian_mean);
            const float found = std::max(spread * spread - noise.row(y)[x] / w, 4e-5F * width_um * width_um);
            const float surface =
                std::min(found, detail[x]);  // detail grows with the window it is seen through
            detail[x] = surface;

            const float first = model.ratio(level.peak[0][at + x]);
            float cost = 0.0F, d = NAN, s2 = 0.0F, snr = 0.0F;
            for (std::size_t k = 0; k < 2; ++k) {
                const float candidate = level.z_um[k][at + x] - height[x];
                const float ratio = model.ratio(level.peak[k][at + x]);
                const float variance = model.variance(ratio);
                const float total = surface + variance;
                const float c = std::min(candidate * candidate / total, most_misfit) + focus::log_of(total) +
                                dominance * focus::log_of((first + 2.0F) / (ratio + 2.0F));
                if (!std::isfinite(candidate) || (k > 0 && c >= cost)) continue;
                cost = c, d = candidate, s2 = variance, snr = ratio;
            }
            if (!std::isfinite(d)) continue;
            const float total = surface + s2;
            const bool outlying = d * d > far * far * total;
            const float share = outlying ? (snr > model.sure_above ? 1.0F : 0.0F) : surface / total;
            height[x] += share * d;
            left[x] = share * s2 + (1.0F - share) * surface;
        }
    });
    return out;
}

/// Variance of the finest heights about the result, summed over the window.
Map scatter_about(const Map& height, const FocusLevel& finest, std::size_t reach, float width_um,
                  int threads) {
    Map squared(height.extent);
    const float most = 1.78F * width_um * width_um;
    for_rows(height.extent.rows, threads, [&](std::size_t y) {
        const std::size_t at = y * height.extent.columns;
        for (std::size_t x = 0; x < height.extent.columns; ++x) {
            const float d = finest.z_um[0][at + x] - height.row(y)[x];
            squared.row(y)[x] = std::isfinite(d) ? std::min(d * d, most) : most;
        }
    });
    return box_sums(squared, reach, threads);
}

/// Whether any window has a maximum there that noise alone does not make.
bool in_focus(const Refocuser::State& state, std::size_t top, float noise, std::size_t y, std::size_t x) {
    const float pixels = static_cast<float>(state.params.window_y_px * state.params.window_x_px);
    float least = significant * noise / std::sqrt(pixels);
    for (std::size_t k = 0; k <= top; ++k, least *= 0.5F) {
        const FocusLevel& level = state.levels[k];
        const std::size_t v = std::min(y >> k, level.extent.rows - 1),
                          u = std::min(x >> k, level.extent.columns - 1);
        if (focus::decode(level.peak[0][v * level.extent.columns + u]) > least) return true;
    }
    return false;
}

}  // namespace

void fuse(const Refocuser::State& state, HostView<float, 2> height_um, HostView<float, 2> sigma_um,
          HostView<float, 2> sharp) {
    const int threads = state.params.threads;
    const float width_um = static_cast<float>(state.params.depth_of_field_um / 2.355);
    const float noise = std::isfinite(state.noise()) ? state.noise() : 1e-12F;
    const std::size_t top = std::min(coarsest, state.levels.size() - 1);

    Estimate now = start(state.levels[top], {top, noise, width_um}, 7.0F * width_um * width_um);
    Map coarse_detail = now.detail;
    for (std::size_t k = top; k-- > 0;) {
        if (k == 0) coarse_detail = twice(now.detail, state.levels[0].extent, threads);
        now = refine(now, state.levels[k], {k, noise, width_um}, width_um, threads);
    }
    const FocusLevel& finest = state.levels[0];
    const auto [rows, columns] = finest.extent;
    const std::size_t window = (state.params.window_y_px + state.params.window_x_px) / 2;
    const std::size_t reach = window / 2;
    const Map scatter = scatter_about(now.height, finest, reach, width_um, threads);
    const Map smooth = box_sums(now.height, reach, threads);
    const auto side = static_cast<float>(window);

    for_rows(rows, threads, [&](std::size_t y) {
        const auto smoothed = [&](std::size_t v, std::size_t u) {
            const std::size_t h = std::min(rows - 1, v + reach) - (v - std::min(v, reach)) + 1;
            const std::size_t w = std::min(columns - 1, u + reach) - (u - std::min(u, reach)) + 1;
            return smooth.row(v)[u] / static_cast<float>(h * w);
        };
        const std::size_t above = y > 0 ? y - 1 : y, below = std::min(y + 1, rows - 1);
        for (std::size_t x = 0; x < columns; ++x) {
            const std::size_t before = x > 0 ? x - 1 : x, after = std::min(x + 1, columns - 1);
            const float here = smoothed(y, x), n = smoothed(above, x), s = smoothed(below, x),
                        e = smoothed(y, after), w = smoothed(y, before);
            const float dy = 0.5F * (s - n) * side, dx = 0.5F * (e - w) * side;
            const float bend = (n + s + e + w - 4.0F * here) * side * side;
            const float variance = of_filter * now.variance.row(y)[x] + of_detail * now.detail.row(y)[x] +
                                   of_coarse_detail * coarse_detail.row(y)[x] +
                                   of_slope * (dx * dx + dy * dy) + of_curvature * bend * bend +
                                   of_scatter * scatter.row(y)[x] / (side * side);
            const std::size_t i = y * columns + x;
            const float height = now.height.row(y)[x];
            const float to_first = std::abs(finest.z_um[0][i] - height),
                        to_second = std::abs(finest.z_um[1][i] - height);
            const bool anywhere = in_focus(state, top, noise, y, x);
            height_um.data[i] = anywhere ? height : NAN;
            sigma_um.data[i] = anywhere ? std::sqrt(variance) : NAN;
            sharp.data[i] = finest.counts[to_second < to_first ? 1 : 0][i];
        }
    });
}

}  // namespace lee
