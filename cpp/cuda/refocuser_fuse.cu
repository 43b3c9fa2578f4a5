// One height, its standard deviation and an image from the maxima of all levels: see
// common/refocuser_scales.hpp.
#include <algorithm>
#include <cmath>

#include "common/floats.hpp"
#include "common/refocuser_scales.hpp"
#include "cuda/refocuser_state.cuh"
#include "cuda/select.cuh"

namespace lee {
namespace {

constexpr const char* name = "refocuser";
constexpr unsigned threads = 256;

__device__ inline std::size_t at_of(std::size_t y, std::size_t x, DeviceExtent extent) {
    return y * static_cast<std::size_t>(extent.columns) + x;
}

/// This thread's pixel; false where there is none.
__device__ inline bool pixel(DeviceExtent extent, std::size_t& y, std::size_t& x) {
    x = std::size_t{blockIdx.x} * threads + threadIdx.x;
    y = blockIdx.y;
    return x < static_cast<std::size_t>(extent.columns);
}

cuda::Launch over(DeviceExtent extent, cudaStream_t stream) {
    return {.grid = dim3(cuda::blocks(static_cast<std::size_t>(extent.columns), threads),
                         static_cast<unsigned>(extent.rows)),
            .block = dim3(threads),
            .stream = stream};
}

/// Finite heights as keys in order.
struct Heights {
    const float* values;
    __device__ bool operator()(std::uint32_t i, std::uint32_t& key) const {
        key = sort_key(values[i]);
        return finite(values[i]);
    }
};

/// 0 where no height is finite.
__global__ void find_median_height(const float* z_um, std::uint32_t pixels, float* median) {
    const Heights sample{z_um};
    const std::uint32_t count = cuda::count_samples<std::uint32_t>(pixels, sample);
    if (count == 0) {
        if (threadIdx.x == 0) *median = 0.0F;
        return;
    }
    const std::uint32_t key = cuda::select_key<std::uint32_t>(pixels, count / 2, sample);
    if (threadIdx.x == 0) *median = float_of_key(key);
}

struct Estimates {
    float *height, *variance, *detail;
};

/// One level, from which estimates are made.
struct Level {
    DevicePeaks peaks;
    DeviceExtent extent;
    std::size_t number;
    float width_um;
    const float* noise;

