// The difference without the texture of the frames, and the noise that weighs its pixels.
#include <array>
#include <cmath>

#include "cuda/detect_particles_state.cuh"

namespace lee::particles::on_device {
namespace {

/// Along both axes of a tile, at most.
constexpr unsigned max_samples = (tile_threads + start_step - 1) / start_step;

/// The value of a rank in order, of n values that may be NaN, which are not counted. Called by a whole block.
__device__ float value_of_rank(const float* values, unsigned n, unsigned rank) {
    __shared__ float found;
    for (unsigned i = threadIdx.x; i < n; i += blockDim.x) {
        unsigned below = 0, equal = 0;
        for (unsigned k = 0; k < n; ++k) {
            below += values[k] < values[i] ? 1U : 0U;
            equal += values[k] == values[i] ? 1U : 0U;
        }
        if (below <= rank && rank < below + equal) found = values[i];
    }
    __syncthreads();
    const float value = found;
    __syncthreads();
    return value;
}

/// start_of, a block a tile.
__global__ void __launch_bounds__(tile_threads)
    begin_tiles(Tiles tiles, const float* difference, const float* brightness, Extent image, Start* starts) {
    __shared__ float sample[max_samples * max_samples], bright[max_samples * max_samples];
    __shared__ unsigned known;
    const TilePlace tile(tiles);
    const auto across = static_cast<unsigned>((tile.columns + start_step - 1) / start_step);
    const auto all = static_cast<unsigned>((tile.y1 - tile.y0 + start_step - 1) / start_step) * across;
    if (threadIdx.x == 0) known = 0;
    __syncthreads();
    for (unsigned i = threadIdx.x; i < all; i += tile_threads) {
        const std::size_t at =
            (tile.y0 + start_step * (i / across)) * image.columns + tile.x0 + start_step * (i % across);
        sample[i] = difference[at], bright[i] = brightness[at];
        if (sample[i] == sample[i]) atomicAdd(&known, 1U);
    }
    __syncthreads();
    const unsigned n = known;
    float offset = 0.0F, farthest = 0.0F;
    unsigned inner = 0;
    if (n > 0) {
        offset = value_of_rank(sample, all, n / 2);
        for (unsigned i = threadIdx.x; i < all; i += tile_threads) sample[i] = fabsf(sample[i] - offset);
        __syncthreads();
        inner = inner_samples(n);
        farthest = value_of_rank(sample, all, inner - 1);
    }
    if (threadIdx.x > 0) return;
    double level = 0, inner_sum = 0, whole_sum = 0;
    unsigned nearer = 0;
    for (unsigned i = 0; i < all; ++i) {
        level += static_cast<double>(bright[i]);
        const float off = sample[i];
        const double square = static_cast<double>(off) * static_cast<double>(off);
        if (off == off) whole_sum += square;
        if (off < farthest) inner_sum += square, ++nearer;
    }
    inner_sum += (inner - nearer) * (static_cast<double>(farthest) * static_cast<double>(farthest));
    starts[tile.k] = {offset, n > 0 ? start_sigma(inner_sum, inner, whole_sum, n) : 0.0F,
                      static_cast<float>(level / all)};
}

/// The sums of a tile's columns, as floats, added up.
template <std::size_t n>
__device__ void add_up(const float (&own)[n], const TilePlace& tile, double* out) {
    __shared__ float columns[n][tile_threads];
    for (std::size_t k = 0; k < n; ++k) columns[k][threadIdx.x] = own[k];
    __syncthreads();
    if (threadIdx.x >= n) return;
    double sum = 0;
    for (std::size_t x = 0; x < tile.columns; ++x) sum += static_cast<double>(columns[threadIdx.x][x]);
    out[tile.k * n + threadIdx.x] = sum;
}

/// A block a tile, a thread a column.
__global__ void __launch_bounds__(tile_threads)
    add_sums(Tiles tiles, const float* difference, Brightness from, const Start* starts, double clip,
             double* out) {
    const TilePlace tile(tiles);
    const auto [offset, sigma, level] = starts[tile.k];
    const auto limit = static_cast<float>(clip * static_cast<double>(sigma));
    const bool has_axial = from.axial != nullptr;
    float sum[Sum::sums] = {};
    const std::size_t x = tile.x0 + threadIdx.x;
    for (std::size_t y = tile.y0; y < tile.y1 && threadIdx.x < tile.columns; ++y) {
        const Regressors at =
            from.at(static_cast<std::uint32_t>(y), static_cast<std::uint32_t>(x), has_axial, level);
        const float d = difference[y * from.image.columns + x];
        if (!within(d - offset, limit)) continue;
        const float of[regressors] = {at.x, at.y, at.axial, at.brightness};
        sum[Sum::count] += 1.0F;
        std::size_t pair = of_xx;
#pragma unroll
        for (std::size_t i = 0; i < regressors; ++i) {
            sum[of_x + i] += of[i];
            sum[of_xd + i] += d * of[i];
#pragma unroll
            for (std::size_t j = i; j < regressors; ++j) sum[pair++] += of[i] * of[j];
        }
        sum[of_d] += d;
        sum[of_dd] += d * d;
    }
    add_up(sum, tile, out);
}

/// Maps of coefficients, one after another, each a value for each tile.
__global__ void __launch_bounds__(threads)
    free_pixels(Brightness from, Ramp maps, std::size_t tiles, float* left) {
    const Place place(from.image);
    if (!place.is_inside) return;
    float c[coefficients];
    for (std::size_t k = 0; k < coefficients; ++k, maps.by_tile += tiles) c[k] = maps(place);
    const Regressors at = from.at(place.y, place.x, from.axial != nullptr, 0.0F);
    left[place.at] = left[place.at] - taken(at, c[0], c[1], c[2], c[3], c[4]);
}

__global__ void __launch_bounds__(tile_threads)
    add_noise(Tiles tiles, const float* left, const float* brightness, Extent image, const Start* starts,
              const Variance* limits, double* out) {
    const TilePlace tile(tiles);
    const float level = starts[tile.k].level;
    const Variance limit = limits[tile.k];
    float sum[noise_sums] = {};
    for (std::size_t y = tile.y0; y < tile.y1 && threadIdx.x < tile.columns; ++y) {
        const std::size_t at = y * image.columns + tile.x0 + threadIdx.x;
        const float r = left[at], m = brightness[at] - level;
        if (!(r * r < variance_of(limit, brightness[at]))) continue;
        sum[noise_count] += 1.0F;
        sum[of_m] += m, sum[of_mm] += m * m;
        sum[of_rr] += r * r, sum[of_rrm] += r * r * m;
    }
    add_up(sum, tile, out);
}

/// Floats that are not negative are in the order of their bits.
__global__ void __launch_bounds__(threads)
    find_largest(const float* left, Extent image, std::uint32_t* largest) {
    const Place place(image);
    if (!place.is_inside || left[place.at] != left[place.at]) return;
    const auto bits = __builtin_bit_cast(std::uint32_t, fabsf(left[place.at]));
    if (bits > *largest) atomicMax(largest, bits);
}

__global__ void __launch_bounds__(threads) weigh_pixels(const float* brightness, Extent image, Ramp base,
                                                        Ramp slope, Ramp least, float* left, float* weight) {
    const Place place(image);
    if (!place.is_inside) return;
    const float value = left[place.at];
    const float variance = variance_of({base(place), slope(place), least(place)}, brightness[place.at]);
    const bool use = value == value && variance > 0.0F;
    weight[place.at] = use ? 1.0F / variance : 0.0F;
    left[place.at] = use ? value : 0.0F;
}

/// The sums of tiles: N doubles of each.
template <std::size_t N>
std::vector<std::array<double, N>> by_tile(const std::vector<double>& sums) {
    std::vector<std::array<double, N>> out(sums.size() / N);
    for (std::size_t k = 0; k < sums.size(); ++k) out[k / N][k % N] = sums[k];
    return out;
}

float largest_difference(const State& state) {
    const Array<std::uint32_t> largest = state.zeros<std::uint32_t>(1);
    state.each_pixel(find_largest, state.left.get(), state.image, largest.get());
    return __builtin_bit_cast(float, state.download(largest)[0]);
}

NoiseModel noise_within(const State& state, const std::vector<Start>& starts,
                        const Array<Start>& starts_there, const std::vector<Variance>& limits) {
    const Array<Variance> limits_there = state.upload(limits);
    const Array<double> sums = state.array<double>(state.tiles.size() * noise_sums);
    state.each_tile(add_noise, state.tiles, state.left.get(), state.brightness.get(), state.image,
                    starts_there.get(), limits_there.get(), sums.get());
    return noise_of(state.tiles, by_tile<noise_sums>(state.download(sums)), starts, noise_clip, state.floor);
}

void weigh(State& state, const std::vector<Start>& starts, const Array<Start>& starts_there,
           const std::vector<Fit>& fits) {
    NoiseModel model = noise_within(state, starts, starts_there, noise_limits(fits));
    for (int round = 1; round < noise_rounds && model.typical > 0; ++round) {
        model = noise_within(state, starts, starts_there, noise_limits(model));
    }
    if (!(model.typical > 0) && !(state.floor > 0))
        model = noise_of_noiseless(largest_difference(state), state.tiles.size());
    state.found.noise = model.typical;
    state.weight = state.map();
    const auto maps = variance_maps(model);
    const Array<float> base = state.upload(maps[0]), least = state.upload(maps[2]);
    state.slope = state.upload(maps[1]);
    state.each_pixel(weigh_pixels, state.brightness.get(), state.image, state.ramp(base),
                     state.ramp(state.slope), state.ramp(least), state.left.get(), state.weight.get());
}

}  // namespace

void free_of_texture(State& state) {
    const std::size_t count = state.tiles.size();
    const Array<Start> starts_there = state.array<Start>(count);
    const Array<double> sums = state.array<double>(count * Sum::sums);
    std::vector<Start> starts;
    std::vector<Fit> fits(count);
    flatten_once(state);
    for (int round = 0; round < texture_rounds; ++round) {
        state.each_tile(begin_tiles, state.tiles, state.left.get(), state.brightness.get(), state.image,
                        starts_there.get());
        state.each_tile(add_sums, state.tiles, state.left.get(), state.shared(), starts_there.get(),
                        noise_clip, sums.get());
        const std::vector<double> known = state.download(sums);
        starts = state.download(starts_there);
        for (std::size_t k = 0; k < count; ++k) {
            if (round > 0 && !fits[k].textured) {
                fits[k].coefficient = {};
                continue;
            }
            fits[k] = fit_of(std::span<const double, Sum::sums>(&known[k * Sum::sums], Sum::sums), starts[k],
                             noise_clip, fits[k].textured);
        }
        for (const Fit& fit : fits) state.textured = state.textured || fit.textured;
        if (state.textured) {
            std::vector<float> maps;
            for (const auto& map : coefficient_maps(fits, starts))
                maps.insert(maps.end(), map.begin(), map.end());
            const Array<float> maps_there = state.upload(maps);
            state.each_pixel(free_pixels, state.shared(), state.ramp(maps_there), count, state.left.get());
        }
        flatten_once(state);
        if (!state.textured) break;
    }
    weigh(state, starts, starts_there, fits);
}

}  // namespace lee::particles::on_device
