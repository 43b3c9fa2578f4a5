#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "lee/device.hpp"
#include "lee/export.hpp"
#include "lee/footprint.hpp"
#include "lee/view.hpp"

namespace lee {

struct AdaptiveVarianceParams {
    /// 0: variance about the footprint's own mean. Odd and >= 3: squared deviations from the mean of the
    /// square of this side around each pixel, over that mean, averaged over the footprint, so that shading
    /// and relief add no focus.
    std::size_t detail_px = 0;
    /// Variance over mean of noise alone, counts; NaN = estimated from the stack. Used with several
    /// footprints only.
    float noise = std::numeric_limits<float>::quiet_NaN();
    /// A footprint is large enough where its focus exceeds that of noise alone by this many standard errors.
    float significance = 16.0F;
    int threads = 0;  ///< 0 = all available cores; the result does not depend on it
};

/// Normalised local variance, variance over mean (Sun, Duthaler, Nelson 2004), of every plane of a focal
/// stack.
///
/// shape     stack, focus (Z, H, W)    window (H, W)    all >= 1    1 to 255 footprints, from small to large
/// unit      stack, focus, noise counts    focus >= 0    window index of a footprint
/// focus     variance of the pixels p + s, s in the footprint, divided by N, over their mean; with detail_px
///           d the mean over the footprint of (v - m)^2 / m, m the mean of the d by d square around v
/// window    the footprint used at a pixel, the same in all planes: the first for which the largest focus
///           over z exceeds e * (1 + significance * sqrt(2 / n)), n its pixels and e the focus of noise
///           alone: noise * (1 - 1 / n), or with detail_px d noise * (1 - 1 / d^2); the last where none does
/// noise     from the stack: median of r^2 / (36 m) over the median of chi^2 with 1 degree of freedom, r the
///           response to (1 -2 1) along y and x, m the mean of the same 3 by 3 pixels; over at most 16
///           planes, and about 128 by 128 pixels of each at a constant step; 0 in images smaller than 3 by 3
/// borders   footprint and square are clipped to the image
/// NaN       and infinite pixels are ignored; focus is NaN where the footprint holds no other pixel
/// zero      focus is 0 where the mean is <= 0, and exactly 0 in a constant plane
/// rounding  8 bit: correctly rounded in float64, then to float32 (footprints up to 66000 pixels); otherwise
///           sums in float64
/// returns   the noise used; NaN with a single footprint, where none is needed, unless params.noise is given
/// throws    ShapeError or std::invalid_argument, before anything is written
LEE_API float adaptive_variance(HostView<const std::uint8_t, 3> stack, HostView<float, 3> focus,
                                HostView<std::uint8_t, 2> window, std::span<const Footprint> footprints,
                                const AdaptiveVarianceParams& params = {});
LEE_API float adaptive_variance(HostView<const std::uint16_t, 3> stack, HostView<float, 3> focus,
                                HostView<std::uint8_t, 2> window, std::span<const Footprint> footprints,
                                const AdaptiveVarianceParams& params = {});
LEE_API float adaptive_variance(HostView<const float, 3> stack, HostView<float, 3> focus,
                                HostView<std::uint8_t, 2> window, std::span<const Footprint> footprints,
                                const AdaptiveVarianceParams& params = {});

/// The same on the current CUDA device, queued on `stream`; `threads` is ignored.
///
/// noise     (1,) the noise used is written there, and read from there to choose the footprints
/// equal     to the CPU's result bit for bit for 8 and 16 bit without detail_px, 16 bit up to footprints of
///           2^21 pixels; the noise always. Otherwise sums are taken in float64 in another order: focus
///           differs by at most 3e-7 of its value and 1e-12 of the largest square (with detail_px: the
///           largest focus of a single pixel) in the sums, over the mean; a window differs only where the
///           largest focus is that near to its limit
/// throws    as above, and DeviceError where an array is not on that device
LEE_API void adaptive_variance(DeviceView<const std::uint8_t, 3> stack, DeviceView<float, 3> focus,
                               DeviceView<std::uint8_t, 2> window, DeviceView<float, 1> noise,
                               std::span<const Footprint> footprints,
                               const AdaptiveVarianceParams& params = {}, Stream stream = {});
LEE_API void adaptive_variance(DeviceView<const std::uint16_t, 3> stack, DeviceView<float, 3> focus,
                               DeviceView<std::uint8_t, 2> window, DeviceView<float, 1> noise,
                               std::span<const Footprint> footprints,
                               const AdaptiveVarianceParams& params = {}, Stream stream = {});
LEE_API void adaptive_variance(DeviceView<const float, 3> stack, DeviceView<float, 3> focus,
                               DeviceView<std::uint8_t, 2> window, DeviceView<float, 1> noise,
                               std::span<const Footprint> footprints,
                               const AdaptiveVarianceParams& params = {}, Stream stream = {});

}  // namespace lee
