// The difference of two frames, one of them moved over the other, and their smoothed brightness.
#include <limits>

#include "common/detect_particles_shift.hpp"
#include "common/floats.hpp"
#include "cuda/detect_particles_state.cuh"

namespace lee::particles::on_device {
namespace {

struct Loaded {
    float value;  // NaN where masked
    std::uint8_t mask;
};

template <class Pixel>
__device__ Loaded load(Pixel pixel, float limit) {
    const float value = static_cast<float>(pixel);
    if (value >= limit) return {__builtin_nanf(""), mask_saturated};
    if (!finite(value)) return {__builtin_nanf(""), mask_missing};
    return {value, not_masked};
}

/// A block a row: masked pixels get the nearest known value to the left, or else to the right, or 0.
template <class Pixel>
__global__ void __launch_bounds__(threads)
    fill_masked(const Pixel* in, Extent image, float limit, float* out, std::uint8_t* masks) {
    __shared__ float first[threads], last[threads];
    const std::size_t row = std::size_t{blockIdx.x} * image.columns;
    const std::uint32_t n = image.columns, t = threadIdx.x;
    int any = 0;
    for (std::uint32_t x = t; x < n; x += threads) {
        const Loaded one = load(in[row + x], limit);
        out[row + x] = one.value;
        masks[row + x] = one.mask;
        any |= one.mask;
    }
    if (__syncthreads_or(any) == 0) return;
    // Each thread fills a stretch of its own.
    const std::uint32_t each = (n + threads - 1) / threads;
    const std::uint32_t begin = min(t * each, n), end = min(begin + each, n);
    first[t] = last[t] = __builtin_nanf("");
    for (std::uint32_t x = begin; x < end; ++x) {
        const float value = out[row + x];
        if (value != value) continue;
        if (first[t] != first[t]) first[t] = value;
        last[t] = value;
    }
    __syncthreads();
    float known = __builtin_nanf("");
    for (std::uint32_t k = t; k > 0 && known != known; --k) known = last[k - 1];
    for (std::uint32_t k = 0; k < threads && known != known; ++k) known = first[k];
    if (known != known) known = 0.0F;
    for (std::uint32_t x = begin; x < end; ++x) {
        const float value = out[row + x];
        if (value == value) {
            known = value;
        } else {
            out[row + x] = known;
        }
    }
}

/// A shift along one axis of a length.
struct Taps {
    int first, taps, low, high;
    int begin, end, last;  // pixels whose source is inside, and the last pixel
    float weights[shift_taps];

    __device__ int source(int i) const { return i < 0 ? 0 : i > last ? last : i; }
    [[nodiscard]] bool moves() const { return taps > 1 || first != 0; }
};

Taps taps_of(double shift_px, std::size_t length) {
    const Shift shift(shift_px);
    const auto [begin, end] = shift.inside(static_cast<std::ptrdiff_t>(length));
    Taps out{static_cast<int>(shift.first), shift.taps,
             static_cast<int>(shift.low),   static_cast<int>(shift.high),
             static_cast<int>(begin),       static_cast<int>(end),
             static_cast<int>(length) - 1,  {}};
    for (std::size_t k = 0; k < shift_taps; ++k) out.weights[k] = shift.weights[k];
    return out;
}

__global__ void __launch_bounds__(threads) move_along(const float* in, Extent image, Taps taps, float* out) {
    const Place place(image);
    if (!place.is_inside) return;
    const float* row = in + std::size_t{place.y} * image.columns;
    const int from = static_cast<int>(place.x) + taps.first;
    float sum = taps.weights[0] * row[taps.source(from)];
    for (int k = 1; k < taps.taps; ++k) sum += taps.weights[k] * row[taps.source(from + k)];
    out[place.at] = sum;
}

__device__ inline float moved_down(const float* in, const Extent& image, const Taps& taps,
                                   const Place& place) {
    const int from = static_cast<int>(place.y) + taps.first;
    const auto at = [&](int y) {
        return in[static_cast<std::size_t>(taps.source(y)) * image.columns + place.x];
    };
    float sum = taps.weights[0] * at(from);
    for (int k = 1; k < taps.taps; ++k) sum += taps.weights[k] * at(from + k);
    return sum;
}

__global__ void __launch_bounds__(threads) move_down(const float* in, Extent image, Taps taps, float* out) {
    const Place place(image);
    if (place.is_inside) out[place.at] = moved_down(in, image, taps, place);
}

/// The two frames of the difference; `before` has been moved along its rows.
struct Pair {
    const float* before;
    const std::uint8_t* masks;  // of `before` as it was
    Taps y, x;
    Extent image;
    float limit;
    bool disappearing;

