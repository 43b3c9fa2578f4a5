#pragma once

#include <cstdint>
#include <limits>

#include "lee/device.hpp"
#include "lee/export.hpp"
#include "lee/footprint.hpp"
#include "lee/view.hpp"

namespace lee {

struct OpeningParams {
    /// Outliers stand out by more than this, in the unit of `height`; NaN = from the local scale of the
    /// residue.
    float threshold = std::numeric_limits<float>::quiet_NaN();
    /// With an automatic threshold: median + this many times 1.4826 MAD of the residue.
    float mad_factor = 6.0F;
    bool peaks = true;  ///< remove what stands above the opening
    bool pits = true;   ///< remove what lies below the closing of what is left
    int threads = 0;    ///< 0 = all available cores; the result does not depend on it
};

/// Remove spikes smaller than a footprint from a height map; every other pixel stays bit for bit.
///
/// shape   height, out, removed (H, W), H and W >= 1; the footprint has at least one pixel
/// unit    height, out, threshold: any, the same
/// peaks   where height - opening(height) > threshold the opening's value is taken
/// pits    on what is left, where closing - height > threshold the closing's value is taken; a pixel that
/// both
///         steps touch keeps its own height where that lies within the threshold of the closing
/// removed 1 where a peak went, -1 where a pit went, 0 elsewhere
/// plain   threshold 0 and pits false give the flat opening itself
/// borders the footprint is clipped to the image
/// NaN     and infinite heights are not measured: they count as absent, and stay
/// throws  ShapeError or std::invalid_argument, before anything is written
LEE_API void opening(HostView<const float, 2> height, HostView<float, 2> out,
                     HostView<std::int8_t, 2> removed, const Footprint& footprint,
                     const OpeningParams& params = {});

/// The same on the current CUDA device, bit for bit, queued on `stream`; `threads` does not matter.
/// throws  DeviceError also where an array is not on that device
LEE_API void opening(DeviceView<const float, 2> height, DeviceView<float, 2> out,
                     DeviceView<std::int8_t, 2> removed, const Footprint& footprint,
                     const OpeningParams& params = {}, Stream stream = {});

enum class Flat { erosion, dilation, opening, closing };

/// A flat morphological operation: minimum or maximum over a footprint, or one after the other.
///
/// The erosion at p is the least height over p + s, s in the footprint; the dilation the largest over p - s.
/// Shapes, borders and errors as `opening`. NaN and infinite heights count as absent; where an erosion or a
/// dilation sees no height it is NaN; opening and closing keep what is not measured, and what no placement
/// covers.
LEE_API void flat_morphology(Flat operation, HostView<const float, 2> height, HostView<float, 2> out,
                             const Footprint& footprint, int threads = 0);

/// The same on the current CUDA device, bit for bit, queued on `stream`.
LEE_API void flat_morphology(Flat operation, DeviceView<const float, 2> height, DeviceView<float, 2> out,
                             const Footprint& footprint, Stream stream = {});

}  // namespace lee
