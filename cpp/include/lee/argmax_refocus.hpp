#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lee/device.hpp"
#include "lee/export.hpp"
#include "lee/view.hpp"

namespace lee {

struct ArgmaxRefocusParams {
    std::size_t reach = 6;  ///< planes to each side of the maximum that the fit uses, >= 1
    int threads = 0;        ///< 0 = all available cores; the result does not depend on it
};

/// The results of `argmax_refocus`, each (H, W).
struct Refocused {
    HostView<float, 2> sharp;         ///< counts
    HostView<std::int32_t, 2> plane;  ///< index in [0, Z), -1 where every plane is NaN
    HostView<float, 2> height_um;     ///< NaN where the curve has no maximum inside the scan
    HostView<float, 2> sigma_um;      ///< standard deviation of height_um; NaN where planes are too few
};

/// The same on a CUDA device.
struct DeviceRefocused {
    DeviceView<float, 2> sharp;
    DeviceView<std::int32_t, 2> plane;
    DeviceView<float, 2> height_um;
    DeviceView<float, 2> sigma_um;
};

/// Keep, at every pixel, the plane of a focal stack that is in best focus, and the height of its focus
/// curve's peak.
///
/// shape   stack, focus (Z, H, W)    results (H, W)    z_um (Z,)    1 <= Z <= 2^24
/// unit    stack, sharp counts    focus any, larger is sharper    plane index in [0, Z)    heights as z_um
/// order   z_um rises strictly or falls strictly; its steps may be uneven
/// ties    the lowest plane wins, so that all backends agree exactly
/// NaN     never wins; where every plane is NaN, plane = -1 and the rest NaN
/// sharp   the stack's value in that plane, not interpolated
/// height  vertex of the parabola a + b z + c z^2 fitted to the logarithm of the focus in the planes within
///         `reach` of the maximum, weighted by focus squared: equal noise on the focus is noise of 1 / focus
///         on its logarithm. Planes where focus is NaN, infinite, or less than 1e-12 of the maximum are
///         ignored. NaN where the maximum is in the first or the last plane, not positive or not finite,
///         where fewer than three planes are left, the parabola does not open downwards, or its vertex is
///         outside these planes
/// sigma   standard deviation of the vertex, from the covariance of the weighted least squares with the
///         residuals' own variance: the noise of the focus curve and its misfit to a Gaussian. NaN where
///         height is, and where only three planes are left
/// throws  ShapeError or std::invalid_argument, before anything is written
LEE_API void argmax_refocus(HostView<const std::uint8_t, 3> stack, HostView<const float, 3> focus,
                            std::span<const double> z_um, const Refocused& out,
                            const ArgmaxRefocusParams& params = {});
LEE_API void argmax_refocus(HostView<const std::uint16_t, 3> stack, HostView<const float, 3> focus,
                            std::span<const double> z_um, const Refocused& out,
                            const ArgmaxRefocusParams& params = {});
LEE_API void argmax_refocus(HostView<const float, 3> stack, HostView<const float, 3> focus,
                            std::span<const double> z_um, const Refocused& out,
                            const ArgmaxRefocusParams& params = {});

/// The same on the current CUDA device, bit for bit, queued on `stream`; `threads` is ignored.
///
/// memory  z_um is in host memory and may be freed as soon as this returns
/// throws  as above, and DeviceError where an array is not on that device
LEE_API void argmax_refocus(DeviceView<const std::uint8_t, 3> stack, DeviceView<const float, 3> focus,
                            std::span<const double> z_um, const DeviceRefocused& out,
                            const ArgmaxRefocusParams& params = {}, Stream stream = {});
LEE_API void argmax_refocus(DeviceView<const std::uint16_t, 3> stack, DeviceView<const float, 3> focus,
                            std::span<const double> z_um, const DeviceRefocused& out,
                            const ArgmaxRefocusParams& params = {}, Stream stream = {});
LEE_API void argmax_refocus(DeviceView<const float, 3> stack, DeviceView<const float, 3> focus,
                            std::span<const double> z_um, const DeviceRefocused& out,
                            const ArgmaxRefocusParams& params = {}, Stream stream = {});

}  // namespace lee
