// The state on the device, and frames as they arrive: gathered into groups, moved by whole pixels, summed.
#include <algorithm>
#include <cmath>

#include "cuda/refocuser_state.cuh"

namespace lee {
namespace {

constexpr const char* name = "refocuser";
constexpr int columns_a_thread = 4, threads = 256;

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
      tiles{blocks_of(extent.rows, focus::tile_rows), blocks_of(extent.columns, focus::tile_columns)},
      transfer(stream) {
    levels.emplace_back(extent, true, stream);
    for (std::size_t k = 1; k < focus::max_levels; ++k) {
        const DeviceExtent half{levels.back().extent.rows / 2, levels.back().extent.columns / 2};
        if (half.rows < static_cast<int>(p.window_y_px) || half.columns < static_cast<int>(p.window_x_px))
            break;
        levels.emplace_back(half, false, stream);
    }
    for (auto& group : detail) {
        group = cuda::Array<std::uint16_t>(name, pixels(), stream);
        set_bytes(group, 0, stream);
    }
    if (levels.size() > focus::cell_level) cells = levels[focus::cell_level].extent;
    const auto all_cells = static_cast<std::size_t>(cells.rows) * static_cast<std::size_t>(cells.columns);
    if (all_cells > 0) {
        saturated = cuda::Array<float>(name, all_cells, stream);
        cuda::launch(
            name, fill,
            {.grid = dim3(cuda::blocks(all_cells, threads)), .block = dim3(threads), .stream = stream},
            saturated.get(), all_cells, 0.0F);
    }
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
    record.begin(groups.count() - 1, [&] {
        const std::size_t n = saturated.size();
        DeviceCellRow row{groups.z_um(groups.count() - 1), {}, {}};
        if (n > 0) {
            row.brightness = cuda::Array<std::uint16_t>(name, n, stream);
            row.focus = cuda::Array<std::uint16_t>(name, n, stream);
            set_bytes(row.focus, 0, stream);
        }
        return row;
    });
    find_detail();
    // A group's energy needs the detail after it, so it is taken one group late.
    take_energy(groups.count() - 1);
}

std::size_t DeviceRefocuser::State::bytes() const {
    if (groups.closed()) return held_bytes_;
    std::size_t sum = 0;
    for (const auto& group : sum_u8) sum += sizeof(std::uint16_t) * group.size();
    for (const auto& group : sum_f32) sum += sizeof(float) * group.size();
    for (const auto& group : detail) sum += sizeof(std::uint16_t) * group.size();
    for (const DeviceLevel& level : levels) sum += level.bytes();
    for (const DeviceCellRow& row : record.rows())
        sum += sizeof(std::uint16_t) * (row.brightness.size() + row.focus.size());
    sum += sizeof(float) * saturated.size();
    return sum;
}

void DeviceRefocuser::State::close() {
    if (groups.closed()) return;
    if (!groups.first()) end_group();
    held_bytes_ = bytes();
    groups.close();
    if (groups.count() > 0) {
        take_energy(groups.count());
        flush();
    }
    // Memory that only frames need is freed for the steps that follow.
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
