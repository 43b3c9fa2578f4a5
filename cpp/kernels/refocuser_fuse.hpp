#pragma once

#include "kernels/refocuser_state.hpp"

namespace lee {

/// One height per pixel, with its standard deviation and its counts in focus, from the maxima at all window
/// sizes.
void fuse(const Refocuser::State& state, HostView<float, 2> height_um, HostView<float, 2> sigma_um,
          HostView<float, 2> sharp);

}  // namespace lee
