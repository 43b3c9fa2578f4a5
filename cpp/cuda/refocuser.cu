#include "lee/refocuser.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "common/floats.hpp"
#include "common/parallel.hpp"
#include "common/refocuser_check.hpp"
#include "cuda/refocuser_state.cuh"

namespace lee {
namespace {

constexpr const char* name = "refocuser";

/// Height of the nearest pixel of a level whose pixels cover `factor` by `factor`.
__global__ void enlarge(const float* z_um, DeviceExtent level, int factor, float* out, DeviceExtent image) {
    const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), y = static_cast<int>(blockIdx.y);
    if (x >= image.columns) return;
    const int row = min(y / factor, level.rows - 1), column = min(x / factor, level.columns - 1);
    out[static_cast<std::size_t>(y) * static_cast<std::size_t>(image.columns) + static_cast<std::size_t>(x)] =
        z_um[static_cast<std::size_t>(row) * static_cast<std::size_t>(level.columns) +
             static_cast<std::size_t>(column)];
}

/// Take out the maxima nearest to a row of the record in which their cell was occluded.
__global__ void reject_maxima(DevicePeaks peaks, DeviceExtent image, std::size_t level,
                              const std::uint8_t* occluded, DeviceExtent cells, const float* borders,
                              std::size_t count) {
    const std::size_t x = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x, y = blockIdx.y;
    if (x >= static_cast<std::size_t>(image.columns)) return;
    const auto high = static_cast<std::size_t>(cells.rows), wide = static_cast<std::size_t>(cells.columns);
    const std::size_t at = y * static_cast<std::size_t>(image.columns) + x;
    const std::size_t cell = focus::cell_of(y, level, high) * wide + focus::cell_of(x, level, wide);
    bool out[2];
    for (int slot = 0; slot < 2; ++slot) {
        const float z = peaks.z_um[slot][at];
        out[slot] = finite(z) && occluded[focus::place_among(borders, count, z) * high * wide + cell] != 0;
    }
    focus::take_out(peaks, at, out[0], out[1]);
}

std::array<std::size_t, 2> shape_of(DeviceExtent extent) {
    return {static_cast<std::size_t>(extent.rows), static_cast<std::size_t>(extent.columns)};
}

template <class T>
void download(T* to, const T* from, std::size_t count, cudaStream_t stream) {
    cuda::expect(cudaMemcpyAsync(to, from, count * sizeof(T), cudaMemcpyDeviceToHost, stream), name);
}

void wait(cudaStream_t stream) {
    cuda::expect(cudaStreamSynchronize(stream), name);
}

}  // namespace

FrameTransfer::~FrameTransfer() {
    free();
}

void FrameTransfer::free() noexcept {
    if (copies_ == nullptr) return;
    (void)cudaStreamSynchronize(copies_);
    for (Slot& slot : slots_) {
        if (slot.pinned != nullptr) (void)cudaFreeHost(slot.pinned);
        if (slot.copied != nullptr) (void)cudaEventDestroy(slot.copied);
        if (slot.used != nullptr) (void)cudaEventDestroy(slot.used);
        slot = {};
    }
    (void)cudaStreamDestroy(copies_);
    copies_ = nullptr;
    bytes_ = 0;
}

void FrameTransfer::prepare(std::size_t bytes) {
    free();
    cuda::expect(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking), name);
    for (Slot& slot : slots_) {
        cuda::expect(cudaHostAlloc(&slot.pinned, bytes, cudaHostAllocDefault), name);
        slot.on_device = cuda::Array<unsigned char>(name, bytes, compute_);
        cuda::expect(cudaEventCreateWithFlags(&slot.copied, cudaEventDisableTiming), name);
        cuda::expect(cudaEventCreateWithFlags(&slot.used, cudaEventDisableTiming), name);
        // The memory is there in the order of the other stream.
        cuda::expect(cudaEventRecord(slot.used, compute_), name);
    }
    bytes_ = bytes;
}

