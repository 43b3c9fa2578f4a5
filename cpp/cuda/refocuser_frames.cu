// Frames in: gathered into groups, their drift taken back, and what a group shows beyond its surroundings.
#include <algorithm>
#include <cmath>

#include "cuda/refocuser_state.cuh"

namespace lee {
namespace {

constexpr const char* name = "refocuser";
constexpr std::size_t most_levels = 4;
constexpr int columns_a_thread = 4, threads = 256;
constexpr int tile = 32, tile_threads_y = 8;  // of the detail
constexpr int cell = 16;                      // of the brightness
constexpr unsigned sum_blocks = 256;

__device__ inline std::size_t at_of(int y, int x, int columns) {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(x);
}

__device__ inline int clamped(int value, int extent) {
    return min(max(value, 0), extent - 1);
}

/// sum (+)= frames, each shifted; edges are repeated.
template <class Frame, class Sum>
__global__ void add_frames(const Frame* frames, int count, Sum* sum, DeviceExtent image, int shift_y,
                           int shift_x, bool add) {
    const int y = static_cast<int>(blockIdx.y);
    const int first =
        static_cast<int>(blockIdx.x) * threads * columns_a_thread + static_cast<int>(threadIdx.x);
    const std::size_t plane = static_cast<std::size_t>(image.rows) * static_cast<std::size_t>(image.columns);
    const std::size_t row = at_of(clamped(y + shift_y, image.rows), 0, image.columns);
    std::size_t from[columns_a_thread];
    Sum value[columns_a_thread];
#pragma unroll
    for (int j = 0; j < columns_a_thread; ++j) {
        const int x = first + j * threads;
        from[j] = row + static_cast<std::size_t>(clamped(x + shift_x, image.columns));
        value[j] = add && x < image.columns ? sum[at_of(y, x, image.columns)] : Sum{0};
    }
    for (int k = 0; k < count; ++k) {
        const Frame* frame = frames + static_cast<std::size_t>(k) * plane;
#pragma unroll
        for (int j = 0; j < columns_a_thread; ++j) {
            const Sum pixel = static_cast<Sum>(frame[from[j]]);
            value[j] = add || k > 0 ? static_cast<Sum>(value[j] + pixel) : pixel;
        }
    }
#pragma unroll
    for (int j = 0; j < columns_a_thread; ++j) {
        const int x = first + j * threads;
        if (x < image.columns) sum[at_of(y, x, image.columns)] = value[j];
    }
}

/// Sum over the block of one value a thread, in thread 0.
__device__ double block_sum(double value) {
    __shared__ double part[threads];
    part[threadIdx.x] = value;
    __syncthreads();
    for (unsigned half = threads / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    const double sum = part[0];
    __syncthreads();
    return sum;
}

__global__ void sum_brightness(DeviceMean mean, std::size_t pixels, double* sums) {
    double own = 0.0;
    for (std::size_t i = blockIdx.x * threads + threadIdx.x; i < pixels;
         i += std::size_t{gridDim.x} * threads) {
        const float value = mean(i);
        own += value - value == 0.0F ? fabs(static_cast<double>(value)) : 0.0;
    }
    const double sum = block_sum(own);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void set_dark(const double* sums, unsigned count, std::size_t pixels, bool whole_counts,
                         float* dark) {
    const double sum = block_sum(threadIdx.x < count ? sums[threadIdx.x] : 0.0);
    if (threadIdx.x == 0) {
        *dark = static_cast<float>(focus::dark_level(sum / static_cast<double>(pixels), whole_counts));
    }
}

struct SixWeights {
    float of[6];
    __device__ float sum(const float (&v)[6]) const {
        return of[0] * v[0] + of[1] * v[1] + of[2] * v[2] + of[3] * v[3] + of[4] * v[4] + of[5] * v[5];
    }
};

/// The mean of a group between its pixels, `margin` pixels beyond the image too.
__global__ void move_back(DeviceMean mean, DeviceExtent image, int margin, SixWeights down, SixWeights across,
                          float* out) {
    const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), y = static_cast<int>(blockIdx.y);
    const int columns = image.columns + 2 * margin;
    if (x >= columns) return;
    float rows[6];
    for (int j = 0; j < 6; ++j) {
        const int row = clamped(y - margin + j - 2, image.rows);
        float values[6];
        for (int i = 0; i < 6; ++i) {
            values[i] = mean(at_of(row, clamped(x - margin + i - 2, image.columns), image.columns));
        }
        rows[j] = across.sum(values);
    }
    out[at_of(y, x, columns)] = down.sum(rows);
}

struct Cells {
    float *least, *most, *saturated;
    int columns;
    float saturation;
};

/// Detail of a group, and the brightness of its cells. moved: its mean with a margin of `reach`, or null.
__global__ void __launch_bounds__(tile* tile_threads_y)
    take_detail(DeviceMean mean, const float* moved, DeviceExtent image, int taps, const float* dark,
                std::uint16_t* detail, float* first_counts, float* second_counts, Cells cells) {
    const int reach = taps / 2, seen = tile + 2 * reach;
    float* values = cuda::dynamic_shared<float>();  // the mean in and around the tile
    float* sums = values + seen * seen;             // along its rows
    const int left = static_cast<int>(blockIdx.x) * tile, top = static_cast<int>(blockIdx.y) * tile;
    const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
    for (int r = ty; r < seen; r += tile_threads_y) {
        for (int c = tx; c < seen; c += tile) {
            const int y = top + r - reach, x = left + c - reach;
            if (moved != nullptr) {
                // Beyond the margin lies nothing that a pixel of the image sees.
                const int v = min(y + reach, image.rows + 2 * reach - 1);
                const int u = min(x + reach, image.columns + 2 * reach - 1);
                values[r * seen + c] = moved[at_of(v, u, image.columns + 2 * reach)];
            } else {
                values[r * seen + c] =
                    mean(at_of(clamped(y, image.rows), clamped(x, image.columns), image.columns));
            }
        }
    }
    __syncthreads();
    for (int r = ty; r < seen; r += tile_threads_y) {
        float sum = values[r * seen + tx];
        for (int tap = 1; tap < taps; ++tap) sum += values[r * seen + tx + tap];
        sums[r * tile + tx] = sum;
    }
    __syncthreads();
    const float scale = 1.0F / static_cast<float>(taps * taps);
    for (int r = ty; r < tile; r += tile_threads_y) {
        const int y = top + r, x = left + tx;
        if (y >= image.rows || x >= image.columns) continue;
        float sum = sums[r * tile + tx];
        for (int tap = 1; tap < taps; ++tap) sum += sums[(r + tap) * tile + tx];
        const std::size_t at = at_of(y, x, image.columns);
        detail[at] =
            focus::encode(focus::detail_of(values[(r + reach) * seen + tx + reach], sum * scale, *dark));
        if (first_counts != nullptr) first_counts[at] = second_counts[at] = mean(at);
    }
    // Cells: a thread a column, then one a cell, each in the order of the pixels.
    __syncthreads();
    float *in_column = sums, *full_in_column = sums + 2 * tile;
    if (ty < 2) {
        float sum = 0.0F, full = 0.0F;
        for (int r = ty * cell; r < (ty + 1) * cell && top + r < image.rows; ++r) {
            const float value = values[(r + reach) * seen + tx + reach];
            sum += value;
            full += value >= cells.saturation ? 1.0F : 0.0F;
        }
        in_column[ty * tile + tx] = sum;
        full_in_column[ty * tile + tx] = full;
    }
    __syncthreads();
    const int y = top + ty * cell, x = left + tx * cell;
    if (ty >= 2 || tx >= 2 || y >= image.rows || x >= image.columns) return;
    const int rows = min(cell, image.rows - y), columns = min(cell, image.columns - x);
    float sum = 0.0F, full = 0.0F;
    for (int k = 0; k < columns; ++k) {
        sum += in_column[ty * tile + tx * cell + k];
        full += full_in_column[ty * tile + tx * cell + k];
    }
    const auto pixels = static_cast<float>(rows * columns);
    const float brightness = sum / pixels, share = full / pixels;
    const std::size_t at = at_of(y / cell, x / cell, cells.columns);
    if (brightness < cells.least[at]) cells.least[at] = brightness;
    if (brightness > cells.most[at]) cells.most[at] = brightness;
    if (share > cells.saturated[at]) cells.saturated[at] = share;
}

__global__ void fill(float* values, std::size_t count, float value) {
    const std::size_t i = std::size_t{blockIdx.x} * threads + threadIdx.x;
    if (i < count) values[i] = value;
}

__global__ void fill_doubles(double* values, std::size_t count, double value) {
    const std::size_t i = std::size_t{blockIdx.x} * threads + threadIdx.x;
    if (i < count) values[i] = value;
}

template <class T>
void set_bytes(const cuda::Array<T>& array, int value, cudaStream_t stream) {
    cuda::expect(cudaMemsetAsync(array.get(), value, array.size() * sizeof(T), stream), name);
}

int blocks_of(int extent, std::size_t block) {
    return static_cast<int>(cuda::blocks(static_cast<std::size_t>(extent), block));
}

}  // namespace

DeviceLevel::DeviceLevel(DeviceExtent e, bool finest, cudaStream_t stream) : extent(e) {
    const std::size_t n = pixels();
    for (auto& group : ring) {
        group = cuda::Array<std::uint16_t>(name, n, stream);
        set_bytes(group, 0, stream);
    }
    for (std::size_t k = 0; k < 2; ++k) {
        z_um[k] = cuda::Array<float>(name, n, stream);
        peak[k] = cuda::Array<std::uint16_t>(name, n, stream);
        width[k] = cuda::Array<std::uint16_t>(name, n, stream);
        set_bytes(z_um[k], 0xff, stream);  // not a number
        set_bytes(peak[k], 0, stream);
        set_bytes(width[k], 0, stream);
        if (!finest) continue;
        counts[k] = cuda::Array<float>(name, n, stream);
        set_bytes(counts[k], 0, stream);
    }
    if (!finest) energy = cuda::Array<float>(name, 3 * n, stream);
}

DevicePeaks DeviceLevel::peaks() const {
    return {.z_um = {z_um[0].get(), z_um[1].get()},
            .peak = {peak[0].get(), peak[1].get()},
            .width = {width[0].get(), width[1].get()},
            .counts = {counts[0].get(), counts[1].get()}};
}

std::size_t DeviceLevel::bytes() const {
    std::size_t ring_size = 0;
    for (const auto& group : ring) ring_size += group.size();
    return sizeof(std::uint16_t) * (ring_size + 4 * pixels()) +
           sizeof(float) * (2 * pixels() + energy.size() + counts[0].size() + counts[1].size());
}

DeviceRefocuser::State::State(std::size_t height, std::size_t width, const RefocuserParams& p, Stream s)
    : params(p),
      stream(cuda::stream_of(s)),
      extent{static_cast<int>(height), static_cast<int>(width)},
      groups(height, width, p.depth_of_field_um),
      cells{blocks_of(extent.rows, cell), blocks_of(extent.columns, cell)},
      tiles{blocks_of(extent.rows, focus::tile_rows), blocks_of(extent.columns, focus::tile_columns)},
      transfer(stream) {
    levels.emplace_back(extent, true, stream);
    for (std::size_t k = 1; k < most_levels; ++k) {
        const DeviceExtent half{levels.back().extent.rows / 2, levels.back().extent.columns / 2};
        if (half.rows < static_cast<int>(p.window_y_px) || half.columns < static_cast<int>(p.window_x_px))
            break;
        levels.emplace_back(half, false, stream);
    }
    for (auto& group : detail) {
        group = cuda::Array<std::uint16_t>(name, pixels(), stream);
        set_bytes(group, 0, stream);
    }
    const auto brightness_cells =
        static_cast<std::size_t>(cells.rows) * static_cast<std::size_t>(cells.columns);
    const cuda::Launch over_cells{
        .grid = dim3(cuda::blocks(brightness_cells, threads)), .block = dim3(threads), .stream = stream};
    constexpr float infinity = std::numeric_limits<float>::infinity();
    least = cuda::Array<float>(name, brightness_cells, stream);
    most = cuda::Array<float>(name, brightness_cells, stream);
    saturated = cuda::Array<float>(name, brightness_cells, stream);
    cuda::launch(name, fill, over_cells, least.get(), brightness_cells, infinity);
    cuda::launch(name, fill, over_cells, most.get(), brightness_cells, -infinity);
    cuda::launch(name, fill, over_cells, saturated.get(), brightness_cells, 0.0F);
    const auto all_tiles = static_cast<std::size_t>(tiles.rows) * static_cast<std::size_t>(tiles.columns);
    tile_noise = cuda::Array<double>(name, all_tiles, stream);
    cuda::launch(name, fill_doubles,
                 {.grid = dim3(cuda::blocks(all_tiles, threads)), .block = dim3(threads), .stream = stream},
                 tile_noise.get(), all_tiles, std::numeric_limits<double>::infinity());
    dark_ = cuda::Array<float>(name, 1, stream);
}

DeviceMean DeviceRefocuser::State::mean_of(std::size_t group) const {
    const std::size_t slot = group % ScanGroups::sums;
    return {sum_u8[slot].get(), sum_f32[slot].get(), groups.mean_scale(group)};
}

template <class Frame>
void DeviceRefocuser::State::push(const Frame* frames, std::size_t count, std::span<const double> z_um,
                                  std::span<const std::array<double, 2>> drift_px) {
    // Frames of one group are summed in one go.
    std::size_t from = 0;
    for (std::size_t k = 0; k < count; ++k) {
        if (groups.full(z_um[k])) {
            accumulate(frames + from * pixels(), k - from);
            end_group();
            from = k;
        }
        const std::array<double, 2> drift = drift_px.empty() ? std::array<double, 2>{} : drift_px[k];
        groups.add(sizeof(Frame), !std::is_same_v<Frame, float>, z_um[k], drift);
    }
    accumulate(frames + from * pixels(), count - from);
}

template void DeviceRefocuser::State::push(const std::uint8_t*, std::size_t, std::span<const double>,
                                           std::span<const std::array<double, 2>>);
template void DeviceRefocuser::State::push(const std::uint16_t*, std::size_t, std::span<const double>,
                                           std::span<const std::array<double, 2>>);
template void DeviceRefocuser::State::push(const float*, std::size_t, std::span<const double>,
                                           std::span<const std::array<double, 2>>);

template <class Frame>
void DeviceRefocuser::State::accumulate(const Frame* frames, std::size_t count) {
    if (count == 0) return;
    const auto into = [&](auto& sums) {
        using Sum = std::remove_pointer_t<decltype(sums[0].get())>;
        for (auto& group : sums) {
            if (group.get() == nullptr) group = cuda::Array<Sum>(name, pixels(), stream);
        }
        const auto [shift_y, shift_x] = groups.shift();
        cuda::launch(
            name, add_frames<Frame, Sum>,
            {.grid = dim3(cuda::blocks(static_cast<std::size_t>(extent.columns), threads * columns_a_thread),
                          static_cast<unsigned>(extent.rows)),
             .block = dim3(threads),
             .stream = stream},
            frames, static_cast<int>(count), sums[groups.count() % ScanGroups::sums].get(), extent, shift_y,
            shift_x, summed_);
    };
    if constexpr (sizeof(Frame) == 1) {
        into(sum_u8);
    } else {
        into(sum_f32);
    }
    summed_ = true;
}

void DeviceRefocuser::State::end_group() {
    groups.end();
    summed_ = false;
    if (groups.count() == 1) find_dark();
    find_detail();
    // A group's energy needs the detail after it, so it is taken one group late.
    take_energy(groups.count() - 1);
}

void DeviceRefocuser::State::find_dark() {
    const cuda::Array<double> sums(name, sum_blocks, stream);
    cuda::launch(name, sum_brightness, {.grid = dim3(sum_blocks), .block = dim3(threads), .stream = stream},
                 mean_of(0), pixels(), sums.get());
    cuda::launch(name, set_dark, {.grid = dim3(1), .block = dim3(threads), .stream = stream}, sums.get(),
                 sum_blocks, pixels(), groups.whole_counts(), dark_.get());
}

void DeviceRefocuser::State::find_detail() {
    const std::size_t newest = groups.count() - 1;
    const auto taps = static_cast<int>(params.detail_px);
    const int reach = taps / 2;
    const DeviceMean mean = mean_of(newest);
    if (groups.between_pixels()) {
        const std::size_t rows = static_cast<std::size_t>(extent.rows + 2 * reach),
                          columns = static_cast<std::size_t>(extent.columns + 2 * reach);
        if (moved_.get() == nullptr) moved_ = cuda::Array<float>(name, rows * columns, stream);
        SixWeights down{}, across{};
        std::copy_n(groups.weights()[0].begin(), 6, down.of);
        std::copy_n(groups.weights()[1].begin(), 6, across.of);
        cuda::launch(name, move_back,
                     {.grid = dim3(cuda::blocks(columns, threads), static_cast<unsigned>(rows)),
                      .block = dim3(threads),
                      .stream = stream},
                     mean, extent, reach, down, across, moved_.get());
    }
    const std::size_t seen = tile + 2 * static_cast<std::size_t>(reach);
    DeviceLevel& finest = levels.front();
    // Where nothing ever comes into focus, the image shows the first group.
    const bool first = newest == 0;
    cuda::launch(
        name, take_detail,
        {.grid = dim3(static_cast<unsigned>(blocks_of(extent.columns, tile)),
                      static_cast<unsigned>(blocks_of(extent.rows, tile))),
         .block = dim3(tile, tile_threads_y),
         .shared_bytes = sizeof(float) * seen * (seen + tile),
         .stream = stream},
        mean, groups.between_pixels() ? moved_.get() : nullptr, extent, taps, dark_.get(),
        detail[newest % ScanGroups::details].get(), first ? finest.counts[0].get() : nullptr,
        first ? finest.counts[1].get() : nullptr,
        Cells{least.get(), most.get(), saturated.get(), cells.columns, static_cast<float>(saturation)});
}

void DeviceRefocuser::State::close() {
    if (groups.closed()) return;
    if (!groups.first()) end_group();
    groups.close();
    if (groups.count() > 0) {
        take_energy(groups.count());
        flush();
    }
    // What only frames need makes room for what follows.
    for (auto& group : sum_u8) group = {};
    for (auto& group : sum_f32) group = {};
    for (auto& group : detail) group = {};
    moved_ = {};
    for (DeviceLevel& level : levels) {
        for (auto& group : level.ring) group = {};
        level.energy = {};
    }
}

}  // namespace lee
