#include "lee/argmax_refocus.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "common/aligned.hpp"
#include "common/argmax_refocus_check.hpp"
#include "common/parallel.hpp"
#include "kernels/simd/argmax_refocus.hpp"

namespace lee {
namespace {

constexpr const char* operation = "argmax_refocus";
constexpr std::size_t strip = simd::refocus_strip;

template <class Pixel>
void refocus(HostView<const Pixel, 3> stack, HostView<const float, 3> focus, std::span<const double> z_um,
             const Refocused& out, const ArgmaxRefocusParams& params) {
    check::argmax_refocus(stack, focus, z_um, out, params);
    check::threads(operation, params.threads);
    const std::size_t planes = stack.shape[0], pixels = stack.shape[1] * stack.shape[2];
    const std::size_t strips = (pixels + strip - 1) / strip;
    const auto reach = static_cast<std::int32_t>(std::min(params.reach, planes));
    const auto& loops = LEE_BEST_ISA(argmax_refocus_loops);
    // The curves of a strip are read once, and wait for the fit in a near cache.
    std::vector<AlignedArray<float>> curves_of(
        static_cast<std::size_t>(worker_count(strips, params.threads)));
    parallel_for(strips, params.threads, [&](std::size_t index, int worker) {
        auto& curves = curves_of[static_cast<std::size_t>(worker)];
        if (!curves) {
            curves = aligned_array<float>(planes * strip);
            std::fill_n(curves.get(), planes * strip, 0.0F);
        }
        const std::size_t first = index * strip, n = std::min(strip, pixels - first);
        alignas(vector_bytes) std::array<float, strip> best, height, sigma;
        alignas(vector_bytes) std::array<std::int32_t, strip> plane;
        best.fill(NAN);
        plane.fill(-1);
        for (std::size_t z = 0; z < planes; ++z) {
            loops.update(focus.data + z * pixels + first, static_cast<std::int32_t>(z),
                         curves.get() + z * strip, best.data(), plane.data(), n);
        }
        loops.fit(curves.get(), z_um.data(), static_cast<std::int32_t>(planes), reach, best.data(),
                  plane.data(), height.data(), sigma.data());
        std::copy_n(plane.data(), n, out.plane.data + first);
        std::copy_n(height.data(), n, out.height_um.data + first);
        std::copy_n(sigma.data(), n, out.sigma_um.data + first);
        for (std::size_t i = 0; i < n; ++i) {
            const std::int32_t z = plane[i];
            out.sharp.data[first + i] =
                z < 0 ? NAN
                      : static_cast<float>(stack.data[static_cast<std::size_t>(z) * pixels + first + i]);
        }
    });
}

}  // namespace

void argmax_refocus(HostView<const std::uint8_t, 3> stack, HostView<const float, 3> focus,
                    std::span<const double> z_um, const Refocused& out, const ArgmaxRefocusParams& params) {
    refocus(stack, focus, z_um, out, params);
}

void argmax_refocus(HostView<const std::uint16_t, 3> stack, HostView<const float, 3> focus,
                    std::span<const double> z_um, const Refocused& out, const ArgmaxRefocusParams& params) {
    refocus(stack, focus, z_um, out, params);
}

void argmax_refocus(HostView<const float, 3> stack, HostView<const float, 3> focus,
                    std::span<const double> z_um, const Refocused& out, const ArgmaxRefocusParams& params) {
    refocus(stack, focus, z_um, out, params);
}

}  // namespace lee
