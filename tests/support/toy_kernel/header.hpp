#pragma once

#include "lee/device.hpp"
#include "lee/export.hpp"
#include "lee/view.hpp"

namespace lee {

struct ToyNegationParams {
    int threads = 0;  ///< 0 = all available cores; the result does not depend on it
};

/// Turn a height map upside down.
///
/// shape   height, out (H, W)
/// unit    any, the same for both
/// NaN     stays NaN
/// throws  ShapeError, before anything is written
LEE_API void toy_negation(HostView<const float, 2> height, HostView<float, 2> out,
                          const ToyNegationParams& params = {});

/// The same on the current CUDA device, bit for bit, queued on `stream`; `threads` is ignored.
///
/// throws  as above, and DeviceError where an array is not on that device
LEE_API void toy_negation(DeviceView<const float, 2> height, DeviceView<float, 2> out,
                          const ToyNegationParams& params = {}, Stream stream = {});

}  // namespace lee
