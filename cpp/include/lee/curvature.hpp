#pragma once

#include <cstddef>

#include "lee/device.hpp"
#include "lee/export.hpp"
#include "lee/view.hpp"

namespace lee {

enum class CurvatureFamily {
    savgol,   ///< polynomial of order 4 over a square, all pixels alike (Savitzky-Golay in two dimensions)
    gaussian  ///< polynomial of order 2 under Gaussian weights: the derivatives of a Gaussian
};

struct CurvatureParams {
    CurvatureFamily family = CurvatureFamily::savgol;
    /// Structure smaller than this is smoothed away, µm. gaussian: the standard deviation of the weights, cut
    /// off at four of them. savgol: that of the Gaussian whose Laplacian is as noisy; the window reaches
    /// about 3.5 times as far to each side.
    double scale_um = 0;
    double pixel_um = 0;  ///< size of a pixel, µm; pixels are square
    int threads = 0;      ///< 0 = all available cores; the result does not depend on it
};

/// The window of a scale. A square has whole pixels, so savgol uses the nearest scale possible: `scale_um`.
struct CurvatureWindow {
    std::size_t radius_px;  ///< the window reaches this far to each side
    double scale_um;        ///< the scale in use, µm
};

/// The window of a scale and a family.
///
/// throws  std::invalid_argument where a number is not positive and finite, or the window is smaller than the
///         fit needs or has a radius above 1024 px
LEE_API CurvatureWindow curvature_window(const CurvatureParams& params);

/// Slopes and second derivatives of a height map at a stated scale.
///
/// At every measured pixel a polynomial is fitted by weighted least squares to the measured pixels of a
/// window; its derivatives there are the result.
///
/// shape    height and the five results (H, W)    H and W >= 1
/// unit     height µm    slopes 1    second derivatives 1/µm    x runs along rows, y down columns
/// borders  the fit uses only pixels inside the image. savgol: the window is shifted until it is inside, or
///          is the whole image where that is smaller, and its polynomial is evaluated off centre. gaussian:
///          the window is clipped
/// NaN      and infinite heights are not measured and ignored; the result is NaN there, and also where too
///          few pixels are measured: where the fit has no single solution, or its Laplacian is more than 8
///          times as noisy as that of a complete window
/// offset   a common offset of 1000 µm does no harm; sums are in float where all is measured, else in double
/// throws   ShapeError or std::invalid_argument, before anything is written
LEE_API void height_derivatives(HostView<const float, 2> height, HostView<float, 2> slope_x,
                                HostView<float, 2> slope_y, HostView<float, 2> xx, HostView<float, 2> xy,
                                HostView<float, 2> yy, const CurvatureParams& params);

/// The same on the current CUDA device, queued on `stream`; `threads` is ignored.
///
/// equal    to the CPU's result to 1e-4 of the largest value in the map: sums are in double throughout
/// throws   as above, and DeviceError where an array is not on that device
LEE_API void height_derivatives(DeviceView<const float, 2> height, DeviceView<float, 2> slope_x,
                                DeviceView<float, 2> slope_y, DeviceView<float, 2> xx,
                                DeviceView<float, 2> xy, DeviceView<float, 2> yy,
                                const CurvatureParams& params, Stream stream = {});

/// Curvatures of a height map at a stated scale, from `height_derivatives`.
///
/// shape    height and the four results (H, W)    H and W >= 1
/// unit     height µm    mean, high, low 1/µm    gauss 1/µm^2
/// mean     1/2 div(grad h / sqrt(1 + |grad h|^2)): a trench is positive, a peak negative
/// gauss    (h_xx h_yy - h_xy^2) / (1 + |grad h|^2)^2
/// high     mean + sqrt(mean^2 - gauss); low: mean - sqrt(mean^2 - gauss)
/// borders  as `height_derivatives`
/// NaN      as `height_derivatives`
/// offset   as `height_derivatives`
/// throws   ShapeError or std::invalid_argument, before anything is written
LEE_API void curvature(HostView<const float, 2> height, HostView<float, 2> mean, HostView<float, 2> gauss,
                       HostView<float, 2> high, HostView<float, 2> low, const CurvatureParams& params);

/// The same, with the standard deviations of mean and Gaussian curvature that follow from independent errors
/// of the heights: to first order, for the Gaussian curvature also to second.
///
/// shape    sigma, mean_sigma, gauss_sigma (H, W), as height
/// unit     sigma µm    mean_sigma 1/µm    gauss_sigma 1/µm^2
/// sigma    standard deviation of the heights; within a window its square is averaged, with the weights of
///          the fit, over the measured pixels that have one
/// borders  gaussian: where a window is clipped, or pixels in it are not measured, the covariance is
///          approximate: up to 40 % too small
/// NaN      where the curvature is, and where no sigma in the window is finite and >= 0
/// throws   as above
LEE_API void curvature(HostView<const float, 2> height, HostView<const float, 2> sigma,
                       HostView<float, 2> mean, HostView<float, 2> gauss, HostView<float, 2> high,
                       HostView<float, 2> low, HostView<float, 2> mean_sigma, HostView<float, 2> gauss_sigma,
                       const CurvatureParams& params);

/// The same on the current CUDA device, as `height_derivatives` there.
LEE_API void curvature(DeviceView<const float, 2> height, DeviceView<float, 2> mean,
                       DeviceView<float, 2> gauss, DeviceView<float, 2> high, DeviceView<float, 2> low,
                       const CurvatureParams& params, Stream stream = {});
LEE_API void curvature(DeviceView<const float, 2> height, DeviceView<const float, 2> sigma,
                       DeviceView<float, 2> mean, DeviceView<float, 2> gauss, DeviceView<float, 2> high,
                       DeviceView<float, 2> low, DeviceView<float, 2> mean_sigma,
                       DeviceView<float, 2> gauss_sigma, const CurvatureParams& params, Stream stream = {});

}  // namespace lee
