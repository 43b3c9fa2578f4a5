#include "common/toy_negation_pixel.hpp"
#include "cuda/runtime.cuh"
#include "lee/toy_negation.hpp"

namespace lee {
namespace {

constexpr int threads = 256;

__global__ void __launch_bounds__(threads) negate(const float* height, float* out, std::size_t pixels) {
    const std::size_t at = std::size_t{blockIdx.x} * threads + threadIdx.x;
    if (at < pixels) out[at] = toy::negated(height[at]);
}

}  // namespace

void toy_negation(DeviceView<const float, 2> height, DeviceView<float, 2> out, const ToyNegationParams&,
                  Stream stream) {
    toy::check(height, out);
    cuda::on_this_device(toy::operation, "height", height);
    cuda::on_this_device(toy::operation, "out", out);
    const std::size_t pixels = height.shape[0] * height.shape[1];
    cuda::launch(toy::operation, negate,
                 {.grid = dim3(cuda::blocks(pixels, threads)),
                  .block = dim3(threads),
                  .stream = cuda::stream_of(stream)},
                 height.data, out.data, pixels);
}

}  // namespace lee
