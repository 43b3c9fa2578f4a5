// The width of a point's image, from the brightest spots.
#include <algorithm>
#include <cmath>

#include "common/detect_particles_blend.hpp"
#include "common/detect_particles_width.hpp"
#include "common/parallel.hpp"
#include "kernels/detect_particles_state.hpp"

namespace lee::particles {

double spot_sigma(const State& state, double begin_px, std::size_t& count) {
    std::vector<Candidate> bright = maxima(state, width_threshold);
    std::ranges::sort(bright, [&](const Candidate& a, const Candidate& b) {
        const float at_a = state.snr.row(a.y)[a.x], at_b = state.snr.row(b.y)[b.x];
        return at_a > at_b || (at_a == at_b && (a.y < b.y || (a.y == b.y && a.x < b.x)));
    });
    if (bright.size() > width_spots) bright.resize(width_spots);
    const Residuals image{state.left.row(0), state.weight.row(0), state.left.pitch(),
                          static_cast<int>(state.rows), static_cast<int>(state.columns)};
    std::vector<WidthOf> widths(bright.size());
    parallel_for(bright.size(), state.params.threads, [&](std::size_t k, int) {
        widths[k] = width_of(image, static_cast<float>(bright[k].y), static_cast<float>(bright[k].x),
                             static_cast<float>(begin_px));
    });
    return common_width(widths, state.params.expected_sigma_px, count);
}

}  // namespace lee::particles