const void* FrameTransfer::send(const void* frame, std::size_t bytes, int threads) {
    if (bytes_ < bytes) prepare(bytes);
    Slot& slot = slots_[next_];
    // The pinned memory is free when its last copy is done; before the first copy the event is complete.
    cuda::expect(cudaEventSynchronize(slot.copied), name);
    constexpr std::size_t piece = 256U << 10;
    parallel_for((bytes + piece - 1) / piece, threads, [&](std::size_t index, int) {
        const std::size_t at = index * piece;
        std::memcpy(static_cast<char*>(slot.pinned) + at, static_cast<const char*>(frame) + at,
                    std::min(piece, bytes - at));
    });
    cuda::expect(cudaStreamWaitEvent(copies_, slot.used, 0), name);
    cuda::expect(cudaMemcpyAsync(slot.on_device.get(), slot.pinned, bytes, cudaMemcpyHostToDevice, copies_),
                 name);
    cuda::expect(cudaEventRecord(slot.copied, copies_), name);
    cuda::expect(cudaStreamWaitEvent(compute_, slot.copied, 0), name);
    return slot.on_device.get();
}

void FrameTransfer::done() {
    cuda::expect(cudaEventRecord(slots_[next_].used, compute_), name);
    next_ = (next_ + 1) % slots;
}

DeviceRefocuser::DeviceRefocuser(std::size_t height, std::size_t width, const RefocuserParams& params,
                                 Stream stream) {
    check::refocuser_params(height, width, params);
    check::that(height <= 65535 && width <= 1U << 24, name,
                "the frame shape is " + check::text(std::array{height, width}) +
                    "; on a CUDA device frames have at most 65535 rows");
    state_ = std::make_unique<State>(height, width, params, stream);
}

DeviceRefocuser::~DeviceRefocuser() = default;
DeviceRefocuser::DeviceRefocuser(DeviceRefocuser&&) noexcept = default;
DeviceRefocuser& DeviceRefocuser::operator=(DeviceRefocuser&&) noexcept = default;

namespace {

template <class Frame>
void push_host(DeviceRefocuser::State& state, const HostView<const Frame, 2>& frame, double z_um,
               double drift_y_px, double drift_x_px) {
    const std::array<double, 2> drift{drift_y_px, drift_x_px};
    // Before the frame is sent: a refused frame must neither cost a copy nor disturb the current one.
    state.groups.check(frame.shape, sizeof(Frame), {&z_um, 1}, {&drift, 1});
    const void* sent = state.transfer.send(frame.data, frame.size() * sizeof(Frame), state.params.threads);
    state.push(static_cast<const Frame*>(sent), 1, {&z_um, 1}, {&drift, 1});
    state.transfer.done();
}

template <class Frame>
void push_device(DeviceRefocuser::State& state, const DeviceView<const Frame, 3>& frames,
                 std::span<const double> z_um, std::span<const std::array<double, 2>> drift_px) {
    const auto [count, rows, columns] = frames.shape;
    check::that(
        count == z_um.size(), name,
        std::to_string(count) + " frames but " + std::to_string(z_um.size()) + " heights; give one for each");
    check::that(drift_px.empty() || drift_px.size() == count, name,
                std::to_string(count) + " frames but " + std::to_string(drift_px.size()) +
                    " drifts; give one for each, or none");
    state.groups.check({rows, columns}, sizeof(Frame), z_um, drift_px);
    if (count == 0) return;
    cuda::on_this_device(name, "frames", frames);
    state.push(frames.data, count, z_um, drift_px);
}

}  // namespace

void DeviceRefocuser::push(HostView<const std::uint8_t, 2> frame, double z_um, double drift_y_px,
                           double drift_x_px) {
    push_host(*state_, frame, z_um, drift_y_px, drift_x_px);
}
void DeviceRefocuser::push(HostView<const std::uint16_t, 2> frame, double z_um, double drift_y_px,
                           double drift_x_px) {
    push_host(*state_, frame, z_um, drift_y_px, drift_x_px);
}
void DeviceRefocuser::push(HostView<const float, 2> frame, double z_um, double drift_y_px,
                           double drift_x_px) {
    push_host(*state_, frame, z_um, drift_y_px, drift_x_px);
}

void DeviceRefocuser::push(DeviceView<const std::uint8_t, 3> frames, std::span<const double> z_um,
                           std::span<const std::array<double, 2>> drift_px) {
    push_device(*state_, frames, z_um, drift_px);
}
void DeviceRefocuser::push(DeviceView<const std::uint16_t, 3> frames, std::span<const double> z_um,
                           std::span<const std::array<double, 2>> drift_px) {
    push_device(*state_, frames, z_um, drift_px);
}
void DeviceRefocuser::push(DeviceView<const float, 3> frames, std::span<const double> z_um,
                           std::span<const std::array<double, 2>> drift_px) {
    push_device(*state_, frames, z_um, drift_px);
}

