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
    /// What is smoothed away. gaussian: the standard deviation of the weights, cut off at four of them.
    /// savgol: that of the Gaussian whose Laplacian is as noisy; the window is about 3.5 times as far to each
    /// side.
    double scale_um = 0;
    double pixel_um = 0;  ///< size of a pixel; pixels are square
    int threads = 0;      ///< 0 = all available cores; the result does not depend on it
};

/// The window that belongs to a scale. Squares come in whole pixels, so savgol takes the nearest scale there
/// is; `scale_um` tells which.
struct CurvatureWindow {
    std::size_t radius_px;  ///< the window reaches this far to each side
    double scale_um;
};

/// throws  std::invalid_argument where a number is not positive and finite, or the window is smaller than
/// the fit needs or has a radius above 1024 px
LEE_API CurvatureWindow curvature_window(const CurvatureParams& params);

/// Slopes and second derivatives of a height map at a stated scale.
///
/// At every measured pixel a polynomial is fitted by weighted least squares to the measured pixels of a
/// window; its derivatives there are the result.
///
/// shape   height, the five others (H, W), H and W >= 1
/// unit    height um; slopes 1; second derivatives 1/um; x runs along rows, y down columns
/// borders the fit uses only pixels inside the image. savgol: the window is shifted until it lies inside, or
///         holds the whole image where that is smaller, and its polynomial is evaluated off centre.
///         gaussian: the window is clipped
/// NaN     and infinite heights are not measured and take no part; the result is NaN there. It is NaN also
///         where too few pixels are measured: where the fit has no single solution, or its Laplacian is more
///         than 8 times as noisy as that of a complete window
/// offset  a common offset of 1000 um does no harm; sums are taken in float where all is measured, else in
///         double
/// throws  ShapeError or std::invalid_argument, before anything is written
LEE_API void height_derivatives(HostView<const float, 2> height, HostView<float, 2> slope_x,
                                HostView<float, 2> slope_y, HostView<float, 2> xx, HostView<float, 2> xy,
                                HostView<float, 2> yy, const CurvatureParams& params);

/// The same on the current CUDA device, queued on `stream`; `threads` does not matter. Sums are in double
/// throughout: equal to the CPU's to 1e-4 of the largest value in the map.
/// throws  DeviceError also where an array is not on that device
LEE_API void height_derivatives(DeviceView<const float, 2> height, DeviceView<float, 2> slope_x,
                                DeviceView<float, 2> slope_y, DeviceView<float, 2> xx,
                                DeviceView<float, 2> xy, DeviceView<float, 2> yy,
                                const CurvatureParams& params, Stream stream = {});

/// Curvatures of a height map at a stated scale, from `height_derivatives`.
///
/// mean    1/2 div(grad h / sqrt(1 + |grad h|^2)), 1/um: a trench is positive, a peak negative
/// gauss   (h_xx h_yy - h_xy^2) / (1 + |grad h|^2)^2, 1/um^2
/// high, low  mean +- sqrt(mean^2 - gauss), 1/um
/// shape, borders, NaN, offset, throws as `height_derivatives`
LEE_API void curvature(HostView<const float, 2> height, HostView<float, 2> mean, HostView<float, 2> gauss,
                       HostView<float, 2> high, HostView<float, 2> low, const CurvatureParams& params);

/// The same, with the standard deviations that independent errors of the heights lend to mean and Gaussian
/// curvature: to first order, for the Gaussian curvature also to second.
///
/// gaussian where a window is clipped or has gaps the covariance is approximate: up to 40 % too small there
/// sigma   standard deviation of the heights, um; within a window its square is averaged, with the weights
///         of the fit, over the measured pixels that have one
/// NaN     where the curvature is, and where no sigma in the window is finite and >= 0
LEE_API void curvature(HostView<const float, 2> height, HostView<const float, 2> sigma,
                       HostView<float, 2> mean, HostView<float, 2> gauss, HostView<float, 2> high,
                       HostView<float, 2> low, HostView<float, 2> mean_sigma, HostView<float, 2> gauss_sigma,
                       const CurvatureParams& params);

/// The same on the current CUDA device, as `height_derivatives`.
LEE_API void curvature(DeviceView<const float, 2> height, DeviceView<float, 2> mean,
                       DeviceView<float, 2> gauss, DeviceView<float, 2> high, DeviceView<float, 2> low,
                       const CurvatureParams& params, Stream stream = {});
LEE_API void curvature(DeviceView<const float, 2> height, DeviceView<const float, 2> sigma,
                       DeviceView<float, 2> mean, DeviceView<float, 2> gauss, DeviceView<float, 2> high,
                       DeviceView<float, 2> low, DeviceView<float, 2> mean_sigma,
                       DeviceView<float, 2> gauss_sigma, const CurvatureParams& params, Stream stream = {});

}  // namespace lee
