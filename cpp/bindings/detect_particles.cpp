#include "lee/detect_particles.hpp"

#include <algorithm>
#include <array>

#include "arrays.hpp"
#include "cuda_arrays.hpp"

using namespace lee::bindings;

namespace {

constexpr std::size_t values_each = sizeof(lee::Particle) / sizeof(float);

lee::DetectParticlesParams params_of(double spot_sigma_px, double expected_sigma_px, double false_alarms,
                                     double threshold_snr, double saturation, std::array<double, 2> shift_px,
                                     bool disappearing, int threads) {
    return {.spot_sigma_px = spot_sigma_px,
            .expected_sigma_px = expected_sigma_px,
            .false_alarms = false_alarms,
            .threshold_snr = threshold_snr,
            .saturation = saturation,
            .shift_px = shift_px,
            .disappearing = disappearing,
            .threads = threads};
}

py::dict facts_of(const lee::DetectedParticles& found) {
    using namespace py::literals;
    return py::dict("count"_a = found.count, "spot_sigma_px"_a = found.spot_sigma_px,
                    "sigma_from"_a = found.sigma_from, "threshold_snr"_a = found.threshold_snr,
                    "noise"_a = found.noise, "excess"_a = found.excess, "not_measured"_a = found.not_measured,
                    "saturated"_a = found.saturated, "left_out"_a = found.left_out);
}

template <class Pixel>
py::tuple detect_particles(const Array<Pixel>& before, const Array<Pixel>& after, const py::object& axial,
                           double spot_sigma_px, double expected_sigma_px, double false_alarms,
                           double threshold_snr, double saturation, std::array<double, 2> shift_px,
                           bool disappearing, int threads) {
    const auto params = params_of(spot_sigma_px, expected_sigma_px, false_alarms, threshold_snr, saturation,
                                  shift_px, disappearing, threads);
    const auto earlier = read_view<2>(before, "before"), later = read_view<2>(after, "after");
    Array<float> change;
    lee::HostView<const float, 2> change_view;
    if (!axial.is_none()) {
        change = axial.cast<Array<float>>();
        change_view = read_view<2>(change, "axial");
    }
    lee::DetectedParticles found;
    {
        const py::gil_scoped_release nogil;
        found = lee::detect_particles(earlier, later, change_view, params);
    }
    auto table = new_array<float>(std::array{found.count, values_each});
    std::copy_n(reinterpret_cast<const float*>(found.particles.data()), found.count * values_each,
                table.mutable_data());
    return py::make_tuple(table, facts_of(found));
}

template <class Pixel>
py::dict detect_particles_cuda(const CudaArray<const Pixel>& before, const CudaArray<const Pixel>& after,
                               const py::object& axial, const CudaArray<float>& particles,
                               double spot_sigma_px, double expected_sigma_px, double false_alarms,
                               double threshold_snr, double saturation, std::array<double, 2> shift_px,
                               bool disappearing, std::uintptr_t stream) {
    const auto params = params_of(spot_sigma_px, expected_sigma_px, false_alarms, threshold_snr, saturation,
                                  shift_px, disappearing, 0);
    lee::DeviceView<const float, 2> change{};
    if (!axial.is_none()) change = view<2>(axial.cast<CudaArray<const float>>(), "axial");
    return facts_of(lee::detect_particles(view<2>(before, "before"), view<2>(after, "after"), change,
                                          view<2>(particles, "particles"), params, stream_at(stream)));
}

template <class Pixel>
void bind(py::module_& module) {
    const auto spot = py::arg("spot_sigma_px"), expected = py::arg("expected_sigma_px");
    const auto alarms = py::arg("false_alarms"), threshold = py::arg("threshold_snr");
    const auto saturation = py::arg("saturation"), shift = py::arg("shift_px");
    const auto disappearing = py::arg("disappearing");
    module.def("detect_particles", &detect_particles<Pixel>, py::arg("before").noconvert(),
               py::arg("after").noconvert(), py::arg("axial").none(true), py::kw_only(), spot, expected,
               alarms, threshold, saturation, shift, disappearing, py::arg("threads"));
    module.def("detect_particles", &detect_particles_cuda<Pixel>, py::arg("before"), py::arg("after"),
               py::arg("axial").none(true), py::arg("particles"), py::kw_only(), spot, expected, alarms,
               threshold, saturation, shift, disappearing, py::arg("stream"));
}

}  // namespace

void bind_detect_particles(py::module_& module) {
    bind<std::uint8_t>(module);
    bind<std::uint16_t>(module);
    bind<float>(module);
    module.def("particle_threshold", &lee::particle_threshold, py::kw_only(), py::arg("area_px"),
               py::arg("spot_sigma_px"), py::arg("false_alarms"));
}