void DeviceRefocuser::saturate_at(double counts) noexcept {
    state_->saturation = counts;
}

void DeviceRefocuser::close() {
    state_->close();
}

void DeviceRefocuser::preview(DeviceView<float, 2> height_um) const {
    check::result_shape("height_um", height_um, shape_of(state_->extent));
    cuda::on_this_device(name, "height_um", height_um);
    const std::size_t k = std::min<std::size_t>(1, state_->levels.size() - 1);
    const DeviceLevel& level = state_->levels[k];
    cuda::launch(
        name, enlarge,
        {.grid = dim3(cuda::blocks(height_um.shape[1], 256), static_cast<unsigned>(height_um.shape[0])),
         .block = dim3(256),
         .stream = state_->stream},
        level.z_um[0].get(), level.extent, k == 0 ? 1 : 2, height_um.data, state_->extent);
}

void DeviceRefocuser::preview(HostView<float, 2> height_um) const {
    check::result_shape("height_um", height_um, shape_of(state_->extent));
    const cuda::Array<float> out(name, state_->pixels(), state_->stream);
    preview(DeviceView<float, 2>::at(out.get(), height_um.shape));
    download(height_um.data, out.get(), height_um.size(), state_->stream);
    wait(state_->stream);
}

void DeviceRefocuser::finish(DeviceView<float, 2> height_um, DeviceView<float, 2> sigma_um,
                             DeviceView<float, 2> sharp) {
    const auto shape = shape_of(state_->extent);
    check::result_shape("height_um", height_um, shape);
    check::result_shape("sigma_um", sigma_um, shape);
    check::result_shape("sharp", sharp, shape);
    for (const auto& view : {height_um, sigma_um, sharp})
        cuda::on_this_device(name, "an array for the result", view);
    state_->close();
    fuse(*state_, height_um.data, sigma_um.data, sharp.data);
}

void DeviceRefocuser::finish(HostView<float, 2> height_um, HostView<float, 2> sigma_um,
                             HostView<float, 2> sharp) {
    const auto shape = shape_of(state_->extent);
    check::result_shape("height_um", height_um, shape);
    check::result_shape("sigma_um", sigma_um, shape);
    check::result_shape("sharp", sharp, shape);
    const std::size_t n = state_->pixels();
    state_->close();
    const cuda::Array<float> out(name, 3 * n, state_->stream);
    fuse(*state_, out.get(), out.get() + n, out.get() + 2 * n);
    download(height_um.data, out.get(), n, state_->stream);
    download(sigma_um.data, out.get() + n, n, state_->stream);
    download(sharp.data, out.get() + 2 * n, n, state_->stream);
    wait(state_->stream);
}

void DeviceRefocuser::textured(HostView<std::uint8_t, 2> textured, bool beside_stronger) const {
    check::is_closed(state_->groups.closed());
    check::result_shape("textured", textured, shape_of(state_->extent));
    const cuda::Array<std::uint8_t> out(name, textured.size(), state_->stream);
    find_textured(*state_, out.get(), beside_stronger);
    download(textured.data, out.get(), textured.size(), state_->stream);
    wait(state_->stream);
}

std::vector<double> DeviceRefocuser::record_z_um() const {
    std::vector<double> out;
    for (const DeviceCellRow& row : state_->record.rows()) out.push_back(row.z_um);
    return out;
}

std::array<std::size_t, 2> DeviceRefocuser::cells() const {
    return shape_of(state_->cells);
}

void DeviceRefocuser::record(HostView<float, 3> brightness, HostView<float, 3> focus,
                             HostView<float, 2> saturated) const {
    const std::vector<DeviceCellRow>& rows = state_->record.rows();
    const auto [high, wide] = cells();
    check::result_shape("brightness", brightness, std::array{rows.size(), high, wide});
    check::result_shape("focus", focus, std::array{rows.size(), high, wide});
    check::result_shape("saturated", saturated, std::array{high, wide});
    const std::size_t n = high * wide;
    if (n == 0) return;
    std::vector<std::uint16_t> codes(2 * rows.size() * n);
    for (std::size_t k = 0; k < rows.size(); ++k) {
        download(codes.data() + k * n, rows[k].brightness.get(), n, state_->stream);
        download(codes.data() + (rows.size() + k) * n, rows[k].focus.get(), n, state_->stream);
    }
    download(saturated.data, state_->saturated.get(), n, state_->stream);
    wait(state_->stream);
    for (std::size_t i = 0; i < rows.size() * n; ++i) {
        brightness.data[i] = focus::decode(codes[i]);
        focus.data[i] = focus::decode(codes[rows.size() * n + i]);
    }
}

