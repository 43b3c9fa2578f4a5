// The device overloads of a library built without CUDA: all throw DeviceError.
#include "lee/adaptive_variance.hpp"
#include "lee/argmax_refocus.hpp"
#include "lee/curvature.hpp"
#include "lee/detect_particles.hpp"
#include "lee/device.hpp"
#include "lee/opening.hpp"
#include "lee/refocuser.hpp"

namespace lee {
namespace {

[[noreturn]] void absent(const char* operation) {
    throw DeviceError(
        std::string(operation) +
        ": this build of lee has no CUDA kernels; build it with LEE_CUDA=ON, or work on the CPU");
}

}  // namespace

bool built_with_cuda() noexcept {
    return false;
}

DeviceInfo device_info() {
    absent("device_info");
}

void height_derivatives(DeviceView<const float, 2>, DeviceView<float, 2>, DeviceView<float, 2>,
                        DeviceView<float, 2>, DeviceView<float, 2>, DeviceView<float, 2>,
                        const CurvatureParams&, Stream) {
    absent("height_derivatives");
}

void curvature(DeviceView<const float, 2>, DeviceView<float, 2>, DeviceView<float, 2>, DeviceView<float, 2>,
               DeviceView<float, 2>, const CurvatureParams&, Stream) {
    absent("curvature");
}

void curvature(DeviceView<const float, 2>, DeviceView<const float, 2>, DeviceView<float, 2>,
               DeviceView<float, 2>, DeviceView<float, 2>, DeviceView<float, 2>, DeviceView<float, 2>,
               DeviceView<float, 2>, const CurvatureParams&, Stream) {
    absent("curvature");
}

DetectedParticles detect_particles(DeviceView<const std::uint8_t, 2>, DeviceView<const std::uint8_t, 2>,
                                   DeviceView<const float, 2>, DeviceView<float, 2>,
                                   const DetectParticlesParams&, Stream) {
    absent("detect_particles");
}

DetectedParticles detect_particles(DeviceView<const std::uint16_t, 2>, DeviceView<const std::uint16_t, 2>,
                                   DeviceView<const float, 2>, DeviceView<float, 2>,
                                   const DetectParticlesParams&, Stream) {
    absent("detect_particles");
}

DetectedParticles detect_particles(DeviceView<const float, 2>, DeviceView<const float, 2>,
                                   DeviceView<const float, 2>, DeviceView<float, 2>,
                                   const DetectParticlesParams&, Stream) {
    absent("detect_particles");
}

void opening(DeviceView<const float, 2>, DeviceView<float, 2>, DeviceView<std::int8_t, 2>, const Footprint&,
             const OpeningParams&, Stream) {
    absent("opening");
}

void flat_morphology(Flat, DeviceView<const float, 2>, DeviceView<float, 2>, const Footprint&, Stream) {
    absent("flat_morphology");
}

void adaptive_variance(DeviceView<const std::uint8_t, 3>, DeviceView<float, 3>, DeviceView<std::uint8_t, 2>,
                       DeviceView<float, 1>, std::span<const Footprint>, const AdaptiveVarianceParams&,
                       Stream) {
    absent("adaptive_variance");
}

void adaptive_variance(DeviceView<const std::uint16_t, 3>, DeviceView<float, 3>, DeviceView<std::uint8_t, 2>,
                       DeviceView<float, 1>, std::span<const Footprint>, const AdaptiveVarianceParams&,
                       Stream) {
    absent("adaptive_variance");
}

void adaptive_variance(DeviceView<const float, 3>, DeviceView<float, 3>, DeviceView<std::uint8_t, 2>,
                       DeviceView<float, 1>, std::span<const Footprint>, const AdaptiveVarianceParams&,
                       Stream) {
    absent("adaptive_variance");
}

void argmax_refocus(DeviceView<const std::uint8_t, 3>, DeviceView<const float, 3>, std::span<const double>,
                    const DeviceRefocused&, const ArgmaxRefocusParams&, Stream) {
    absent("argmax_refocus");
}

void argmax_refocus(DeviceView<const std::uint16_t, 3>, DeviceView<const float, 3>, std::span<const double>,
                    const DeviceRefocused&, const ArgmaxRefocusParams&, Stream) {
    absent("argmax_refocus");
}

void argmax_refocus(DeviceView<const float, 3>, DeviceView<const float, 3>, std::span<const double>,
                    const DeviceRefocused&, const ArgmaxRefocusParams&, Stream) {
    absent("argmax_refocus");
}

// None can be constructed, so the other members are never called; they exist to be linked.
struct DeviceRefocuser::State {};
DeviceRefocuser::DeviceRefocuser(std::size_t, std::size_t, const RefocuserParams&, Stream) {
    absent("refocuser");
}
DeviceRefocuser::~DeviceRefocuser() = default;
DeviceRefocuser::DeviceRefocuser(DeviceRefocuser&&) noexcept = default;
DeviceRefocuser& DeviceRefocuser::operator=(DeviceRefocuser&&) noexcept = default;
void DeviceRefocuser::push(HostView<const std::uint8_t, 2>, double, double, double) {
    absent("refocuser");
}
void DeviceRefocuser::push(HostView<const std::uint16_t, 2>, double, double, double) {
    absent("refocuser");
}
void DeviceRefocuser::push(HostView<const float, 2>, double, double, double) {
    absent("refocuser");
}
void DeviceRefocuser::push(DeviceView<const std::uint8_t, 3>, std::span<const double>,
                           std::span<const std::array<double, 2>>) {
    absent("refocuser");
}
void DeviceRefocuser::push(DeviceView<const std::uint16_t, 3>, std::span<const double>,
                           std::span<const std::array<double, 2>>) {
    absent("refocuser");
}
void DeviceRefocuser::push(DeviceView<const float, 3>, std::span<const double>,
                           std::span<const std::array<double, 2>>) {
    absent("refocuser");
}
void DeviceRefocuser::saturate_at(double) noexcept {}
void DeviceRefocuser::preview(HostView<float, 2>) const {
    absent("refocuser");
}
void DeviceRefocuser::preview(DeviceView<float, 2>) const {
    absent("refocuser");
}
void DeviceRefocuser::close() {
    absent("refocuser");
}
void DeviceRefocuser::finish(HostView<float, 2>, HostView<float, 2>, HostView<float, 2>) {
    absent("refocuser");
}
void DeviceRefocuser::finish(DeviceView<float, 2>, DeviceView<float, 2>, DeviceView<float, 2>) {
    absent("refocuser");
}
void DeviceRefocuser::textured(HostView<std::uint8_t, 2>, bool) const {
    absent("refocuser");
}
std::vector<double> DeviceRefocuser::record_z_um() const {
    absent("refocuser");
}
std::array<std::size_t, 2> DeviceRefocuser::cells() const {
    absent("refocuser");
}
void DeviceRefocuser::reject(HostView<const std::uint8_t, 3>) {
    absent("refocuser");
}
void DeviceRefocuser::record(HostView<float, 3>, HostView<float, 3>, HostView<float, 2>) const {
    absent("refocuser");
}
std::size_t DeviceRefocuser::frames() const noexcept {
    return 0;
}
std::size_t DeviceRefocuser::levels() const noexcept {
    return 0;
}
double DeviceRefocuser::state_bytes_per_pixel() const noexcept {
    return 0.0;
}
std::size_t DeviceRefocuser::level_height(std::size_t) const {
    absent("refocuser");
}
std::size_t DeviceRefocuser::level_width(std::size_t) const {
    absent("refocuser");
}
void DeviceRefocuser::peaks(std::size_t, const FocusPeaks&) const {
    absent("refocuser");
}
void DeviceRefocuser::counts(HostView<float, 3>) const {
    absent("refocuser");
}
std::vector<std::array<double, 3>> DeviceRefocuser::residual_drifts() const {
    absent("refocuser");
}
float DeviceRefocuser::noise() const {
    absent("refocuser");
}

}  // namespace lee
