#pragma once

#include <cstddef>
#include <functional>

#include "common/aligned.hpp"
#include "common/curvature_window.hpp"
#include "kernels/simd/curvature.hpp"
#include "lee/view.hpp"

namespace lee {

struct CurvatureTask {
    CurvatureTask(const curvature_window_of::Basis& basis, HostView<const float, 2> height, double pixel_um,
                  bool covariance_wanted);

    HostView<const float, 2> height;
    std::size_t rows;
    std::size_t columns;
    std::size_t radius;
    int order;
    std::size_t inset;  ///< windows are shifted until their centre is this far from the border
    std::size_t maps;   ///< along rows, where all is measured
    bool covariance_wanted;
    AlignedArray<float> along;  ///< taps, as CurvatureLoops has them
    AlignedArray<float> across;
    AlignedArray<double> powers;  ///< taps for the moments: 9 for each distance
    AlignedArray<double> factor;  ///< of complete windows, one for a narrow strip
    double unit_px;               ///< of s and t
    double noisiest;              ///< largest gain of the Laplacian that is accepted
    curvature_fit::Excess excess;
    double to_um[5];  ///< of the derivatives, from the unit of s and t
    double covariance_to_um[curvature_of::covariances];
    float covariance[curvature_of::covariances];  ///< in the middle of a complete window
    const simd::CurvatureLoops& loops = LEE_BEST_ISA(curvature_loops);

    /// Where the window of a pixel is centred.
    [[nodiscard]] std::size_t centre(std::size_t at, std::size_t extent) const {
        return curvature_fit::centre(at, extent, inset);
    }
};

struct Rectangle {
    std::size_t y0, y1, x0, x1;
    [[nodiscard]] bool empty() const { return y0 >= y1 || x0 >= x1; }
};

/// Takes five rows of derivatives and, where they are wanted, fifteen of covariances, `stride` floats apart.
using TakeDerivatives =
    std::function<void(std::size_t y, std::size_t x, std::size_t n, const float* derivatives,
                       const float* covariance, std::size_t stride)>;

/// By solving for every window. `complete`: all windows are known to be, wherever they were shifted to.
/// Heights are taken relative to `offset`.
void fit_derivatives(const CurvatureTask& task, const Rectangle& where, float offset, bool complete,
                     const TakeDerivatives& take);

/// By filters along rows and across them: no wider than a strip, all windows complete and centred.
void filter_derivatives(const CurvatureTask& task, const Rectangle& where, float offset,
                        const TakeDerivatives& take);

/// The mean square of `sigma` over the windows clipped to the image, with the weights of the fit: rows of
/// `where`, `stride` apart.
void local_noise(const CurvatureTask& task, HostView<const float, 2> sigma, const Rectangle& where,
                 float* out, std::size_t stride);

}  // namespace lee
