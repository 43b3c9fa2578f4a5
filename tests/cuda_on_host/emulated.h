#pragma once

#include <functional>

#include "cuda_runtime.h"

namespace emulated {

/// Put work on a stream: done at once on the default stream, as late as can be on others.
void put(cudaStream_t stream, std::function<void()> work);

}  // namespace emulated