    /// The mask of the pixels that the moved frame comes from.
    __device__ std::uint8_t mask_at(const Place& place) const {
        const int row = static_cast<int>(place.y), column = static_cast<int>(place.x);
        for (const int source : {row + y.low, row + y.high}) {
            const std::uint8_t* at = masks + static_cast<std::size_t>(y.source(source)) * image.columns;
            const std::uint8_t one = at[x.source(column + x.low)], other = at[x.source(column + x.high)];
            const std::uint8_t worse = one > other ? one : other;
            if (worse != not_masked) return worse;
        }
        return not_masked;
    }
    __device__ bool covers(const Place& place) const {
        const int row = static_cast<int>(place.y), column = static_cast<int>(place.x);
        return row >= y.begin && row < y.end && column >= x.begin && column < x.end;
    }
};

/// `reference` holds the later frame, masked pixels filled, where particles disappear. counts: saturated, and
/// all masked.
template <class Pixel>
__global__ void __launch_bounds__(threads)
    differ(Pair pair, const Pixel* after, float* difference, float* reference, unsigned long long* counts) {
    const Place place(pair.image);
    bool saturated = false, masked = false;
    if (place.is_inside) {
        const Loaded later = load(after[place.at], pair.limit);
        const float earlier = moved_down(pair.before, pair.image, pair.y, place);
        float d = pair.disappearing ? earlier - later.value : later.value - earlier;
        saturated = later.mask == mask_saturated;
        if (!pair.disappearing) reference[place.at] = earlier;
        if (!pair.covers(place)) {
            d = __builtin_nanf("");
        } else if (d == d) {
            const std::uint8_t mask = pair.mask_at(place);
            if (mask != not_masked) d = __builtin_nanf("");
            saturated = mask == mask_saturated;
        }
        masked = d != d;
        difference[place.at] = d;
    }
    const int all_saturated = __syncthreads_count(saturated);
    const int all_masked = __syncthreads_count(masked);
    if (threadIdx.x > 0) return;
    if (all_saturated > 0) atomicAdd(&counts[0], static_cast<unsigned long long>(all_saturated));
    if (all_masked > 0) atomicAdd(&counts[1], static_cast<unsigned long long>(all_masked));
}

__global__ void __launch_bounds__(threads) smooth(const float* in, Extent image, float* out) {
    constexpr float weights[] = {smooth_far, smooth_near, smooth_middle, smooth_near, smooth_far};
    const Place place(image);
    if (!place.is_inside) return;
    const auto inside = [](std::uint32_t i, int off, std::uint32_t n) {
        const std::int64_t at = std::int64_t{i} + off;
        return static_cast<std::size_t>(at < 0 ? 0 : at < n ? at : n - 1);
    };
    float sum = 0.0F;
    for (int u = 0; u < 5; ++u) {
        const float* column = in + inside(place.x, u - 2, image.columns);
        float down = weights[0] * column[inside(place.y, -2, image.rows) * image.columns];
        for (int v = 1; v < 5; ++v)
            down += weights[v] * column[inside(place.y, v - 2, image.rows) * image.columns];
        sum = u == 0 ? weights[0] * down : sum + weights[u] * down;
    }
    out[place.at] = sum;
}

/// An image with masked pixels filled, moved along its rows, and its mask.
template <class Pixel>
struct Moved {
    Moved(const State& state, const Pixel* in, float limit, const Taps& x)
        : values(state.map()), masks(state.array<std::uint8_t>(state.image.pixels())) {
        cuda::launch(operation, fill_masked<Pixel>,
                     {.grid = dim3(state.image.rows), .block = dim3(threads), .stream = state.stream}, in,
                     state.image, limit, values.get(), masks.get());
        if (!x.moves()) return;
        Array<float> along = state.map();
        state.each_pixel(move_along, values.get(), state.image, x, along.get());
        values = std::move(along);
    }
    Array<float> values;
    Array<std::uint8_t> masks;
};

}  // namespace

template <class Pixel>
void take_difference(State& state, DeviceView<const Pixel, 2> before, DeviceView<const Pixel, 2> after,
                     DeviceView<const float, 2> axial) {
    const auto limit = static_cast<float>(state.params.saturation);
    const bool disappearing = state.params.disappearing;
    const Taps y = taps_of(state.params.shift_px[0], state.image.rows);
    const Taps x = taps_of(state.params.shift_px[1], state.image.columns);
    const Array<unsigned long long> counts = state.zeros<unsigned long long>(2);
    {
        const Moved<Pixel> moved(state, before.data, limit, x);
        state.left = state.map();
        if (disappearing) {
            state.reference = std::move(Moved<Pixel>(state, after.data, limit, taps_of(0, 1)).values);
        } else {
            state.reference = state.map();
        }
        const Pair pair{moved.values.get(), moved.masks.get(), y, x, state.image, limit, disappearing};
        state.each_pixel(differ<Pixel>, pair, after.data, state.left.get(), state.reference.get(),
                         counts.get());
    }
    state.brightness = state.map();
    state.each_pixel(smooth, state.reference.get(), state.image, state.brightness.get());
    if (axial.size() > 0) {
        const Moved<float> moved(state, axial.data, std::numeric_limits<float>::infinity(), x);
        const Array<float> down = state.map();
        state.each_pixel(move_down, moved.values.get(), state.image, y, down.get());
        state.axial = state.map();
        state.each_pixel(smooth, down.get(), state.image, state.axial.get());
    }
    const std::vector<unsigned long long> known = state.download(counts);
    state.found.saturated = known[0];
    state.found.not_measured = known[1] - known[0];
}

template void take_difference(State&, DeviceView<const std::uint8_t, 2>, DeviceView<const std::uint8_t, 2>,
                              DeviceView<const float, 2>);
template void take_difference(State&, DeviceView<const std::uint16_t, 2>, DeviceView<const std::uint16_t, 2>,
                              DeviceView<const float, 2>);
template void take_difference(State&, DeviceView<const float, 2>, DeviceView<const float, 2>,
                              DeviceView<const float, 2>);

}  // namespace lee::particles::on_device
