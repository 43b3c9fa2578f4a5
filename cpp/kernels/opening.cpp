#include "lee/opening.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/check.hpp"
#include "common/parallel.hpp"
#include "kernels/simd/opening.hpp"

namespace lee {
namespace {

void erode(const std::vector<float>& in, std::vector<float>& out, std::ptrdiff_t H, std::ptrdiff_t W,
           const Footprint& f, bool reflect) {
    std::fill(out.begin(), out.end(), INFINITY);
    const auto& loops = LEE_BEST_ISA(opening_loops);
    for (std::size_t j = 0; j < f.mask.shape[0]; ++j) {
        for (std::size_t i = 0; i < f.mask.shape[1]; ++i) {
            if (!f.mask(j, i)) continue;
            std::ptrdiff_t dy = std::ptrdiff_t(j) - std::ptrdiff_t(f.centre_y);
            std::ptrdiff_t dx = std::ptrdiff_t(i) - std::ptrdiff_t(f.centre_x);
            if (reflect) dy = -dy, dx = -dx;
            const std::ptrdiff_t x0 = std::max<std::ptrdiff_t>(0, -dx), x1 = std::min(W, W - dx);
            if (x1 <= x0) continue;
            for (std::ptrdiff_t y = std::max<std::ptrdiff_t>(0, -dy); y < std::min(H, H - dy); ++y) {
                float* o = out.data() + y * W + x0;
                loops.minimum(o, in.data() + (y + dy) * W + x0 + dx, o, std::size_t(x1 - x0));
            }
        }
    }
}

}  // namespace

void flat_morphology(Flat operation, HostView<const float, 2> height, HostView<float, 2> out,
                     const Footprint& footprint, int threads) {
    check::not_empty("flat_morphology", "height", height);
    check::same_shape("flat_morphology", "height", height, "out", out);
    (void)worker_count(1, threads);
    const bool up = operation == Flat::dilation || operation == Flat::closing;
    const auto H = std::ptrdiff_t(height.shape[0]), W = std::ptrdiff_t(height.shape[1]);
    std::vector<float> a(height.size()), b(height.size());
    for (std::size_t k = 0; k < a.size(); ++k) {
        a[k] = std::isfinite(height.data[k]) ? (up ? -height.data[k] : height.data[k]) : INFINITY;
    }
    erode(a, b, H, W, footprint, operation == Flat::dilation);
    if (operation == Flat::opening || operation == Flat::closing) {
        for (float& v : b) v = -v;
        erode(b, a, H, W, footprint, true);
        for (std::size_t k = 0; k < a.size(); ++k) b[k] = -a[k];
    }
    for (std::size_t k = 0; k < a.size(); ++k) out.data[k] = up ? -b[k] : b[k];
}

void opening(HostView<const float, 2> height, HostView<float, 2> out, HostView<std::int8_t, 2> removed,
             const Footprint& footprint, const OpeningParams& params) {
    check::same_shape("opening", "height", height, "removed", removed);
    flat_morphology(Flat::opening, height, out, footprint, params.threads);
}

}  // namespace lee
