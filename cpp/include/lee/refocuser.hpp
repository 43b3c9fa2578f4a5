#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lee/device.hpp"
#include "lee/export.hpp"
#include "lee/view.hpp"

namespace lee {

struct RefocuserParams {
    double depth_of_field_um = 3.0;  ///< full width at half maximum of the focus curve
    std::size_t window_y_px = 5;     ///< rows of the finest window, odd; each coarser one is twice as large
    std::size_t window_x_px = 5;     ///< columns of the finest window, odd
    std::size_t detail_px = 5;       ///< the variance is taken about the mean of this odd square
    int threads = 0;                 ///< 0 = all available cores; the result does not depend on it
};

/// What is known of one pixel's focus curve: its two largest local maxima at one window size.
///
/// shape   (2, H, W): the larger first
/// unit    z_um, NaN where there is no maximum    peak in counts (squared detail over mean)
///         width_um: standard deviation of the Gaussian fitted to the curve, NaN where it did not fit
struct FocusPeaks {
    HostView<float, 3> z_um, peak, width_um;
};

/// Finds, while a scan runs, where each pixel is in best focus.
///
/// Frames are pushed one by one with the height they focus on. Frames closer together than about a quarter of
/// the depth of field are averaged. What deviates from the local mean is normalised as in the normalised
/// variance (Sun, Duthaler, Nelson 2004); the tensor of its gradient, taken between neighbouring averages so
/// that noise cancels, is pooled over windows of four sizes, each twice the last. Focus is the tensor's
/// smaller eigenvalue and 0.15 of the larger: texture runs both ways, a bubble's rim one. The two largest
/// maxima over z are kept for each window, with a Gaussian fitted to the focus curve around them. No frame
/// and no focus volume is kept: the state is bounded, whatever the length of the scan.
class LEE_API Refocuser {
  public:
    struct State;  // not offered; see the kernel

    /// throws ShapeError where an extent is zero; std::invalid_argument for other parameters
    Refocuser(std::size_t height, std::size_t width, const RefocuserParams& params = {});
    ~Refocuser();
    Refocuser(Refocuser&&) noexcept;
    Refocuser& operator=(Refocuser&&) noexcept;

    /// Take a frame that focuses on z_um; z strictly rises or strictly falls from frame to frame.
    ///
    /// The frame shows the scene displaced by (drift_y, drift_x) pixels; that is taken back, edges are
    /// repeated. Frames averaged together are taken back by the mean of their drifts. NaN pixels lend their
    /// surroundings no focus. throws ShapeError, std::invalid_argument before anything is changed
    void push(HostView<const std::uint8_t, 2> frame, double z_um, double drift_y_px = 0.0,
              double drift_x_px = 0.0);
    void push(HostView<const std::uint16_t, 2> frame, double z_um, double drift_y_px = 0.0,
              double drift_x_px = 0.0);
    void push(HostView<const float, 2> frame, double z_um, double drift_y_px = 0.0, double drift_x_px = 0.0);

    /// Counts at and above which a pixel is saturated, from now on; until then none is.
    void saturate_at(double counts) noexcept;

    /// Heights so far, from the second window size; NaN where no maximum has been passed. At any time.
    void preview(HostView<float, 2> height_um) const;

    /// End the scan: what is still pending is taken in. Nothing can be pushed afterwards.
    void close();

    /// The result, of `close` first: all window sizes weighed pixel by pixel.
    ///
    /// shape   all (H, W)
    /// unit    height_um and its standard deviation sigma_um; sharp in counts: the all-in-focus image
    /// NaN     height and sigma where no window has a maximum inside the scan
    void finish(HostView<float, 2> height_um, HostView<float, 2> sigma_um, HostView<float, 2> sharp);

    /// Least and largest mean brightness over the scan, in counts, of cells of 16 by 16 pixels, and the
    /// largest share of saturated pixels in them: something that comes and goes, such as a bubble, shows in
    /// them. shape   all (ceil(H / 16), ceil(W / 16))
    void brightness(HostView<float, 2> least, HostView<float, 2> most, HostView<float, 2> saturated) const;

