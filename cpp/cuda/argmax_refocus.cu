#include "lee/argmax_refocus.hpp"

#include <algorithm>
#include <cstdint>

#include "common/argmax_refocus_check.hpp"
#include "common/argmax_refocus_fit.hpp"
#include "cuda/runtime.cuh"

namespace lee {
namespace {

constexpr const char* operation = "argmax_refocus";
constexpr int threads = 256;

/// Where a pixel's results go.
struct Maps {
    float* sharp;
    std::int32_t* plane;
    float *height_um, *sigma_um;
};

/// Fit the curve of one pixel; its planes are `pixels` apart.
__device__ inline peak::Peak fit(const float* curve, std::size_t pixels, const double* z_um,
                                 std::int32_t planes, std::int32_t reach, std::int32_t plane, float best) {
    const peak::Axis axis = peak::axis_at(z_um, planes, plane);
    peak::Moments m{};
    double low = 0.0, high = 0.0;
    // Planes beyond the ends of the scan are included as on the CPU, where they add exactly 0.
    for (std::int32_t offset = -reach; offset <= reach; ++offset) {
        const std::int32_t wanted = plane + offset, z = peak::nearest_plane(wanted, planes);
        const float share = curve[static_cast<std::size_t>(z) * pixels] / best;
        const bool use = peak::takes_part(wanted == z, share);
        const double u = (z_um[z] - axis.middle) / axis.step;
        peak::add(m, use, share, u);
        low = use & (u < low) ? u : low;
        high = use & (u > high) ? u : high;
    }
    return peak::peak_of(m, low, high, axis, plane, planes, best);
}

/// A thread a pixel: neighbouring threads read neighbouring pixels of one plane after the other.
template <class Pixel>
__global__ void __launch_bounds__(threads)
    refocus(const Pixel* stack, const float* focus, const double* z_um, std::int32_t planes,
            std::size_t pixels, std::int32_t reach, Maps out) {
    const std::size_t at = std::size_t{blockIdx.x} * threads + threadIdx.x;
    if (at >= pixels) return;
    const float* curve = focus + at;
    float best = __builtin_nanf("");
    std::int32_t plane = -1;
#pragma unroll 8
    for (std::int32_t z = 0; z < planes; ++z) {
        const float value = curve[static_cast<std::size_t>(z) * pixels];
        const bool wins = peak::leads(value, best, plane);
        best = wins ? value : best;
        plane = wins ? z : plane;
    }
    out.plane[at] = plane;
    float sharp = __builtin_nanf("");
    peak::Peak found{sharp, sharp};
    if (plane >= 0) {
        sharp = static_cast<float>(stack[static_cast<std::size_t>(plane) * pixels + at]);
        found = fit(curve, pixels, z_um, planes, reach, plane, best);
    }
    out.sharp[at] = sharp;
    out.height_um[at] = found.height_um;
    out.sigma_um[at] = found.sigma_um;
}

template <class Pixel>
void run(DeviceView<const Pixel, 3> stack, DeviceView<const float, 3> focus, std::span<const double> z_um,
         const DeviceRefocused& out, const ArgmaxRefocusParams& params, Stream stream) {
    check::argmax_refocus(stack, focus, z_um, out, params);
    cuda::on_this_device(operation, "stack", stack);
    cuda::on_this_device(operation, "focus", focus);
    cuda::on_this_device(operation, "sharp", out.sharp);
    cuda::on_this_device(operation, "plane", out.plane);
    cuda::on_this_device(operation, "height_um", out.height_um);
    cuda::on_this_device(operation, "sigma_um", out.sigma_um);
    const cudaStream_t queue = cuda::stream_of(stream);
    const std::size_t planes = stack.shape[0], pixels = stack.shape[1] * stack.shape[2];
    check::that(pixels <= std::size_t{INT32_MAX} * threads, operation,
                "the planes have too many pixels for a CUDA device; give them in parts");
    const cuda::Array<double> heights = cuda::upload(operation, z_um.data(), planes, queue);
    cuda::launch(operation, refocus<Pixel>,
                 {.grid = dim3(cuda::blocks(pixels, threads)), .block = dim3(threads), .stream = queue},
                 stack.data, focus.data, heights.get(), static_cast<std::int32_t>(planes), pixels,
                 static_cast<std::int32_t>(std::min(params.reach, planes)),
                 Maps{out.sharp.data, out.plane.data, out.height_um.data, out.sigma_um.data});
}

}  // namespace

void argmax_refocus(DeviceView<const std::uint8_t, 3> stack, DeviceView<const float, 3> focus,
                    std::span<const double> z_um, const DeviceRefocused& out,
                    const ArgmaxRefocusParams& params, Stream stream) {
    run(stack, focus, z_um, out, params, stream);
}

void argmax_refocus(DeviceView<const std::uint16_t, 3> stack, DeviceView<const float, 3> focus,
                    std::span<const double> z_um, const DeviceRefocused& out,
                    const ArgmaxRefocusParams& params, Stream stream) {
    run(stack, focus, z_um, out, params, stream);
}

void argmax_refocus(DeviceView<const float, 3> stack, DeviceView<const float, 3> focus,
                    std::span<const double> z_um, const DeviceRefocused& out,
                    const ArgmaxRefocusParams& params, Stream stream) {
    run(stack, focus, z_um, out, params, stream);
}

}  // namespace lee
