// The filter matched to a point's image, and how its noise differs from white noise.
#include <algorithm>
#include <cmath>

#include "common/detect_particles_texture.hpp"
#include "cuda/detect_particles_state.cuh"
#include "cuda/select.cuh"

namespace lee::particles::on_device {
namespace {

/// Symmetric weights; 0 outside the image.
struct Taps {
    const float* weights;
    int reach;
};

struct Image {
    const float* values;
    __device__ float operator()(std::size_t at) const { return values[at]; }
};

struct Product {
    const float *a, *b;
    __device__ float operator()(std::size_t at) const { return a[at] * b[at]; }
};

template <class Read>
__device__ float blurred(const Read& read, const Taps& taps, std::size_t at, std::size_t step, int place,
                         int length) {
    float sum = 0.0F;
    for (int k = -taps.reach; k <= taps.reach; ++k) {
        if (place + k < 0 || place + k >= length) continue;
        const std::size_t from =
            k < 0 ? at - static_cast<std::size_t>(-k) * step : at + static_cast<std::size_t>(k) * step;
        sum += taps.weights[k + taps.reach] * read(from);
    }
    return sum;
}

template <class Read>
__device__ float blurred_along(const Read& read, const Taps& taps, const Place& place, const Extent& image) {
    return blurred(read, taps, place.at, 1, static_cast<int>(place.x), static_cast<int>(image.columns));
}

__device__ inline float blurred_down(const float* values, const Taps& taps, const Place& place,
                                     const Extent& image) {
    return blurred(Image{values}, taps, place.at, image.columns, static_cast<int>(place.y),
                   static_cast<int>(image.rows));
}

__global__ void __launch_bounds__(threads)
    match_along(const float* left, const float* weight, Extent image, Taps shape, Taps square,
                float* numerator, float* information) {
    const Place place(image);
    if (!place.is_inside) return;
    numerator[place.at] = blurred_along(Product{left, weight}, shape, place, image);
    information[place.at] = blurred_along(Image{weight}, square, place, image);
}

__global__ void __launch_bounds__(threads)
    match_down(const float* numerator, const float* information, const float* weight, Extent image,
               Taps shape, Taps square, float least, float* snr) {
    const Place place(image);
    if (!place.is_inside) return;
    snr[place.at] = filtered(blurred_down(numerator, shape, place, image),
                             blurred_down(information, square, place, image), weight[place.at], least);
}

/// Strength of texture that a change of height reveals, over its noise.
__global__ void __launch_bounds__(threads)
    find_texture(Brightness from, bool of_axial, const float* weight, float* out) {
    const Place place(from.image);
    if (!place.is_inside) return;
    const float q = from.at(place.y, place.x, of_axial, 0.0F).axial;
    out[place.at] = weight[place.at] * q * q;
}

__global__ void __launch_bounds__(threads) blur_along(const float* in, Extent image, Taps taps, float* out) {
    const Place place(image);
    if (place.is_inside) out[place.at] = blurred_along(Image{in}, taps, place, image);
}

__global__ void __launch_bounds__(threads) blur_down(const float* in, Extent image, Taps taps, float* out) {
    const Place place(image);
    if (place.is_inside) out[place.at] = blurred_down(in, taps, place, image);
}

/// Every so many pixels along both axes.
struct Samples {
    const float *snr, *weight;
    const float* variance;  // what its square is over, or null
    Extent image;
    std::uint32_t across, count;

