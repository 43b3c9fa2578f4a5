#pragma once

// Estimates from a stack that its variance needs: noise and levels.

#include "cuda/runtime.cuh"

namespace lee::variance {

/// Queue the search for the noise, as lee/adaptive_variance.hpp defines it; one float on the device.
template <class Pixel>
void queue_noise(DeviceView<const Pixel, 3> stack, float* noise, cudaStream_t stream);

/// Queue the search for a level near each plane's, so that squares of float frames lose little; of a constant
/// plane it is the constant.
cuda::Array<double> queue_offsets(DeviceView<const float, 3> stack, cudaStream_t stream);

}  // namespace lee::variance
