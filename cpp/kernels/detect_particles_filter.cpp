// The filter matched to a point's image, and how its noise differs from white noise.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "common/detect_particles_texture.hpp"
#include "common/parallel.hpp"
#include "kernels/detect_particles_state.hpp"

namespace lee::particles {
namespace {

constexpr std::size_t block_rows = 64, block_columns = 512;

struct Block {
    std::size_t y0, y1, x0, x1;
    [[nodiscard]] std::size_t columns() const { return x1 - x0; }
};

template <class Work>
void for_each_block(const State& state, const Work& work) {
    const std::size_t down = (state.rows + block_rows - 1) / block_rows;
    const std::size_t across = (state.columns + block_columns - 1) / block_columns;
    parallel_for(down * across, state.params.threads, [&](std::size_t k, int) {
        const std::size_t y = k / across * block_rows, x = k % across * block_columns;
        work(Block{y, std::min(y + block_rows, state.rows), x, std::min(x + block_columns, state.columns)});
    });
}

/// A block of an image, weighted along both axes by symmetric taps; 0 outside the image.
class Blurred {
  public:
    Blurred(const State& state, const Block& block, const std::vector<float>& taps)
        : state_(state), block_(block), taps_(taps), reach_(taps.size() / 2) {
        const std::size_t rows = block.y1 - block.y0 + 2 * reach_;
        along_ = aligned_array<float>(rows * block.columns());
        line_ = aligned_array<float>(block.columns() + 2 * reach_);
    }

    /// load(y, x0, out, n) writes n values of row y from column x0 on.
    template <class Load>
    void take(const Load& load) {
        const std::size_t n = block_.columns();
        for (std::size_t k = 0; k < block_.y1 - block_.y0 + 2 * reach_; ++k) {
            float* out = along_.get() + k * n;
            if (block_.y0 + k < reach_ || block_.y0 + k - reach_ >= state_.rows) {
                std::fill_n(out, n, 0.0F);
                continue;
            }
            const std::size_t y = block_.y0 + k - reach_;
            const std::size_t from = block_.x0 < reach_ ? 0 : block_.x0 - reach_;
            const std::size_t to = std::min(block_.x1 + reach_, state_.columns);
            const std::size_t lead = from + reach_ - block_.x0;
            std::fill_n(line_.get(), lead, 0.0F);
            load(y, from, line_.get() + lead, to - from);
            std::fill_n(line_.get() + lead + (to - from), n + 2 * reach_ - lead - (to - from), 0.0F);
            state_.loops.weigh_along(line_.get(), taps_.data(), taps_.size(), out, n);
        }
    }

    void row(std::size_t y, float* out) const {
        std::array<const float*, max_taps> rows;
        for (std::size_t k = 0; k < taps_.size(); ++k) {
            rows[k] = along_.get() + (y - block_.y0 + k) * block_.columns();
        }
        state_.loops.weigh_rows(rows.data(), taps_.data(), taps_.size(), out, block_.columns());
    }

    static constexpr std::size_t max_taps = 64;

