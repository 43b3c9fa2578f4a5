#pragma once

// The state of a refocuser on the device during a scan.

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "common/refocuser_groups.hpp"
#include "common/refocuser_pixel.hpp"
#include "common/refocuser_record.hpp"
#include "cuda/runtime.cuh"
#include "lee/refocuser.hpp"

namespace lee {

struct DeviceExtent {
    int rows, columns;
};

/// The two largest maxima of each pixel, the larger first.
struct DevicePeaks {
    float* z_um[2];
    std::uint16_t* peak[2];
    std::uint16_t* width[2];
    float* counts[2];  // null where intensities are not kept
};

/// Focus curves at one window size: the last groups of them, and the maxima so far.
struct DeviceLevel {
    DeviceLevel(DeviceExtent extent, bool finest, cudaStream_t stream);

    [[nodiscard]] DevicePeaks peaks() const;
    [[nodiscard]] std::size_t pixels() const {
        return static_cast<std::size_t>(extent.rows) * static_cast<std::size_t>(extent.columns);
    }
    [[nodiscard]] std::size_t bytes() const;

    DeviceExtent extent;
    std::array<cuda::Array<std::uint16_t>, ScanGroups::ring> ring;
    std::array<cuda::Array<float>, 2> z_um, counts;  // counts: finest level only
    std::array<cuda::Array<std::uint16_t>, 2> peak, width;
    cuda::Array<float> energy;  // this group's tensor, entry by entry; coarser levels only
};

/// Mean of a group: a sum, of 8-bit frames or of others, and what it is scaled by.
struct DeviceMean {
    const std::uint16_t* whole;
    const float* real;
    float scale;

    __device__ float operator()(std::size_t at) const {
        return (whole != nullptr ? static_cast<float>(whole[at]) : real[at]) * scale;
    }
};

/// Where to look for maxima: the ring's groups before the newest, oldest first.
struct DeviceSearch {
    const std::uint16_t* ring[4];
    float u_um[5];
    float z_um;
    DeviceMean mean;  // of the middle group
    DevicePeaks peaks;
    bool wanted;
};

/// What the cells showed in one group of frames, coded.
struct DeviceCellRow {
    double z_um;
    cuda::Array<std::uint16_t> brightness, focus;
};

/// Where a group's brightness goes: null where it is not kept.
struct DeviceCells {
    std::uint16_t* brightness;
    float* saturated;
    DeviceExtent extent;
    float saturation;  // counts
};

/// Transfer of frames from host memory: copied to pinned memory, then to the device, during the work on the
/// frame before.
class FrameTransfer {
  public:
    explicit FrameTransfer(cudaStream_t stream) : compute_(stream) {}
    ~FrameTransfer();
    FrameTransfer(const FrameTransfer&) = delete;
    FrameTransfer& operator=(const FrameTransfer&) = delete;

    /// The frame on the device, for work queued on the stream before the next call of `done`.
    const void* send(const void* frame, std::size_t bytes, int threads);
    /// All work that needs the frame sent last is queued on the stream.
    void done();

  private:
    static constexpr std::size_t slots = 3;
    struct Slot {
        void* pinned = nullptr;
        cuda::Array<unsigned char> on_device;
        cudaEvent_t copied = nullptr, used = nullptr;
    };
    void prepare(std::size_t bytes);
    void free() noexcept;

    cudaStream_t compute_, copies_ = nullptr;
    std::array<Slot, slots> slots_;
    std::size_t next_ = 0, bytes_ = 0;
};

struct DeviceRefocuser::State {
    State(std::size_t height, std::size_t width, const RefocuserParams& params, Stream stream);

    template <class Frame>
    void push(const Frame* frames, std::size_t count, std::span<const double> z_um,
              std::span<const std::array<double, 2>> drift_px);
    void close();

    [[nodiscard]] std::size_t pixels() const { return levels.front().pixels(); }
    /// Bytes held during a scan.
    [[nodiscard]] std::size_t bytes() const;
    [[nodiscard]] DeviceMean mean_of(std::size_t group) const;
    /// Focus of noise alone at one pixel, counts, on the device.
    void find_noise(float* noise) const;

    RefocuserParams params;
    cudaStream_t stream;
    DeviceExtent extent;
    ScanGroups groups;
    std::vector<DeviceLevel> levels;
    DeviceExtent cells{0, 0};
    Record<DeviceCellRow> record;
    cuda::Array<float> saturated;    // largest share of saturated pixels in a cell
    cuda::Array<double> tile_noise;  // the minimum of any group
    DeviceExtent tiles;
    double saturation = std::numeric_limits<double>::infinity();
    FrameTransfer transfer;

    std::array<cuda::Array<std::uint16_t>, ScanGroups::sums> sum_u8;  // of 8-bit frames
    std::array<cuda::Array<float>, ScanGroups::sums> sum_f32;         // of others
    std::array<cuda::Array<std::uint16_t>, ScanGroups::details> detail;

  private:
    template <class Frame>
    void accumulate(const Frame* frames, std::size_t count);
    void end_group();
    void find_dark();
    void find_detail();
    void take_energy(std::size_t newest);
    void record_focus(std::size_t group);
    void find_noise_of_tiles(std::size_t group);
    void flush();
    [[nodiscard]] DeviceSearch search_of(const DeviceLevel& level, std::size_t newest) const;

    std::size_t held_bytes_ = 0;  // of a scan that has been closed
    bool summed_ = false;         // the current group has frames in its sum
    cuda::Array<float> dark_;     // one value
    cuda::Array<float> moved_;    // the newest group's mean, moved by its drift's part below a pixel
};

/// The levels of a closed scan become height, sigma and image, all on the device.
void fuse(const DeviceRefocuser::State& state, float* height_um, float* sigma_um, float* sharp);
/// Pixels where texture of their own came into focus, 1 or 0, on the device.
void find_textured(const DeviceRefocuser::State& state, std::uint8_t* textured, bool beside_stronger);

}  // namespace lee
