#include "lee/detect_particles.hpp"

#include <type_traits>

#include "common/detect_particles_check.hpp"
#include "common/detect_particles_limits.hpp"
#include "common/detect_particles_width.hpp"
#include "kernels/detect_particles_state.hpp"

namespace lee {
namespace particles {

State::State(std::size_t rows_px, std::size_t columns_px, const DetectParticlesParams& given)
    : params(given),
      loops(LEE_BEST_ISA(detect_particles_loops)),
      rows(rows_px),
      columns(columns_px),
      tiles{Cuts(rows_px), Cuts(columns_px)},
      between_y(tiles.y.between()),
      between_x(tiles.x.between()),
      textured(tiles.size()) {
    for (std::size_t x = 0, begin = 0; x < columns; ++x) {
        const bool last = x + 1 == columns;
        if (!last && between_x[x + 1].low == between_x[x].low && between_x[x + 1].high == between_x[x].high)
            continue;
        stretches.emplace_back(begin, x + 1);
        begin = x + 1;
    }
}

Deviation State::deviation() const {
    return {.scale = scale.data(),
            .of_y = between_y.data(),
            .of_x = between_x.data(),
            .tile_columns = tiles.x.count,
            .texture = texture ? texture.row(0) : nullptr,
            .pitch = texture ? texture.pitch() : 0,
            .rows = static_cast<int>(rows),
            .columns = static_cast<int>(columns)};
}

}  // namespace particles

namespace {

template <class Pixel>
DetectedParticles detect(HostView<const Pixel, 2> before, HostView<const Pixel, 2> after,
                         HostView<const float, 2> axial, const DetectParticlesParams& params) {
    check::detect_particles(before, after, axial, params);
    check::threads("detect_particles", params.threads);
    particles::State state(before.shape[0], before.shape[1], params);
    state.floor = std::is_floating_point_v<Pixel> ? 0.0F : particles::rounding_variance;
    particles::take_difference(state, before, after, axial);
    particles::free_of_texture(state);
    DetectedParticles& found = state.found;
    const double sigma = particles::filter_for_points(
        params, [&](double px) { particles::filter(state, px); },
        [&](double px) { return particles::spot_sigma(state, px, found.sigma_from); });
    found.spot_sigma_px = sigma;
    found.threshold_snr = particles::threshold_of(params, state.area(), sigma);
    particles::fit_spots(state, sigma, found.threshold_snr);
    return std::move(found);
}

}  // namespace

DetectedParticles detect_particles(HostView<const std::uint8_t, 2> before,
                                   HostView<const std::uint8_t, 2> after, HostView<const float, 2> axial,
                                   const DetectParticlesParams& params) {
    return detect(before, after, axial, params);
}

DetectedParticles detect_particles(HostView<const std::uint16_t, 2> before,
                                   HostView<const std::uint16_t, 2> after, HostView<const float, 2> axial,
                                   const DetectParticlesParams& params) {
    return detect(before, after, axial, params);
}

DetectedParticles detect_particles(HostView<const float, 2> before, HostView<const float, 2> after,
                                   HostView<const float, 2> axial, const DetectParticlesParams& params) {
    return detect(before, after, axial, params);
}

}  // namespace lee
