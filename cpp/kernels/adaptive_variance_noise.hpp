#pragma once

#include <cstddef>

#include "lee/view.hpp"

namespace lee {

/// Normalised variance of noise alone, as lee/adaptive_variance.hpp defines it.
template <class Pixel>
float noise_of(HostView<const Pixel, 3> stack, int threads);

}  // namespace lee