void DeviceRefocuser::reject(HostView<const std::uint8_t, 3> occluded) {
    check::is_closed(state_->groups.closed());
    const auto [high, wide] = cells();
    check::result_shape("occluded", occluded, std::array{state_->record.rows().size(), high, wide});
    if (occluded.size() == 0) return;
    const RecordHeights heights(record_z_um());
    // Rows in rising order, as the borders are.
    std::vector<std::uint8_t> rising;
    rising.reserve(occluded.size());
    for (const std::size_t row : heights.order) {
        const std::uint8_t* from = occluded.data + row * high * wide;
        rising.insert(rising.end(), from, from + high * wide);
    }
    const auto mask = cuda::upload(name, rising.data(), rising.size(), state_->stream);
    const auto borders = cuda::upload(name, heights.borders.data(), heights.borders.size(), state_->stream);
    for (std::size_t k = 0; k < state_->levels.size(); ++k) {
        const DeviceLevel& level = state_->levels[k];
        cuda::launch(name, reject_maxima,
                     {.grid = dim3(cuda::blocks(static_cast<std::size_t>(level.extent.columns), 256),
                                   static_cast<unsigned>(level.extent.rows)),
                      .block = dim3(256),
                      .stream = state_->stream},
                     level.peaks(), level.extent, k, mask.get(), state_->cells, borders.get(),
                     heights.borders.size());
    }
}

std::size_t DeviceRefocuser::frames() const noexcept {
    return state_->groups.frames();
}

std::size_t DeviceRefocuser::levels() const noexcept {
    return state_->levels.size();
}

double DeviceRefocuser::state_bytes_per_pixel() const noexcept {
    return static_cast<double>(state_->bytes()) / static_cast<double>(state_->pixels());
}

std::size_t DeviceRefocuser::level_height(std::size_t level) const {
    return static_cast<std::size_t>(state_->levels.at(level).extent.rows);
}

std::size_t DeviceRefocuser::level_width(std::size_t level) const {
    return static_cast<std::size_t>(state_->levels.at(level).extent.columns);
}

void DeviceRefocuser::peaks(std::size_t level, const FocusPeaks& out) const {
    const DeviceLevel& from = state_->levels.at(level);
    const std::size_t n = from.pixels();
    const std::array<std::size_t, 3> shape{2, shape_of(from.extent)[0], shape_of(from.extent)[1]};
    for (const auto& view : {out.z_um, out.peak, out.width_um}) {
        check::result_shape("an array for the peaks", view, shape);
    }
    std::vector<std::uint16_t> codes(4 * n);
    for (std::size_t k = 0; k < 2; ++k) {
        download(out.z_um.data + k * n, from.z_um[k].get(), n, state_->stream);
        download(codes.data() + k * n, from.peak[k].get(), n, state_->stream);
        download(codes.data() + (2 + k) * n, from.width[k].get(), n, state_->stream);
    }
    wait(state_->stream);
    for (std::size_t i = 0; i < 2 * n; ++i) {
        out.peak.data[i] = focus::decode(codes[i]);
        out.width_um.data[i] = focus::width_of(focus::decode(codes[2 * n + i]));
    }
}

void DeviceRefocuser::counts(HostView<float, 3> out) const {
    const DeviceLevel& from = state_->levels.front();
    const auto image = shape_of(from.extent);
    check::result_shape("counts", out, std::array<std::size_t, 3>{2, image[0], image[1]});
    for (std::size_t k = 0; k < 2; ++k) {
        download(out.data + k * from.pixels(), from.counts[k].get(), from.pixels(), state_->stream);
    }
    wait(state_->stream);
}

std::vector<std::array<double, 3>> DeviceRefocuser::residual_drifts() const {
    return state_->groups.residual_drifts();
}

float DeviceRefocuser::noise() const {
    const cuda::Array<float> noise(name, 1, state_->stream);
    state_->find_noise(noise.get());
    float value = 0.0F;
    download(&value, noise.get(), 1, state_->stream);
    wait(state_->stream);
    return value;
}

}  // namespace lee
