#include "lee/detect_particles.hpp"

#include <type_traits>

#include "common/detect_particles_background.hpp"
#include "common/detect_particles_check.hpp"
#include "common/detect_particles_limits.hpp"
#include "common/detect_particles_width.hpp"
#include "cuda/detect_particles_state.cuh"

namespace lee {
namespace particles::on_device {

State::State(std::size_t rows, std::size_t columns, const DetectParticlesParams& given, cudaStream_t queue)
    : params(given),
      stream(queue),
      image{static_cast<std::uint32_t>(rows), static_cast<std::uint32_t>(columns)},
      tiles{Cuts(rows, tile_px), Cuts(columns, tile_px)},
      between_y(upload(tiles.y.between())),
      between_x(upload(tiles.x.between())) {}

Residuals State::residuals() const {
    return {left.get(), weight.get(), image.columns, static_cast<int>(image.rows),
            static_cast<int>(image.columns)};
}

Deviation State::deviation() const {
    return {.scale = scale.get(),
            .of_y = between_y.get(),
            .of_x = between_x.get(),
            .tile_columns = tiles.x.count,
            .slope = slope.get(),
            .texture = texture.get(),
            .pitch = image.columns,
            .rows = static_cast<int>(image.rows),
            .columns = static_cast<int>(image.columns)};
}

Brightness State::shared() const {
    return {reference.get(), brightness.get(), axial.get(), image};
}

Field State::field() const {
    return {snr.get(), texture.get(), ramp(scale), image};
}

Ramp State::ramp(const Array<float>& by_tile) const {
    return {by_tile.get(), tiles.x.count, between_y.get(), between_x.get()};
}

}  // namespace particles::on_device

namespace {

template <class Pixel>
DetectedParticles detect(DeviceView<const Pixel, 2> before, DeviceView<const Pixel, 2> after,
                         DeviceView<const float, 2> axial, DeviceView<float, 2> out,
                         const DetectParticlesParams& params, Stream stream) {
    namespace on_device = particles::on_device;
    constexpr const char* operation = on_device::operation;
    constexpr std::size_t values = sizeof(Particle) / sizeof(float);
    check::detect_particles(before, after, axial, params);
    if (out.shape[1] != values) {
        throw ShapeError(std::string(operation) + ": particles is " + check::text(out.shape) +
                         "; give (capacity, " + std::to_string(values) + ")");
    }
    cuda::on_this_device(operation, "before", before);
    cuda::on_this_device(operation, "after", after);
    if (axial.size() > 0) cuda::on_this_device(operation, "axial", axial);
    if (out.size() > 0) cuda::on_this_device(operation, "particles", out);

    on_device::State state(before.shape[0], before.shape[1], params, cuda::stream_of(stream));
    state.floor = std::is_floating_point_v<Pixel> ? 0.0F : particles::rounding_variance;
    on_device::take_difference(state, before, after, axial);
    on_device::free_of_texture(state);
    DetectedParticles& found = state.found;
    const double sigma = particles::filter_for_points(
        params,
        [&](double px) {
            if (particles::cell_px(px) != state.background.cell_px) on_device::flatten_anew(state, px);
            on_device::filter(state, px);
        },
        [&](double px) { return on_device::spot_sigma(state, px, found.sigma_from); });
    found.spot_sigma_px = sigma;
    const particles::NoiseTail noise = on_device::tail_of(state);
    found.threshold_snr = particles::threshold_of(params, state.area(), sigma, noise);
    on_device::fit_spots(state, sigma, particles::limits_of(params, found.threshold_snr, sigma, noise), out);
    return found;
}

}  // namespace

DetectedParticles detect_particles(DeviceView<const std::uint8_t, 2> before,
                                   DeviceView<const std::uint8_t, 2> after, DeviceView<const float, 2> axial,
                                   DeviceView<float, 2> particles, const DetectParticlesParams& params,
                                   Stream stream) {
    return detect(before, after, axial, particles, params, stream);
}

DetectedParticles detect_particles(DeviceView<const std::uint16_t, 2> before,
                                   DeviceView<const std::uint16_t, 2> after, DeviceView<const float, 2> axial,
                                   DeviceView<float, 2> particles, const DetectParticlesParams& params,
                                   Stream stream) {
    return detect(before, after, axial, particles, params, stream);
}

DetectedParticles detect_particles(DeviceView<const float, 2> before, DeviceView<const float, 2> after,
                                   DeviceView<const float, 2> axial, DeviceView<float, 2> particles,
                                   const DetectParticlesParams& params, Stream stream) {
    return detect(before, after, axial, particles, params, stream);
}

}  // namespace lee