    Samples(const State& state, const float* over)
        : snr(state.snr.get()), weight(state.weight.get()), variance(over), image(state.image) {
        const auto along = [](std::uint32_t n) {
            constexpr std::uint32_t step = filter_step;
            return n > step / 2 ? (n - step / 2 + step - 1) / step : 0;
        };
        across = along(image.columns), count = across * along(image.rows);
    }
    __device__ std::size_t at(std::uint32_t i) const {
        const std::size_t y = filter_step / 2 + filter_step * (i / across);
        return y * image.columns + filter_step / 2 + filter_step * (i % across);
    }
    __device__ bool operator()(std::uint32_t i, std::uint32_t& key) const {
        const std::size_t here = at(i);
        float size = fabsf(snr[here]);
        if (variance != nullptr) size /= __builtin_sqrtf(variance[here]);
        // In order, as it is not negative.
        key = __builtin_bit_cast(std::uint32_t, size);
        return weight[here] > 0.0F;
    }
};

/// One block: the median size of the field, NaN without any.
__global__ void find_median(Samples samples, float* median) {
    const std::uint32_t known = cuda::count_samples<std::uint32_t>(samples.count, samples);
    float value = __builtin_nanf("");
    if (known > 0) {
        value = __builtin_bit_cast(float, cuda::select_key<std::uint32_t>(samples.count, known / 2, samples));
    }
    if (threadIdx.x == 0) *median = value;
}

/// A square below 0 is no sample.
__global__ void __launch_bounds__(threads)
    take_samples(Samples samples, const float* laplacian, const float* axial, TextureSample* out) {
    const std::uint32_t i = blockIdx.x * threads + threadIdx.x;
    if (i >= samples.count) return;
    const std::size_t at = samples.at(i);
    const float s = samples.snr[at];
    out[i] = {samples.weight[at] > 0.0F ? s * s : -1.0F, laplacian[at], axial != nullptr ? axial[at] : 0.0F};
}

__global__ void __launch_bounds__(threads)
    mix(const float* laplacian, const float* axial, Extent image, TextureVariance of, float* out) {
    const Place place(image);
    if (!place.is_inside) return;
    out[place.at] =
        of.base + of.laplacian * laplacian[place.at] + (axial != nullptr ? of.axial * axial[place.at] : 0.0F);
}

__device__ inline float size_at(const Field& field, std::size_t at) {
    const float value = field.snr[at];
    return field.texture != nullptr ? value / __builtin_sqrtf(field.texture[at]) : value;
}

/// Squares within the clip and their limit, a block a tile. `inside`: the clip's share.
__global__ void __launch_bounds__(tile_threads)
    add_squares(Tiles tiles, Field field, const float* weight, float whole, double inside, Squares* totals,
                float* limits) {
    __shared__ float sums[tile_threads], counts[tile_threads];
    __shared__ float deviation;
    const TilePlace tile(tiles);
    if (threadIdx.x == 0) deviation = whole;
    for (int round = 0; round < 2; ++round) {
        __syncthreads();
        const float limit = static_cast<float>(filter_clip) * deviation;
        float sum = 0.0F, count = 0.0F;
        for (std::size_t y = tile.y0; y < tile.y1 && threadIdx.x < tile.columns; ++y) {
            const std::size_t at = y * field.image.columns + tile.x0 + threadIdx.x;
            const float value = size_at(field, at);
            if (!within(value, limit) || !(weight[at] > 0.0F)) continue;
            sum += value * value, count += 1.0F;
        }
        sums[threadIdx.x] = sum, counts[threadIdx.x] = count;
        __syncthreads();
        if (threadIdx.x > 0) continue;
        Squares total;
        for (std::size_t x = 0; x < tile.columns; ++x) {
            total.count += static_cast<double>(counts[x]), total.sum += static_cast<double>(sums[x]);
        }
        totals[tile.k] = total;
        limits[tile.k] = limit;
        if (!(total.count > 0)) continue;
        // A tile of spots alone, or without any measured pixel, gives no noise.
        deviation = clamped(static_cast<float>(__builtin_sqrt(total.sum / total.count / inside)),
                            0.5F * whole, 2.0F * whole);
    }
}

__global__ void __launch_bounds__(threads)
    mark_spots(Field field, float threshold, int reach, std::uint8_t* marks) {
    const Place place(field.image);
    if (!place.is_inside || !field.is_maximum(place, threshold)) return;
    const int y = static_cast<int>(place.y), x = static_cast<int>(place.x);
    const int rows = static_cast<int>(field.image.rows), columns = static_cast<int>(field.image.columns);
    for (int v = max(y - reach, 0); v <= min(y + reach, rows - 1); ++v) {
        for (int u = max(x - reach, 0); u <= min(x + reach, columns - 1); ++u)
            marks[static_cast<std::size_t>(v) * field.image.columns + static_cast<std::size_t>(u)] = 1;
    }
}

/// Exclude marked pixels from the squares.
__global__ void __launch_bounds__(tile_threads)
    leave_out(Tiles tiles, Field field, const float* weight, const std::uint8_t* marks, const float* limits,
              Squares* totals) {
    __shared__ double sums[tile_threads], counts[tile_threads];
    const TilePlace tile(tiles);
    double sum = 0, count = 0;
    for (std::size_t y = tile.y0; y < tile.y1 && threadIdx.x < tile.columns; ++y) {
        const std::size_t at = y * field.image.columns + tile.x0 + threadIdx.x;
        if (marks[at] == 0 || !(weight[at] > 0.0F)) continue;
        const float value = size_at(field, at);
        if (!within(value, limits[tile.k])) continue;
        sum += static_cast<double>(value) * static_cast<double>(value), count += 1;
    }
    sums[threadIdx.x] = sum, counts[threadIdx.x] = count;
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (std::size_t x = 0; x < tile.columns; ++x) {
        totals[tile.k].sum -= sums[x];
        totals[tile.k].count -= counts[x];
    }
}

struct TapsThere {
    TapsThere(const State& state, const std::vector<float>& weights)
        : reach(static_cast<int>(weights.size() / 2)), on_device(state.upload(weights)) {}
    [[nodiscard]] Taps get() const { return {on_device.get(), reach}; }
    int reach;
    Array<float> on_device;
};

void match(State& state, double sigma_px) {
    const std::vector<float> square_taps = gaussian(sigma_px, 2);
    const TapsThere shape(state, gaussian(sigma_px, 1)), square(state, square_taps);
    const Array<float> numerator = state.map(), information = state.map();
    if (state.snr.get() == nullptr) state.snr = state.map();
    state.each_pixel(match_along, state.left.get(), state.weight.get(), state.image, shape.get(),
                     square.get(), numerator.get(), information.get());
    state.each_pixel(match_down, numerator.get(), information.get(), state.weight.get(), state.image,
                     shape.get(), square.get(), min_information(square_taps), state.snr.get());
}

/// Strength around each pixel of the texture that a change of height reveals, over its noise.
Array<float> strength(const State& state, double sigma_px, bool of_axial) {
    const TapsThere mean(state, mean_gaussian(sigma_px));
    Array<float> out = state.map();
    const Array<float> along = state.map();
    state.each_pixel(find_texture, state.shared(), of_axial, state.weight.get(), out.get());
    state.each_pixel(blur_along, out.get(), state.image, mean.get(), along.get());
    state.each_pixel(blur_down, along.get(), state.image, mean.get(), out.get());
    return out;
}

/// Variance of the filter's output where texture raises it, from squares of snr against the texture's
/// strength.
void model_texture(State& state, double sigma_px) {
    const Array<float> laplacian = strength(state, sigma_px, false);
    Array<float> axial;
    if (state.axial.get() != nullptr) axial = strength(state, sigma_px, true);
    const Samples samples(state, nullptr);
    std::vector<TextureSample> known;
    if (samples.count > 0) {
        const Array<TextureSample> taken = state.array<TextureSample>(samples.count);
        state.each(samples.count, take_samples, samples, laplacian.get(), axial.get(), taken.get());
        known = state.download(taken);
        std::erase_if(known, [](const TextureSample& one) { return one.square < 0; });
    }
    if (state.texture.get() == nullptr) state.texture = state.map();
    state.each_pixel(mix, laplacian.get(), axial.get(), state.image, texture_variance(known),
                     state.texture.get());
}

/// Robust standard deviation of the whole field, as it is or without the texture's part.
float whole_deviation(const State& state, const float* texture) {
    const Samples samples(state, texture);
    if (samples.count == 0) return 1.0F;
    const Array<float> median = state.array<float>(1);
    cuda::launch(operation, find_median, {.grid = dim3(1), .block = dim3(512), .stream = state.stream},
                 samples, median.get());
    const float known = state.download(median)[0];
    return std::isnan(known) ? 1.0F : particles::whole_deviation(known);
}

void scale(State& state, double sigma_px) {
    float whole = whole_deviation(state, nullptr);
    state.found.excess = whole;
    if (state.textured) whole = whole_deviation(state, state.texture.get());
    const Array<Squares> totals = state.array<Squares>(state.tiles.size());
    const Array<float> limits = state.array<float>(state.tiles.size());
    const Array<std::uint8_t> marks = state.zeros<std::uint8_t>(state.image.pixels());
    state.each_tile(add_squares, state.tiles, state.field(), state.weight.get(), whole,
                    clipped_variance(filter_clip), totals.get(), limits.get());
    state.scale = state.upload(deviations_of(state.download(totals), sigma_px));
    // Bright spots are not noise: estimate once more without them.
    const int reach = static_cast<int>(std::ceil(spot_reach * sigma_px));
    state.each_pixel(mark_spots, state.field(), spot_threshold, reach, marks.get());
    state.each_tile(leave_out, state.tiles, state.field(), state.weight.get(), marks.get(), limits.get(),
                    totals.get());
    state.scale = state.upload(deviations_of(state.download(totals), sigma_px));
}

__global__ void __launch_bounds__(threads)
    count_sizes(const float* left, const float* weight, const float* snr, Extent image, float deviation,
                std::uint32_t step, std::uint32_t* counts) {
    const Place place(image);
    if (!place.is_inside || place.y % step != 0 || place.x % step != 0) return;
    const std::size_t bin = tail_bin(left[place.at], weight[place.at], snr[place.at], deviation);
    if (bin < tail_bins) atomicAdd(&counts[bin], 1U);
}

}  // namespace

NoiseTail tail_of(const State& state) {
    NoiseTail noise;
    noise.deviation = middle_of(state.download(state.scale));
    const Array<std::uint32_t> counts = state.zeros<std::uint32_t>(tail_bins);
    noise.step = tail_step(state.image.pixels());
    state.each_pixel(count_sizes, state.left.get(), state.weight.get(), state.snr.get(), state.image,
                     static_cast<float>(noise.deviation), static_cast<std::uint32_t>(noise.step),
                     counts.get());
    std::ranges::copy(state.download(counts), noise.pixels.begin());
    return noise;
}

void filter(State& state, double sigma_px) {
    match(state, sigma_px);
    if (state.textured) model_texture(state, sigma_px);
    scale(state, sigma_px);
}

}  // namespace lee::particles::on_device
