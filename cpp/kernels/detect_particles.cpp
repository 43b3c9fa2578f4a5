#include "lee/detect_particles.hpp"

#include <type_traits>

#include "common/detect_particles_background.hpp"
#include "common/detect_particles_check.hpp"
#include "common/detect_particles_limits.hpp"
#include "common/detect_particles_width.hpp"
#include "kernels/detect_particles_state.hpp"

namespace lee {
namespace particles {

Ramps::Ramps(const Tiles& of, bool beyond)
    : tile_columns(of.x.count), of_y(of.y.between(beyond)), of_x(of.x.between(beyond)) {
    for (std::size_t x = 0, begin = 0; x < of_x.size(); ++x) {
        const bool last = x + 1 == of_x.size();
        if (!last && of_x[x + 1].low == of_x[x].low && of_x[x + 1].high == of_x[x].high) continue;
        stretches.emplace_back(begin, x + 1);
        begin = x + 1;
    }
    for (const Between& at : of_x) shares.push_back(at.share);
}

template <class Use>
void Ramps::each_stretch(const float* tile_values, std::size_t y, const Use& use) const {
    const Between& v = of_y[y];
    const float* low = tile_values + v.low * tile_columns;
    const float* high = tile_values + v.high * tile_columns;
    for (const auto& [begin, end] : stretches) {
        const std::uint32_t k = of_x[begin].low, next = of_x[begin].high;
        const float a = low[k] + v.share * (high[k] - low[k]);
        const float b = low[next] + v.share * (high[next] - low[next]);
        use(begin, end - begin, a, b);
    }
}

void Ramps::row(const simd::DetectParticlesLoops& loops, const float* tile_values, std::size_t y,
                float* out) const {
    each_stretch(tile_values, y, [&](std::size_t begin, std::size_t n, float low, float high) {
        loops.ramp(shares.data() + begin, low, high, out + begin, n);
    });
}

void Ramps::add_row(const simd::DetectParticlesLoops& loops, const float* tile_values, float times,
                    std::size_t y, float* out) const {
    each_stretch(tile_values, y, [&](std::size_t begin, std::size_t n, float low, float high) {
        loops.add_ramp(shares.data() + begin, low, high, times, out + begin, n);
    });
}

State::State(std::size_t rows_px, std::size_t columns_px, const DetectParticlesParams& given)
    : params(given),
      loops(LEE_BEST_ISA(detect_particles_loops)),
      rows(rows_px),
      columns(columns_px),
      tiles{Cuts(rows_px, tile_px), Cuts(columns_px, tile_px)},
      ramps(tiles, false),
      textured(tiles.size()) {}

Deviation State::deviation() const {
    return {.scale = scale.data(),
            .of_y = ramps.of_y.data(),
            .of_x = ramps.of_x.data(),
            .tile_columns = tiles.x.count,
            .slope = slope.data(),
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
        params,
        [&](double px) {
            if (particles::cell_px(px) != state.background.cell_px) particles::flatten_anew(state, px);
            particles::filter(state, px);
        },
        [&](double px) { return particles::spot_sigma(state, px, found.sigma_from); });
    found.spot_sigma_px = sigma;
    const particles::NoiseTail noise = particles::tail_of(state);
    found.threshold_snr = particles::threshold_of(params, state.area(), sigma, noise);
    particles::fit_spots(state, sigma, particles::limits_of(params, found.threshold_snr, sigma, noise));
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
