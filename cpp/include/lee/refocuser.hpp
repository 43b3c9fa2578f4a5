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
    std::size_t detail_px = 5;       ///< side of the odd square about whose mean the variance is taken
    int threads = 0;                 ///< 0 = all available cores; the result does not depend on it
};

/// The two largest local maxima of every pixel's focus curve at one window size.
///
/// shape   z_um, peak, width_um (2, H, W)    the larger maximum first
/// unit    z_um as pushed    peak counts (squared detail over mean)    width_um as z_um
/// width   standard deviation of the Gaussian fitted to the focus curve
/// NaN     z_um where there is no maximum, width_um where the curve fits no Gaussian
struct FocusPeaks {
    HostView<float, 3> z_um, peak, width_um;
};

/// Finds, while a scan runs, the height at which each pixel is in best focus.
///
/// Frames are pushed one by one with the height they focus on. Frames closer together than about a quarter of
/// the depth of field are averaged. The deviation from the local mean is normalised as in the normalised
/// variance (Sun, Duthaler, Nelson 2004); the tensor of its gradient, taken between neighbouring averages so
/// that noise cancels, is pooled over windows of four sizes, each twice the last. Focus is the tensor's
/// smaller eigenvalue plus 0.15 of the larger: texture runs both ways, the rim of a bubble one. The two
/// largest maxima over z are kept for each window, with a Gaussian fitted to the focus curve around them. No
/// frame and no focus volume is kept: the state is bounded, whatever the length of the scan.
///
/// shape   frames and results (H, W)    H and W >= 1    the same for all frames of a scan
/// unit    frames, sharp counts    z, height, sigma µm    drift px
/// ties    of equal neighbouring groups of frames the one pushed first is the maximum
/// NaN     pixels of a frame add no focus around them; a height is NaN where no maximum was found
/// throws  ShapeError, std::invalid_argument, each function before anything is changed
class LEE_API Refocuser {
  public:
    struct State;  // not offered; see the kernel

    /// throws  ShapeError where an extent is zero; std::invalid_argument for other parameters
    Refocuser(std::size_t height, std::size_t width, const RefocuserParams& params = {});
    ~Refocuser();
    Refocuser(Refocuser&&) noexcept;
    Refocuser& operator=(Refocuser&&) noexcept;

    /// Take a frame that focuses on z_um.
    ///
    /// order   z_um strictly rises or strictly falls from frame to frame
    /// drift   displacement of the scene in this frame, px; it is compensated, with the frame's edges
    ///         repeated. Frames that are averaged are compensated by the mean of their drifts
    /// throws  ShapeError or std::invalid_argument, before anything is changed; after `close`, too
    void push(HostView<const std::uint8_t, 2> frame, double z_um, double drift_y_px = 0.0,
              double drift_x_px = 0.0);
    void push(HostView<const std::uint16_t, 2> frame, double z_um, double drift_y_px = 0.0,
              double drift_x_px = 0.0);
    void push(HostView<const float, 2> frame, double z_um, double drift_y_px = 0.0, double drift_x_px = 0.0);

    /// Counts at and above which a pixel is saturated, in frames pushed from now on; before, none is.
    void saturate_at(double counts) noexcept;

    /// Heights so far, (H, W), µm, from the second window size; NaN where no maximum has been passed.
    void preview(HostView<float, 2> height_um) const;

    /// End the scan: frames still pending are evaluated. Nothing can be pushed afterwards.
    void close();

    /// Call `close`, then combine all window sizes pixel by pixel into the result.
    ///
    /// shape   height_um, sigma_um, sharp (H, W)
    /// unit    height_um and its standard deviation sigma_um µm    sharp counts
    /// sharp   the all-in-focus image
    /// NaN     height and sigma where no window has a maximum inside the scan
    /// throws  ShapeError
    void finish(HostView<float, 2> height_um, HostView<float, 2> sigma_um, HostView<float, 2> sharp);

    /// Pixels where texture of their own came into focus; elsewhere a height is that of texture beside them.
    ///
    /// beside  whether to ask for more, as beside much stronger texture, whose light leaks
    /// shape   textured (H, W), 1 or 0
    /// throws  ShapeError; std::invalid_argument before `close`
    void textured(HostView<std::uint8_t, 2> textured, bool beside_stronger) const;