    __device__ scales::NoiseModel model() const { return scales::model_of(number, *noise, width_um); }
};

__global__ void start(Level level, const float* otherwise, float max_detail, Estimates out) {
    std::size_t y, x;
    if (!pixel(level.extent, y, x)) return;
    const std::size_t i = at_of(y, x, level.extent);
    const scales::NoiseModel model = level.model();
    const float z = level.peaks.z_um[0][i];
    out.height[i] = finite(z) ? z : *otherwise;
    out.variance[i] = model.variance(model.ratio(level.peaks.peak[0][i]));
    out.detail[i] = max_detail;
}

/// A map of the next coarser level at a pixel of this one, bilinear.
__device__ float enlarged(const float* map, DeviceExtent coarse, std::size_t y, std::size_t x) {
    const scales::Place down = scales::place_of(y, static_cast<std::size_t>(coarse.rows));
    const scales::Place across = scales::place_of(x, static_cast<std::size_t>(coarse.columns));
    const float left = scales::between(map[at_of(down.low, across.low, coarse)],
                                       map[at_of(down.high, across.low, coarse)], down.weight);
    const float right = scales::between(map[at_of(down.low, across.high, coarse)],
                                        map[at_of(down.high, across.high, coarse)], down.weight);
    return scales::between(left, right, across.weight);
}

__global__ void enlarge(const float* map, DeviceExtent coarse, float* out, DeviceExtent extent) {
    std::size_t y, x;
    if (pixel(extent, y, x)) out[at_of(y, x, extent)] = enlarged(map, coarse, y, x);
}

/// The coarser estimate at this level, and what each pixel adds to its neighbours' sums.
__global__ void compare(Estimates coarse, DeviceExtent coarse_extent, Level level, Estimates out,
                        float* weight, float* distance, float* noise) {
    std::size_t y, x;
    if (!pixel(level.extent, y, x)) return;
    const std::size_t i = at_of(y, x, level.extent);
    const float height = enlarged(coarse.height, coarse_extent, y, x);
    out.height[i] = height;
    out.variance[i] = enlarged(coarse.variance, coarse_extent, y, x);
    out.detail[i] = enlarged(coarse.detail, coarse_extent, y, x);
    const scales::Offset offset = scales::offset_of(level.peaks.z_um[0][i], level.peaks.peak[0][i], height,
                                                    level.model(), level.width_um);
    weight[i] = offset.weight;
    distance[i] = offset.distance;
    noise[i] = offset.noise;
}

__global__ void sum_along(const float* in, float* out, DeviceExtent extent, int reach) {
    std::size_t y, x;
    if (!pixel(extent, y, x)) return;
    const int column = static_cast<int>(x);
    const float* row = in + y * static_cast<std::size_t>(extent.columns);
    float sum = 0.0F;
    for (int k = max(column - reach, 0); k <= min(column + reach, extent.columns - 1); ++k) sum += row[k];
    out[at_of(y, x, extent)] = sum;
}

__global__ void sum_down(const float* in, float* out, DeviceExtent extent, int reach) {
    std::size_t y, x;
    if (!pixel(extent, y, x)) return;
    const int row = static_cast<int>(y);
    float sum = 0.0F;
    for (int k = max(row - reach, 0); k <= min(row + reach, extent.rows - 1); ++k) {
        sum += in[at_of(static_cast<std::size_t>(k), x, extent)];
    }
    out[at_of(y, x, extent)] = sum;
}

/// Correct the estimates by the level's maxima.
__global__ void correct(Level level, const float* weight, const float* distance, const float* noise,
                        Estimates estimates) {
    std::size_t y, x;
    if (!pixel(level.extent, y, x)) return;
    const std::size_t i = at_of(y, x, level.extent);
    const scales::Estimate now =
        scales::refine({estimates.height[i], estimates.variance[i], estimates.detail[i]},
                       {weight[i], distance[i], noise[i]}, {level.peaks.z_um[0][i], level.peaks.z_um[1][i]},
                       {level.peaks.peak[0][i], level.peaks.peak[1][i]}, level.model(), level.width_um);
    estimates.height[i] = now.height;
    estimates.variance[i] = now.variance;
    estimates.detail[i] = now.detail;
}

__global__ void find_scatter(const float* z_um, const float* height, DeviceExtent extent, float width_um,
                             float* out) {
    std::size_t y, x;
    if (!pixel(extent, y, x)) return;
    const std::size_t i = at_of(y, x, extent);
    out[i] = scales::scatter_of(z_um[i], height[i], width_um);
}

/// Peaks of the levels that decide whether anything was in focus, finest first.
struct Focused {
    const std::uint16_t* peak[scales::coarsest + 1];
    DeviceExtent extent[scales::coarsest + 1];
    int levels;
    std::size_t window_pixels;
    const float* noise;