  private:
    const State& state_;
    Block block_;
    const std::vector<float>& taps_;
    std::size_t reach_;
    AlignedArray<float> along_, line_;
};

void match(State& state, double sigma_px) {
    const std::vector<float> shape = gaussian(sigma_px, 1), square = gaussian(sigma_px, 2);
    const float least = min_information(square);
    if (!state.snr) {
        state.snr = is_textured(state) ? Padded(state.rows, state.columns) : std::move(state.brightness);
        state.snr.clear_around();
    }
    for_each_block(state, [&](const Block& block) {
        Blurred numerator(state, block, shape), information(state, block, square);
        numerator.take([&](std::size_t y, std::size_t x, float* out, std::size_t n) {
            state.loops.multiply(state.left.row(y) + x, state.weight.row(y) + x, out, n);
        });
        information.take([&](std::size_t y, std::size_t x, float* out, std::size_t n) {
            std::copy_n(state.weight.row(y) + x, n, out);
        });
        const auto a = aligned_array<float>(block.columns()), b = aligned_array<float>(block.columns());
        for (std::size_t y = block.y0; y < block.y1; ++y) {
            numerator.row(y, a.get());
            information.row(y, b.get());
            state.loops.ratio(a.get(), b.get(), state.weight.row(y) + block.x0, least,
                              state.snr.row(y) + block.x0, block.columns());
        }
    });
}

/// Strength around each pixel of the texture that a change of height reveals, over its noise.
Padded strength(const State& state, double sigma_px, bool of_axial) {
    const std::vector<float> mean = mean_gaussian(sigma_px);
    Padded out(state.rows, state.columns);
    for_each_block(state, [&](const Block& block) {
        Blurred blurred(state, block, mean);
        blurred.take([&](std::size_t y, std::size_t x, float* line, std::size_t n) {
            state.loops.texture({.difference = nullptr,
                                 .reference = state.reference.row(y) + x,
                                 .above = state.brightness.row_before(y) + x,
                                 .here = state.brightness.row(y) + x,
                                 .below = state.brightness.row_after(y) + x,
                                 .axial = of_axial ? state.axial.row(y) + x : nullptr},
                                state.weight.row(y) + x, line, n);
        });
        for (std::size_t y = block.y0; y < block.y1; ++y) blurred.row(y, out.row(y) + block.x0);
    });
    return out;
}

/// Variance of the filter's output where texture raises it, from squares of snr against the texture's
/// strength.
void model_texture(State& state, double sigma_px) {
    const Padded laplacian = strength(state, sigma_px, false);
    Padded axial;
    if (state.axial) axial = strength(state, sigma_px, true);
    std::vector<TextureSample> samples;
    for (std::size_t y = filter_step / 2; y < state.rows; y += filter_step) {
        for (std::size_t x = filter_step / 2; x < state.columns; x += filter_step) {
            if (!(state.weight.row(y)[x] > 0)) continue;
            const float s = state.snr.row(y)[x];
            samples.push_back({s * s, laplacian.row(y)[x], axial ? axial.row(y)[x] : 0.0F});
        }
    }
    const TextureVariance variance = texture_variance(samples);
    if (!state.texture) state.texture = Padded(state.rows, state.columns);
    for_each_block(state, [&](const Block& block) {
        for (std::size_t y = block.y0; y < block.y1; ++y) {
            state.loops.mix(laplacian.row(y) + block.x0, axial ? axial.row(y) + block.x0 : nullptr,
                            variance.base, variance.laplacian, variance.axial,
                            state.texture.row(y) + block.x0, block.columns());
        }
    });
}

/// Robust standard deviation of the whole field, as it is or without the texture's part.
float whole_deviation(const State& state, bool without_texture) {
    std::vector<float> sizes;
    for (std::size_t y = filter_step / 2; y < state.rows; y += filter_step) {
        for (std::size_t x = filter_step / 2; x < state.columns; x += filter_step) {
            if (!(state.weight.row(y)[x] > 0)) continue;
            const float variance = without_texture ? state.texture.row(y)[x] : 1.0F;
            sizes.push_back(std::abs(state.snr.row(y)[x]) / std::sqrt(variance));
        }
    }
    if (sizes.empty()) return 1.0F;
    const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
    std::nth_element(sizes.begin(), middle, sizes.end());
    return particles::whole_deviation(*middle);
}

/// Squares within `clip` deviations, by tile, and their limits.
struct TileSquares {
    std::vector<Squares> totals;
    std::vector<float> limits;
};

TileSquares squares_of(const State& state, float whole) {
    const Tiles& tiles = state.tiles;
    TileSquares out{std::vector<Squares>(tiles.size()), std::vector<float>(tiles.size())};
    parallel_for(tiles.size(), state.params.threads, [&](std::size_t k, int) {
        const std::size_t ty = k / tiles.x.count, tx = k % tiles.x.count;
        const std::size_t x0 = tiles.x.begin(tx), n = tiles.x.begin(tx + 1) - x0;
        alignas(vector_bytes) std::array<float, simd::tile_stride> value, sum, count, ones;
        ones.fill(1.0F);
        float deviation = whole;
        for (int round = 0; round < 2; ++round) {
            sum.fill(0.0F), count.fill(0.0F);
            out.limits[k] = static_cast<float>(filter_clip) * deviation;
            for (std::size_t y = tiles.y.begin(ty); y < tiles.y.begin(ty + 1); ++y) {
                const float* values = state.snr.row(y) + x0;
                if (state.texture) {
                    std::copy_n(values, n, value.data());
                    state.loops.normalise(value.data(), ones.data(), state.texture.row(y) + x0, n);
                    values = value.data();
                }
                state.loops.add_squares(values, state.weight.row(y) + x0, out.limits[k], sum.data(),
                                        count.data(), n);
            }
            Squares& total = out.totals[k] = {};
            for (std::size_t i = 0; i < n; ++i) total.count += count[i], total.sum += sum[i];
            if (!(total.count > 0)) continue;
            deviation =
                static_cast<float>(std::sqrt(total.sum / total.count / clipped_variance(filter_clip)));
            // A tile of spots alone, or without any measured pixel, gives no noise.
            deviation = std::clamp(deviation, 0.5F * whole, 2.0F * whole);
        }
    });
    return out;
}

/// Exclude pixels near spots from the squares.
void leave_out(const State& state, const std::vector<Candidate>& spots, double sigma_px,
               TileSquares& squares) {
    std::vector<char> seen(state.rows * state.columns);
    const auto reach = static_cast<std::size_t>(std::ceil(spot_reach * sigma_px));
    for (const auto& [cy, cx] : spots) {
        const std::size_t x0 = cx > reach ? cx - reach : 0, x1 = std::min(cx + reach + 1, state.columns);
        for (std::size_t y = cy > reach ? cy - reach : 0; y < std::min(cy + reach + 1, state.rows); ++y) {
            const std::size_t row = state.tiles.y.of(y) * state.tiles.x.count;
            for (std::size_t x = x0; x < x1; ++x) {
                if (std::exchange(seen[y * state.columns + x], char{1}) || !(state.weight.row(y)[x] > 0))
                    continue;
                const std::size_t tile = row + state.tiles.x.of(x);
                float value = state.snr.row(y)[x];
                if (state.texture) value /= std::sqrt(state.texture.row(y)[x]);
                if (!within(value, squares.limits[tile])) continue;
                squares.totals[tile].count -= 1;
                squares.totals[tile].sum -= double{value} * value;
            }
        }
    }
}

/// Rows of the field's standard deviation times a factor.
void limits_at(const State& state, std::size_t y, float times, float* out) {
    state.ramps.row(state.loops, state.scale.data(), y, out);
    state.loops.raise(state.texture ? state.texture.row(y) : nullptr, times, out, state.columns);
}

}  // namespace

std::vector<Candidate> maxima(const State& state, float threshold) {
    const std::size_t strips = (state.rows + block_rows - 1) / block_rows;
    std::vector<std::vector<Candidate>> found(strips);
    parallel_for(strips, state.params.threads, [&](std::size_t strip, int) {
        std::vector<float> limit(state.columns);
        std::vector<std::uint8_t> is(state.columns);
        for (std::size_t y = strip * block_rows; y < std::min(state.rows, (strip + 1) * block_rows); ++y) {
            limits_at(state, y, threshold, limit.data());
            if (state.loops.maxima(state.snr.row_before(y), state.snr.row(y), state.snr.row_after(y),
                                   limit.data(), is.data(), state.columns) == 0) {
                continue;
            }
            for (std::size_t x = 0; x < state.columns; ++x) {
                if (is[x]) found[strip].push_back({y, x});
            }
        }
    });
    std::vector<Candidate> all;
    for (const auto& part : found) all.insert(all.end(), part.begin(), part.end());
    return all;
}

namespace {

void scale(State& state, double sigma_px) {
    const float whole = whole_deviation(state, false);
    state.found.excess = whole;
    TileSquares squares = squares_of(state, state.texture ? whole_deviation(state, true) : whole);
    state.scale = deviations_of(squares.totals, sigma_px);
    // Bright spots are not noise: estimate once more without them.
    leave_out(state, maxima(state, spot_threshold), sigma_px, squares);
    state.scale = deviations_of(squares.totals, sigma_px);
}

}  // namespace

NoiseTail tail_of(const State& state) {
    NoiseTail noise;
    noise.deviation = middle_of(state.scale);
    const auto deviation = static_cast<float>(noise.deviation);
    noise.step = tail_step(state.rows * state.columns);
    for (std::size_t y = 0; y < state.rows; y += noise.step) {
        for (std::size_t x = 0; x < state.columns; x += noise.step) {
            const std::size_t bin =
                tail_bin(state.left.row(y)[x], state.weight.row(y)[x], state.snr.row(y)[x], deviation);
            if (bin < tail_bins) ++noise.pixels[bin];
        }
    }
    return noise;
}

void filter(State& state, double sigma_px) {
    match(state, sigma_px);
    if (is_textured(state)) model_texture(state, sigma_px);
    scale(state, sigma_px);
}

}  // namespace lee::particles
