#pragma once

#include <cstdint>
#include <limits>

#include "lee/device.hpp"
#include "lee/export.hpp"
#include "lee/footprint.hpp"
#include "lee/view.hpp"

namespace lee {

struct OpeningParams {
    /// Outliers differ by more than this, in the unit of `height`; NaN = from the local scale of the residue.
    float threshold = std::numeric_limits<float>::quiet_NaN();
    /// With an automatic threshold: median + this many times 1.4826 MAD of the residue.
    float mad_factor = 6.0F;
    bool peaks = true;  ///< remove outliers above the opening
    bool pits = true;   ///< remove outliers below the closing of the map without its peaks
    int threads = 0;    ///< 0 = all available cores; the result does not depend on it
};

/// Remove spikes smaller than a footprint from a height map; every other pixel stays bit for bit.
///
/// shape    height, out, removed (H, W)    H and W >= 1    the footprint has at least one pixel
/// unit     height, out, threshold any, the same    removed 1, 0 or -1
/// peaks    where height - opening(height) > threshold the opening's value is taken
/// pits     in the map without its peaks, where closing - height > threshold the closing's value is taken; a
///          pixel changed by both steps keeps its own height where that is within the threshold of the
///          closing
/// removed  1 where a peak was removed, -1 where a pit was, 0 elsewhere
/// plain    threshold 0 and pits false give the flat opening itself
/// borders  the footprint is clipped to the image
/// NaN      and infinite heights are not measured: they are ignored, and stay as they are
/// throws   ShapeError or std::invalid_argument, before anything is written
LEE_API void opening(HostView<const float, 2> height, HostView<float, 2> out,
                     HostView<std::int8_t, 2> removed, const Footprint& footprint,
                     const OpeningParams& params = {});

/// The same on the current CUDA device, bit for bit, queued on `stream`; `threads` is ignored.
///
/// throws   as above, and DeviceError where an array is not on that device
LEE_API void opening(DeviceView<const float, 2> height, DeviceView<float, 2> out,
                     DeviceView<std::int8_t, 2> removed, const Footprint& footprint,
                     const OpeningParams& params = {}, Stream stream = {});

enum class Flat { erosion, dilation, opening, closing };

/// A flat morphological operation: minimum or maximum over a footprint, or one after the other.
///
/// shape     height, out (H, W)    H and W >= 1    the footprint has at least one pixel
/// unit      any, the same
/// erosion   at p the smallest height over p + s, s in the footprint
/// dilation  at p the largest height over p - s
/// opening   the dilation of the erosion; closing: the erosion of the dilation
/// borders   the footprint is clipped to the image
/// NaN       and infinite heights are ignored. Erosion and dilation are NaN where the footprint holds no
///           height; opening and closing keep what is not measured, and heights that no position of the
///           footprint covers
/// throws    ShapeError or std::invalid_argument, before anything is written
LEE_API void flat_morphology(Flat operation, HostView<const float, 2> height, HostView<float, 2> out,
                             const Footprint& footprint, int threads = 0);

/// The same on the current CUDA device, bit for bit, queued on `stream`.
///
/// throws    as above, and DeviceError where an array is not on that device
LEE_API void flat_morphology(Flat operation, DeviceView<const float, 2> height, DeviceView<float, 2> out,
                             const Footprint& footprint, Stream stream = {});

}  // namespace lee