    /// The largest maxima at a pixel.
    __device__ void at(std::size_t y, std::size_t x, float (&of)[scales::coarsest + 1]) const {
        for (int k = 0; k < levels; ++k) {
            const std::size_t v = min(y >> k, static_cast<std::size_t>(extent[k].rows - 1));
            const std::size_t u = min(x >> k, static_cast<std::size_t>(extent[k].columns - 1));
            of[k] = focus::decode(peak[k][at_of(v, u, extent[k])]);
        }
    }
    [[nodiscard]] __device__ float largest_of_noise() const {
        return scales::noise_focus(*noise, window_pixels);
    }
};

/// smooth: the height summed over the window
__global__ void assemble(Estimates now, const float* coarse_detail, const float* smooth, const float* scatter,
                         DevicePeaks peaks, DeviceExtent extent, int reach, float side, Focused focused,
                         float* height_um, float* sigma_um, float* sharp) {
    std::size_t y, x;
    if (!pixel(extent, y, x)) return;
    const int rows = extent.rows, columns = extent.columns;
    const auto smoothed = [&](int v, int u) {
        const int h = min(rows - 1, v + reach) - max(v - reach, 0) + 1;
        const int w = min(columns - 1, u + reach) - max(u - reach, 0) + 1;
        return smooth[at_of(static_cast<std::size_t>(v), static_cast<std::size_t>(u), extent)] /
               static_cast<float>(h * w);
    };
    const int v = static_cast<int>(y), u = static_cast<int>(x);
    const float here = smoothed(v, u), n = smoothed(max(v - 1, 0), u), s = smoothed(min(v + 1, rows - 1), u),
                e = smoothed(v, min(u + 1, columns - 1)), w = smoothed(v, max(u - 1, 0));
    const std::size_t i = at_of(y, x, extent);
    const scales::Estimate estimate{now.height[i], now.variance[i], now.detail[i]};
    const float variance =
        scales::variance_of(estimate, coarse_detail[i], here, n, s, e, w, scatter[i], side);
    const float to_first = fabsf(peaks.z_um[0][i] - estimate.height),
                to_second = fabsf(peaks.z_um[1][i] - estimate.height);
    float peak[scales::coarsest + 1] = {};
    focused.at(y, x, peak);
    const bool anywhere =
        scales::in_focus(peak, static_cast<std::size_t>(focused.levels), focused.largest_of_noise());
    height_um[i] = anywhere ? estimate.height : __builtin_nanf("");
    sigma_um[i] = anywhere ? __builtin_sqrtf(variance) : __builtin_nanf("");
    sharp[i] = peaks.counts[to_second < to_first ? 1 : 0][i];
}

__global__ void mark_textured(DeviceExtent extent, Focused focused, bool beside_stronger,
                              std::uint8_t* textured) {
    std::size_t y, x;
    if (!pixel(extent, y, x)) return;
    float peak[scales::coarsest + 1] = {};
    focused.at(y, x, peak);
    textured[at_of(y, x, extent)] = scales::textured(peak, static_cast<std::size_t>(focused.levels),
                                                     focused.largest_of_noise(), beside_stronger)
                                        ? 1
                                        : 0;
}

Focused focused_of(const DeviceRefocuser::State& state, std::size_t top, const float* noise) {
    Focused focused{
        {}, {}, static_cast<int>(top) + 1, state.params.window_y_px * state.params.window_x_px, noise};
    for (std::size_t k = 0; k <= top; ++k) {
        focused.peak[k] = state.levels[k].peak[0].get();
        focused.extent[k] = state.levels[k].extent;
    }
    return focused;
}

/// Maps of one level.
struct Maps {
    Maps(const DeviceLevel& level, cudaStream_t stream)
        : height(name, level.pixels(), stream),
          variance(name, level.pixels(), stream),
          detail(name, level.pixels(), stream) {}
    [[nodiscard]] Estimates get() const { return {height.get(), variance.get(), detail.get()}; }
    cuda::Array<float> height, variance, detail;
};

/// Sums over squares of 2 reach + 1 pixels, clipped to the image; `along` is scratch.
void box_sums(float* map, float* along, DeviceExtent extent, std::size_t reach, cudaStream_t stream) {
    cuda::launch(name, sum_along, over(extent, stream), map, along, extent, static_cast<int>(reach));
    cuda::launch(name, sum_down, over(extent, stream), along, map, extent, static_cast<int>(reach));
}

}  // namespace

void fuse(const DeviceRefocuser::State& state, float* height_um, float* sigma_um, float* sharp) {
    const cudaStream_t stream = state.stream;
    const float width_um = scales::curve_width(state.params.depth_of_field_um);
    const std::size_t top = std::min(scales::coarsest, state.levels.size() - 1);
    const cuda::Array<float> noise(name, 1, stream), median(name, 1, stream);
    state.find_noise(noise.get());
    const auto level_at = [&](std::size_t k) {
        return Level{state.levels[k].peaks(), state.levels[k].extent, k, width_um, noise.get()};
    };
    const DeviceLevel& coarsest = state.levels[top];
    cuda::launch(name, find_median_height, {.grid = dim3(1), .block = dim3(1024), .stream = stream},
                 coarsest.z_um[0].get(), static_cast<std::uint32_t>(coarsest.pixels()), median.get());
    Maps now(coarsest, stream);
    const float max_detail = scales::start_detail * width_um * width_um;
    cuda::launch(name, start, over(coarsest.extent, stream), level_at(top), median.get(), max_detail,
                 now.get());

    const DeviceLevel& finest = state.levels.front();
    const std::size_t pixels = finest.pixels();
    const cuda::Array<float> coarse_detail(name, pixels, stream), weight(name, pixels, stream),
        distance(name, pixels, stream), offset_noise(name, pixels, stream), along(name, pixels, stream);
    if (top == 0) {
        cuda::expect(cudaMemcpyAsync(coarse_detail.get(), now.detail.get(), pixels * sizeof(float),
                                     cudaMemcpyDeviceToDevice, stream),
                     name);
    }
    for (std::size_t k = top; k-- > 0;) {
        const DeviceLevel& level = state.levels[k];
        const DeviceExtent coarse = state.levels[k + 1].extent;
        if (k == 0) {
            cuda::launch(name, enlarge, over(level.extent, stream), now.detail.get(), coarse,
                         coarse_detail.get(), level.extent);
        }
        Maps finer(level, stream);
        cuda::launch(name, compare, over(level.extent, stream), now.get(), coarse, level_at(k), finer.get(),
                     weight.get(), distance.get(), offset_noise.get());
        for (float* map : {weight.get(), distance.get(), offset_noise.get()}) {
            box_sums(map, along.get(), level.extent, scales::neighbours, stream);
        }
        cuda::launch(name, correct, over(level.extent, stream), level_at(k), weight.get(), distance.get(),
                     offset_noise.get(), finer.get());
        now = std::move(finer);
    }

    const std::size_t window = (state.params.window_y_px + state.params.window_x_px) / 2;
    const std::size_t reach = window / 2;
    float *scatter = weight.get(), *smooth = distance.get();
    cuda::launch(name, find_scatter, over(finest.extent, stream), finest.z_um[0].get(), now.height.get(),
                 finest.extent, width_um, scatter);
    cuda::expect(
        cudaMemcpyAsync(smooth, now.height.get(), pixels * sizeof(float), cudaMemcpyDeviceToDevice, stream),
        name);
    box_sums(scatter, along.get(), finest.extent, reach, stream);
    box_sums(smooth, along.get(), finest.extent, reach, stream);
    const Focused focused = focused_of(state, top, noise.get());
    cuda::launch(name, assemble, over(finest.extent, stream), now.get(), coarse_detail.get(), smooth, scatter,
                 finest.peaks(), finest.extent, static_cast<int>(reach), static_cast<float>(window), focused,
                 height_um, sigma_um, sharp);
}

void find_textured(const DeviceRefocuser::State& state, std::uint8_t* textured, bool beside_stronger) {
    const std::size_t top = std::min(scales::coarsest, state.levels.size() - 1);
    const cuda::Array<float> noise(name, 1, state.stream);
    state.find_noise(noise.get());
    const DeviceExtent extent = state.levels.front().extent;
    cuda::launch(name, mark_textured, over(extent, state.stream), extent, focused_of(state, top, noise.get()),
                 beside_stronger, textured);
}

}  // namespace lee
