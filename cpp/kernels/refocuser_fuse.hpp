#pragma once

#include "kernels/refocuser_state.hpp"

namespace lee {

/// One height per pixel, with its standard deviation and its counts in focus, from the maxima at all window
/// sizes.
void fuse(const Refocuser::State& state, HostView<float, 2> height_um, HostView<float, 2> sigma_um,
          HostView<float, 2> sharp);

/// Pixels where texture of their own came into focus, 1 or 0.
void find_textured(const Refocuser::State& state, HostView<std::uint8_t, 2> textured, bool beside_stronger);

}  // namespace lee