    /// Heights of the groups that `record` holds, in the order of the scan: of all, or, of a scan of more
    /// than 128 groups, of every second, fourth ...
    [[nodiscard]] std::vector<double> record_z_um() const;
    /// Rows and columns of cells of 8 by 8 pixels, pixels beyond the last whole cell left out; both 0 where
    /// the frames are too small for four window sizes.
    [[nodiscard]] std::array<std::size_t, 2> cells() const;
    /// What cells showed in these groups: defocus hardly changes their brightness, an occlusion does at once.
    ///
    /// shape   brightness, focus (N, rows, columns)    saturated (rows, columns)
    /// unit    brightness counts, mean of a cell    focus counts, of the tensor pooled over a cell
    ///         saturated in [0, 1], the largest share of saturated pixels over the scan
    /// close   before, the focus of the last groups is not known yet, and 0
    /// throws  ShapeError
    void record(HostView<float, 3> brightness, HostView<float, 3> focus, HostView<float, 2> saturated) const;
    /// Drop maxima found in cells while something occluded them, before `finish`.
    ///
    /// shape   occluded (N, rows, columns), of the groups of `record`; not 0: maxima nearest to that group
    ///         are dropped
    /// throws  ShapeError; std::invalid_argument before `close`
    void reject(HostView<const std::uint8_t, 3> occluded);

    [[nodiscard]] std::size_t frames() const noexcept;
    [[nodiscard]] std::size_t levels() const noexcept;
    /// Bytes held for each pixel, whatever the number of frames.
    [[nodiscard]] double state_bytes_per_pixel() const noexcept;
    [[nodiscard]] std::size_t level_height(std::size_t level) const;
    [[nodiscard]] std::size_t level_width(std::size_t level) const;
    /// The maxima at a window size. Level 0 is the finest; a pixel of level k stands for 2^k by 2^k pixels.
    ///
    /// throws  ShapeError; std::out_of_range where there is no such level
    void peaks(std::size_t level, const FocusPeaks& out) const;
    /// Counts (2, H, W) at the finest window's maxima.
    void counts(HostView<float, 3> out) const;
    /// Residual drift of every group of averaged frames: its height, and the displacement (down, across) in
    /// px of `sharp` and `counts` against the heights, which whole pixels do not compensate.
    [[nodiscard]] std::vector<std::array<double, 3>> residual_drifts() const;
    /// Focus of noise alone at one pixel, before pooling, counts; NaN before the second group of frames.
    [[nodiscard]] float noise() const;

  private:
    std::unique_ptr<State> state_;
};

/// The same on a CUDA device.
///
/// All work is queued on the stream given at the start, and calls return before it is done; calls whose
/// results go to host memory wait for it. Frames in host memory are copied through pinned memory on a
/// separate stream, so that copies overlap with the work on earlier frames; a frame may be reused when `push`
/// returns.
///
/// equal   maxima to those of `Refocuser` bit for bit; heights, sigmas and images too, unless the noise,
///         whose sum is taken in another order, rounds differently: then heights agree within 1e-3 of the
///         depth of field
/// throws  as `Refocuser`; every function DeviceError where the device fails, DeviceMemoryError where it has
///         too little memory
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

    /// Take several frames of a stack in device memory.
    ///
    /// shape   frames (N, H, W)    z_um (N,)    drift_px (N,), each (down, across), or empty
    /// throws  as `Refocuser::push`; DeviceError where the frames are not on the device
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
    void textured(HostView<std::uint8_t, 2> textured, bool beside_stronger) const;
    [[nodiscard]] std::vector<double> record_z_um() const;
    [[nodiscard]] std::array<std::size_t, 2> cells() const;
    void record(HostView<float, 3> brightness, HostView<float, 3> focus, HostView<float, 2> saturated) const;
    void reject(HostView<const std::uint8_t, 3> occluded);

    [[nodiscard]] std::size_t frames() const noexcept;
    [[nodiscard]] std::size_t levels() const noexcept;
    /// Bytes of device memory held for each pixel.
    [[nodiscard]] double state_bytes_per_pixel() const noexcept;
    [[nodiscard]] std::size_t level_height(std::size_t level) const;
    [[nodiscard]] std::size_t level_width(std::size_t level) const;
    void peaks(std::size_t level, const FocusPeaks& out) const;
    void counts(HostView<float, 3> out) const;
    [[nodiscard]] std::vector<std::array<double, 3>> residual_drifts() const;
    [[nodiscard]] float noise() const;

  private:
    std::unique_ptr<State> state_;
};

}  // namespace lee
