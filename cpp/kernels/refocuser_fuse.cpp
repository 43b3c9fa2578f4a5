// One height, its standard deviation and an image from the maxima of all levels: see
// common/refocuser_scales.hpp.
#include "kernels/refocuser_fuse.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "common/parallel.hpp"
#include "common/refocuser_scales.hpp"

namespace lee {
namespace {

constexpr std::size_t band_rows = 64;
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
        // Tap by tap: each pass over the row runs in vectors.
        for (std::size_t tap = 0; tap <= 2 * reach; ++tap) {
            const std::size_t first = reach - std::min(reach, tap);
            const std::size_t end = columns + reach - std::min(columns + reach, std::max(tap, reach));
            for (std::size_t x = first; x < end; ++x) to[x] += from[x + tap - reach];
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
    for_rows(extent.rows, threads, [&](std::size_t y) {
        const scales::Place down = scales::place_of(y, in.extent.rows);
        const float *above = in.row(down.low), *below = in.row(down.high);
        float* to = out.row(y);
        for (std::size_t x = 0; x < extent.columns; ++x) {
            const scales::Place across = scales::place_of(x, in.extent.columns);
            const float left = scales::between(above[across.low], below[across.low], down.weight);
            const float right = scales::between(above[across.high], below[across.high], down.weight);
            to[x] = scales::between(left, right, across.weight);
        }
    });
    return out;
}

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

struct Estimates {
    Map height, variance, detail;
};

Estimates start(const FocusLevel& level, const scales::NoiseModel& model, float max_detail) {
    Estimates out{Map(level.extent), Map(level.extent), Map(level.extent, max_detail)};
    const float otherwise = median_of(level.z_um[0]);
    for (std::size_t i = 0; i < out.height.values.size(); ++i) {
        const float z = level.z_um[0][i];
        out.height.values[i] = std::isfinite(z) ? z : otherwise;
        out.variance.values[i] = model.variance(model.ratio(level.peak[0][i]));
    }
    return out;
}

/// Correct the coarser estimate by a finer level.
Estimates refine(const Estimates& coarse, const FocusLevel& level, const scales::NoiseModel& model,
                 float width_um, int threads) {
    const Extent extent = level.extent;
    Estimates out{twice(coarse.height, extent, threads), twice(coarse.variance, extent, threads),
                  twice(coarse.detail, extent, threads)};
    Map weight(extent), distance(extent), noise(extent);
    for_rows(extent.rows, threads, [&](std::size_t y) {
        const std::size_t at = y * extent.columns;
        for (std::size_t x = 0; x < extent.columns; ++x) {
            const scales::Offset offset = scales::offset_of(level.z_um[0][at + x], level.peak[0][at + x],
                                                            out.height.row(y)[x], model, width_um);
            weight.row(y)[x] = offset.weight;
            distance.row(y)[x] = offset.distance;
            noise.row(y)[x] = offset.noise;
        }
    });
    weight = box_sums(weight, scales::neighbours, threads);
    distance = box_sums(distance, scales::neighbours, threads);
    noise = box_sums(noise, scales::neighbours, threads);
    for_rows(extent.rows, threads, [&](std::size_t y) {
        const std::size_t at = y * extent.columns;
        float *height = out.height.row(y), *left = out.variance.row(y), *detail = out.detail.row(y);
        for (std::size_t x = 0; x < extent.columns; ++x) {
            const std::size_t i = at + x;
            const scales::Estimate now = scales::refine(
                {height[x], left[x], detail[x]}, {weight.row(y)[x], distance.row(y)[x], noise.row(y)[x]},
                {level.z_um[0][i], level.z_um[1][i]}, {level.peak[0][i], level.peak[1][i]}, model, width_um);
            height[x] = now.height, left[x] = now.variance, detail[x] = now.detail;
        }
    });
    return out;
}

/// Variance of the finest heights about the result, summed over the window.
Map scatter_about(const Map& height, const FocusLevel& finest, std::size_t reach, float width_um,
                  int threads) {
    Map squared(height.extent);
    for_rows(height.extent.rows, threads, [&](std::size_t y) {
        const std::size_t at = y * height.extent.columns;
        for (std::size_t x = 0; x < height.extent.columns; ++x) {
            squared.row(y)[x] = scales::scatter_of(finest.z_um[0][at + x], height.row(y)[x], width_um);
        }
    });
    return box_sums(squared, reach, threads);
}

/// The largest maxima at a pixel, of each level up to `top`, finest first.
std::array<float, scales::coarsest + 1> peaks_at(const Refocuser::State& state, std::size_t top,
                                                 std::size_t y, std::size_t x) {
    std::array<float, scales::coarsest + 1> peak{};
    for (std::size_t k = 0; k <= top; ++k) {
        const FocusLevel& level = state.levels[k];
        const std::size_t v = std::min(y >> k, level.extent.rows - 1),
                          u = std::min(x >> k, level.extent.columns - 1);
        peak[k] = focus::decode(level.peak[0][v * level.extent.columns + u]);
    }
    return peak;
}

}  // namespace

void fuse(const Refocuser::State& state, HostView<float, 2> height_um, HostView<float, 2> sigma_um,
          HostView<float, 2> sharp) {
    const int threads = state.params.threads;
    const float width_um = scales::curve_width(state.params.depth_of_field_um);
    const float noise = state.noise();
    const std::size_t top = std::min(scales::coarsest, state.levels.size() - 1);

    Estimates now = start(state.levels[top], scales::model_of(top, noise, width_um),
                          scales::start_detail * width_um * width_um);
    Map coarse_detail = now.detail;
    for (std::size_t k = top; k-- > 0;) {
        if (k == 0) coarse_detail = twice(now.detail, state.levels[0].extent, threads);
        now = refine(now, state.levels[k], scales::model_of(k, noise, width_um), width_um, threads);
    }
    const FocusLevel& finest = state.levels[0];
    const auto [rows, columns] = finest.extent;
    const std::size_t window = (state.params.window_y_px + state.params.window_x_px) / 2;
    const std::size_t reach = window / 2;
    const Map scatter = scatter_about(now.height, finest, reach, width_um, threads);
    const Map smooth = box_sums(now.height, reach, threads);
    const auto side = static_cast<float>(window);
    const float largest_of_noise =
        scales::noise_focus(noise, state.params.window_y_px * state.params.window_x_px);

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
            const scales::Estimate estimate{now.height.row(y)[x], now.variance.row(y)[x],
                                            now.detail.row(y)[x]};
            const float variance = scales::variance_of(estimate, coarse_detail.row(y)[x], here, n, s, e, w,
                                                       scatter.row(y)[x], side);
            const std::size_t i = y * columns + x;
            const float to_first = std::abs(finest.z_um[0][i] - estimate.height),
                        to_second = std::abs(finest.z_um[1][i] - estimate.height);
            const bool anywhere =
                scales::in_focus(peaks_at(state, top, y, x).data(), top + 1, largest_of_noise);
            height_um.data[i] = anywhere ? estimate.height : NAN;
            sigma_um.data[i] = anywhere ? std::sqrt(variance) : NAN;
            sharp.data[i] = finest.counts[to_second < to_first ? 1 : 0][i];
        }
    });
}

void find_textured(const Refocuser::State& state, HostView<std::uint8_t, 2> textured, bool beside_stronger) {
    const std::size_t top = std::min(scales::coarsest, state.levels.size() - 1);
    const float noise =
        scales::noise_focus(state.noise(), state.params.window_y_px * state.params.window_x_px);
    for_rows(state.extent.rows, state.params.threads, [&](std::size_t y) {
        for (std::size_t x = 0; x < state.extent.columns; ++x) {
            textured(y, x) =
                scales::textured(peaks_at(state, top, y, x).data(), top + 1, noise, beside_stronger) ? 1 : 0;
        }
    });
}

}  // namespace lee
