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
    /// 0: variance about the footprint's own mean. Odd, >= 3: about the mean of this square around each
    /// pixel, whose normalised squares are then averaged over the footprint; shading and relief lend that no
    /// focus.
    std::size_t detail_px = 0;
    /// Normalised variance of the noise alone, counts; NaN = from the stack. Only several footprints need it.
    float noise = std::numeric_limits<float>::quiet_NaN();
    /// How many standard deviations of the noise's own variance texture must stand above its expectation.
    float significance = 16.0F;
    int threads = 0;  ///< 0 = all available cores; the result does not depend on it
};

/// Normalised local variance, variance over mean (Sun, Duthaler, Nelson 2004), of every plane of a focal
/// stack.
///
/// shape     stack, focus (Z, H, W), window (H, W), all >= 1; one footprint or more, small to large, at most
/// 255 unit      all in counts; focus >= 0 focus     variance of the pixels p + s, s in the footprint,
/// divided by N, over their mean; with detail_px d
///           the mean over the footprint of (v - m)^2 / m, m the mean of the d by d square around v
/// window    index of the footprint a pixel uses, one for all planes: the first for which the largest focus
/// over
///           z exceeds e * (1 + significance * sqrt(2 / n)), n its pixels and e what noise alone gives:
///           noise * (1 - 1 / n), or noise * (1 - 1 / d^2); the last where none does
/// noise     from the stack: median of r^2 / (36 m) over median(chi^2 with 1 degree of freedom), r the
/// response to
///           (1 -2 1) along y and x, m the mean of the same 3 by 3 pixels; over at most 16 planes, and pixels
///           `step` apart of which there are about 128 by 128; 0 in images smaller than 3 by 3
/// borders   footprint and square are clipped to the image
/// NaN       and infinite pixels are absent; focus is NaN where the footprint sees no pixel
/// mean <= 0 gives focus 0, a constant plane exactly 0
/// rounding  8 bit: correctly rounded in float64, then to float32 (footprints up to 66000 pixels); otherwise
/// sums
///           in float64
/// returns   the noise used; NaN where one footprint made it unnecessary and none was given
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

/// The same on the current CUDA device, queued on `stream`; `threads` does not matter.
///
/// noise     (1,): the noise used goes there, and from there to the choice of the footprints
/// equal     to the CPU's result bit for bit for 8 and 16 bit without detail_px, 16 bit up to footprints of
///           2^21 pixels; the noise always. Otherwise sums are taken in float64 in another order: focus
///           differs by at most 3e-7 of its value and 1e-12 of the largest square (with detail_px: the
///           largest focus of a single pixel) that sums go over, over the mean; a window differs only where
///           the largest focus is that near to its limit
/// throws    DeviceError also where an array is not on that device
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
