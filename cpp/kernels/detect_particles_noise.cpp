// The difference without the texture of the frames, and the noise that weighs its pixels.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "common/parallel.hpp"
#include "kernels/detect_particles_state.hpp"

namespace lee::particles {
namespace {

constexpr std::size_t stride = simd::tile_stride;

struct Tile {
    std::size_t k, y0, y1, x0, columns;
};

template <class Work>
void for_each_tile(const State& state, const Work& work) {
    const Tiles& tiles = state.tiles;
    parallel_for(tiles.size(), state.params.threads, [&](std::size_t k, int) {
        const std::size_t y = k / tiles.x.count, x = k % tiles.x.count;
        work(Tile{k, tiles.y.begin(y), tiles.y.begin(y + 1), tiles.x.begin(x),
                  tiles.x.begin(x + 1) - tiles.x.begin(x)});
    });
}

simd::ParticleRow row_at(const State& state, std::size_t y, std::size_t x) {
    return {.difference = state.left.row(y) + x,
            .reference = state.reference.row(y) + x,
            .above = state.brightness.row_before(y) + x,
            .here = state.brightness.row(y) + x,
            .below = state.brightness.row_after(y) + x,
            .axial = state.axial ? state.axial.row(y) + x : nullptr};
}

/// Columns of a tile's sums added up.
template <std::size_t N>
std::array<double, N> total(const float* sums, std::size_t columns) {
    std::array<double, N> out{};
    for (std::size_t k = 0; k < N; ++k) {
        for (std::size_t x = 0; x < columns; ++x) out[k] += sums[k * stride + x];
    }
    return out;
}

Start begin(const State& state, const Tile& tile) {
    std::vector<float> difference, brightness;
    for (std::size_t y = tile.y0; y < tile.y1; y += start_step) {
        for (std::size_t x = tile.x0; x < tile.x0 + tile.columns; x += start_step) {
            difference.push_back(state.left.row(y)[x]);
            brightness.push_back(state.brightness.row(y)[x]);
        }
    }
    return start_of(difference, brightness);
}

Fit fit(const State& state, const Tile& tile, const Start& start, double clip) {
    alignas(vector_bytes) std::array<float, Sum::sums * stride> columns{};
    for (std::size_t y = tile.y0; y < tile.y1; ++y) {
        state.loops.add_sums(row_at(state, y, tile.x0), start.offset, start.level,
                             static_cast<float>(clip * start.sigma), columns.data(), tile.columns);
    }
    return fit_of(total<Sum::sums>(columns.data(), tile.columns), start, clip, state.textured[tile.k] != 0);
}

void free_rows(State& state, const std::vector<Start>& starts, const std::vector<Fit>& fits) {
    const std::size_t n = state.columns;
    const std::array<std::vector<float>, coefficients> maps = coefficient_maps(fits, starts);
    std::vector<char> rows_textured(state.tiles.y.count);
    for (std::size_t k = 0; k < state.tiles.size(); ++k) {
        if (state.textured[k]) rows_textured[k / state.tiles.x.count] = 1;
    }
    const auto is_textured = [&](std::size_t y) {
        const Between& at = state.ramps.of_y[y];
        return rows_textured[at.low] || rows_textured[at.high];
    };
    constexpr std::size_t strip = 16;
    parallel_for((state.rows + strip - 1) / strip, state.params.threads, [&](std::size_t band, int) {
        const auto ramps = aligned_array<float>(coefficients * n);
        std::array<const float*, coefficients> rows;
        for (std::size_t c = 0; c < coefficients; ++c) rows[c] = ramps.get() + c * n;
        for (std::size_t y = band * strip; y < std::min(state.rows, (band + 1) * strip); ++y) {
            if (!is_textured(y)) continue;
            for (std::size_t c = 0; c < coefficients; ++c)
                state.ramps.row(state.loops, maps[c].data(), y, ramps.get() + c * n);
            state.loops.free(row_at(state, y, 0), rows.data(), state.left.row(y), n);
        }
    });
}

float largest_difference(const State& state) {
    float largest = 0;
    for (std::size_t y = 0; y < state.rows; ++y) {
        for (std::size_t x = 0; x < state.columns; ++x)
            largest = std::fmax(largest, std::abs(state.left.row(y)[x]));
    }
    return largest;
}

NoiseModel noise_within(const State& state, const std::vector<Start>& starts,
                        const std::vector<Variance>& limits) {
    std::vector<std::array<double, noise_sums>> totals(state.tiles.size());
    for_each_tile(state, [&](const Tile& tile) {
        alignas(vector_bytes) std::array<float, noise_sums * stride> columns{};
        for (std::size_t y = tile.y0; y < tile.y1; ++y) {
            state.loops.add_noise(state.left.row(y) + tile.x0, state.brightness.row(y) + tile.x0,
                                  starts[tile.k].level, limits[tile.k], columns.data(), tile.columns);
        }
        totals[tile.k] = total<noise_sums>(columns.data(), tile.columns);
    });
    return noise_of(state.tiles, totals, starts, noise_clip, state.floor);
}

void weigh(State& state, const std::vector<Start>& starts, const std::vector<Fit>& fits) {
    const std::size_t n = state.columns;
    NoiseModel model = noise_within(state, starts, noise_limits(fits));
    for (int round = 1; round < noise_rounds && model.typical > 0; ++round) {
        model = noise_within(state, starts, noise_limits(model));
    }
    if (!(model.typical > 0) && !(state.floor > 0))
        model = noise_of_noiseless(largest_difference(state), state.tiles.size());
    state.found.noise = model.typical;
    // Only the model of texture needs the frame as it is once more.
    state.weight = is_textured(state) ? Padded(state.rows, n) : std::move(state.reference);
    const std::array<std::vector<float>, 3> maps = variance_maps(model);
    state.slope = maps[1];
    constexpr std::size_t strip = 16;
    parallel_for((state.rows + strip - 1) / strip, state.params.threads, [&](std::size_t band, int) {
        const auto rows = aligned_array<float>(maps.size() * n);
        const simd::VarianceRow of{rows.get(), rows.get() + n, rows.get() + 2 * n};
        for (std::size_t y = band * strip; y < std::min(state.rows, (band + 1) * strip); ++y) {
            for (std::size_t k = 0; k < maps.size(); ++k)
                state.ramps.row(state.loops, maps[k].data(), y, rows.get() + k * n);
            state.loops.weigh(state.left.row(y), state.brightness.row(y), of, state.weight.row(y), n);
        }
    });
}

}  // namespace

void free_of_texture(State& state) {
    std::vector<Start> starts(state.tiles.size());
    std::vector<Fit> fits(state.tiles.size());
    flatten_once(state);
    for (int round = 0; round < texture_rounds; ++round) {
        for_each_tile(state, [&](const Tile& tile) {
            if (round > 0 && !state.textured[tile.k]) {
                fits[tile.k].coefficient = {};
                return;
            }
            starts[tile.k] = begin(state, tile);
            fits[tile.k] = fit(state, tile, starts[tile.k], noise_clip);
            state.textured[tile.k] = fits[tile.k].textured;
        });
        const bool any = is_textured(state);
        if (any) free_rows(state, starts, fits);
        flatten_once(state);
        if (!any) break;
    }
    weigh(state, starts, fits);
}

}  // namespace lee::particles