    [[nodiscard]] std::size_t frames() const noexcept;
    [[nodiscard]] std::size_t levels() const noexcept;
    /// Bytes held for each pixel, whatever the number of frames.
    [[nodiscard]] double state_bytes_per_pixel() const noexcept;
    [[nodiscard]] std::size_t level_height(std::size_t level) const;
    [[nodiscard]] std::size_t level_width(std::size_t level) const;
    /// The maxima found at a window size (level 0 is the finest; level k has a pixel for 2^k by 2^k pixels).
    void peaks(std::size_t level, const FocusPeaks& out) const;
    /// Counts (2, H, W) in the frames where the finest window's maxima lie.
    void counts(HostView<float, 3> out) const;
    /// Of every group of frames its height, and by how many pixels (down, across) `sharp` and `counts` show
    /// it displaced against the heights: the part of its drift that whole pixels do not take back.
    [[nodiscard]] std::vector<std::array<double, 3>> rests() const;
    /// Focus in counts that noise alone gives to one pixel, before pooling; NaN before the second group of
    /// frames.
    [[nodiscard]] float noise() const;

  private:
    std::unique_ptr<State> state_;
};

/// The same on a CUDA device.
///
/// All work is queued on the stream given at the start, and calls return before it is done; where results go
/// to host memory they wait for it. Frames in host memory are copied through pinned memory on a stream of
/// their own, so that copies overlap with the work on frames before; the frame may be reused when `push`
/// returns. Maxima equal those of `Refocuser` bit for bit; heights, sigmas and images too, unless the noise,
/// whose sum is taken in another order, rounds differently: then heights agree within 1e-3 of the depth of
/// field. Every function throws DeviceError where the device fails, DeviceMemoryError where it has too little
/// memory; other errors as `Refocuser`.
class LEE_API DeviceRefocuser {
  public:
    struct State;  // not offered; see the kernel

    DeviceRefocuser(std::size_t height, std::size_t width, const RefocuserParams& params = {},
                    Stream stream = {});
    ~DeviceRefocuser();
    DeviceRefocuser(DeviceRefocuser&&) noexcept;
    DeviceRefocuser& operator=(DeviceRefocuser&&) noexcept;

    void push(HostView<const std::uint8_t, 2> frame, double z_um, double drift_y_px = 0.0,
              double drift_x_px = 0.0);
    void push(HostView<const std::uint16_t, 2> frame, double z_um, double drift_y_px = 0.0,
              double drift_x_px = 0.0);
    void push(HostView<const float, 2> frame, double z_um, double drift_y_px = 0.0, double drift_x_px = 0.0);

    /// Take several frames of a resident stack, one at each of z_um; drift_px (down, across) of each, or
    /// none.
    void push(DeviceView<const std::uint8_t, 3> frames, std::span<const double> z_um,
              std::span<const std::array<double, 2>> drift_px = {});
    void push(DeviceView<const std::uint16_t, 3> frames, std::span<const double> z_um,
              std::span<const std::array<double, 2>> drift_px = {});
    void push(DeviceView<const float, 3> frames, std::span<const double> z_um,
              std::span<const std::array<double, 2>> drift_px = {});

    void saturate_at(double counts) noexcept;
    void preview(HostView<float, 2> height_um) const;
    void preview(DeviceView<float, 2> height_um) const;
    void close();
    void finish(HostView<float, 2> height_um, HostView<float, 2> sigma_um, HostView<float, 2> sharp);
    void finish(DeviceView<float, 2> height_um, DeviceView<float, 2> sigma_um, DeviceView<float, 2> sharp);
    void brightness(HostView<float, 2> least, HostView<float, 2> most, HostView<float, 2> saturated) const;

    [[nodiscard]] std::size_t frames() const noexcept;
    [[nodiscard]] std::size_t levels() const noexcept;
    /// Of device memory.
    [[nodiscard]] double state_bytes_per_pixel() const noexcept;
    [[nodiscard]] std::size_t level_height(std::size_t level) const;
    [[nodiscard]] std::size_t level_width(std::size_t level) const;
    void peaks(std::size_t level, const FocusPeaks& out) const;
    void counts(HostView<float, 3> out) const;
    [[nodiscard]] std::vector<std::array<double, 3>> rests() const;
    [[nodiscard]] float noise() const;

  private:
    std::unique_ptr<State> state_;
};

}  // namespace lee
