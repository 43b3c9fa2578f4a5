#include "lee/refocuser.hpp"

#include <pybind11/stl.h>

#include <algorithm>

#include "arrays.hpp"
#include "cuda_arrays.hpp"

using namespace lee::bindings;

namespace {

template <class Self, class T>
void push(Self& self, const Array<T>& frame, double z_um, double drift_y_px, double drift_x_px) {
    const auto view = read_view<2>(frame, "frame");
    const py::gil_scoped_release nogil;
    self.push(view, z_um, drift_y_px, drift_x_px);
}

template <class Self>
Array<float> preview(const Self& self) {
    auto out = new_array<float>(std::array{self.level_height(0), self.level_width(0)});
    self.preview(write_view<2>(out, "height_um"));
    return out;
}

template <class Self>
py::tuple finish(Self& self) {
    const std::array<std::size_t, 2> shape{self.level_height(0), self.level_width(0)};
    auto height = new_array<float>(shape);
    auto sigma = new_array<float>(shape);
    auto sharp = new_array<float>(shape);
    const auto height_view = write_view<2>(height, "height_um");
    const auto sigma_view = write_view<2>(sigma, "sigma_um");
    const auto sharp_view = write_view<2>(sharp, "sharp");
    {
        const py::gil_scoped_release nogil;
        self.finish(height_view, sigma_view, sharp_view);
    }
    return py::make_tuple(height, sigma, sharp);
}

template <class Self>
Array<std::uint8_t> textured(const Self& self, bool beside_stronger) {
    auto out = new_array<std::uint8_t>(std::array{self.level_height(0), self.level_width(0)});
    self.textured(write_view<2>(out, "textured"), beside_stronger);
    return out;
}

template <class Self>
py::tuple record(const Self& self) {
    const std::vector<double> z = self.record_z_um();
    const auto [rows, columns] = self.cells();
    auto heights = new_array<double>(std::array{z.size()});
    std::copy(z.begin(), z.end(), heights.mutable_data());
    auto brightness = new_array<float>(std::array{z.size(), rows, columns});
    auto focus = new_array<float>(std::array{z.size(), rows, columns});
    auto saturated = new_array<float>(std::array{rows, columns});
    self.record(write_view<3>(brightness, "brightness"), write_view<3>(focus, "focus"),
                write_view<2>(saturated, "saturated"));
    return py::make_tuple(heights, brightness, focus, saturated);
}

template <class Self>
void reject(Self& self, const Array<std::uint8_t>& occluded) {
    const auto view = read_view<3>(occluded, "occluded");
    const py::gil_scoped_release nogil;
    self.reject(view);
}

template <class Self>
py::tuple peaks(const Self& self, std::size_t level) {
    const std::array<std::size_t, 3> shape{2, self.level_height(level), self.level_width(level)};
    auto z = new_array<float>(shape);
    auto peak = new_array<float>(shape);
    auto width = new_array<float>(shape);
    self.peaks(level, {.z_um = write_view<3>(z, "z_um"),
                       .peak = write_view<3>(peak, "peak"),
                       .width_um = write_view<3>(width, "width_um")});
    return py::make_tuple(z, peak, width);
}

template <class Self>
Array<float> counts(const Self& self) {
    auto out = new_array<float>(std::array<std::size_t, 3>{2, self.level_height(0), self.level_width(0)});
    self.counts(write_view<3>(out, "counts"));
    return out;
}

template <class T>
void push_one(lee::DeviceRefocuser& self, const CudaArray<const T>& frame, double z_um, double drift_y_px,
              double drift_x_px) {
    const auto image = view<2>(frame, "frame");
    const std::array<double, 2> drift{drift_y_px, drift_x_px};
    self.push(lee::DeviceView<const T, 3>::at(image.data, {1, image.shape[0], image.shape[1]}), {&z_um, 1},
              {&drift, 1});
}

template <class T>
void push_stack(lee::DeviceRefocuser& self, const CudaArray<const T>& frames, const std::vector<double>& z_um,
                const std::vector<std::array<double, 2>>& drift_px) {
    self.push(view<3>(frames, "frames"), z_um, drift_px);
}

void preview_into(const lee::DeviceRefocuser& self, const CudaArray<float>& height) {
    self.preview(view<2>(height, "height_um"));
}

void finish_into(lee::DeviceRefocuser& self, const CudaArray<float>& height, const CudaArray<float>& sigma,
                 const CudaArray<float>& sharp) {
    self.finish(view<2>(height, "height_um"), view<2>(sigma, "sigma_um"), view<2>(sharp, "sharp"));
}

lee::RefocuserParams params_of(double depth_of_field_um, std::size_t window_y_px, std::size_t window_x_px,
                               std::size_t detail_px, int threads) {
    return {.depth_of_field_um = depth_of_field_um,
            .window_y_px = window_y_px,
            .window_x_px = window_x_px,
            .detail_px = detail_px,
            .threads = threads};
}

// The members that refocusers of both backends have.
template <class Self>
void bind_common(py::class_<Self>& bound) {
    const auto frame = py::arg("frame").noconvert();
    const auto drift_y = py::arg("drift_y_px") = 0.0, drift_x = py::arg("drift_x_px") = 0.0;
    bound.def("push", &push<Self, std::uint8_t>, frame, py::arg("z_um"), drift_y, drift_x)
        .def("push", &push<Self, std::uint16_t>, frame, py::arg("z_um"), drift_y, drift_x)
        .def("push", &push<Self, float>, frame, py::arg("z_um"), drift_y, drift_x)
        .def("saturate_at", &Self::saturate_at, py::arg("counts"))
        .def("preview", &preview<Self>)
        .def("close", &Self::close, py::call_guard<py::gil_scoped_release>())
        .def("finish", &finish<Self>)
        .def("textured", &textured<Self>, py::arg("beside_stronger"))
        .def("record", &record<Self>)
        .def("reject", &reject<Self>, py::arg("occluded").noconvert())
        .def("peaks", &peaks<Self>, py::arg("level"))
        .def("counts", &counts<Self>)
        .def_property_readonly("rests", &Self::residual_drifts)
        .def_property_readonly("noise", &Self::noise)
        .def_property_readonly("frames", &Self::frames)
        .def_property_readonly("levels", &Self::levels)
        .def_property_readonly("state_bytes_per_pixel", &Self::state_bytes_per_pixel);
}

}  // namespace

void bind_refocuser(py::module_& module) {
    py::class_<lee::Refocuser> host(module, "Refocuser");
    host.def(
        py::init([](std::size_t height, std::size_t width, double depth_of_field_um, std::size_t window_y_px,
                    std::size_t window_x_px, std::size_t detail_px, int threads) {
            return lee::Refocuser(height, width,
                                  params_of(depth_of_field_um, window_y_px, window_x_px, detail_px, threads));
        }),
        py::arg("height"), py::arg("width"), py::kw_only(), py::arg("depth_of_field_um"),
        py::arg("window_y_px"), py::arg("window_x_px"), py::arg("detail_px"), py::arg("threads"));
    bind_common(host);

    py::class_<lee::DeviceRefocuser> device(module, "DeviceRefocuser");
    device.def(
        py::init([](std::size_t height, std::size_t width, double depth_of_field_um, std::size_t window_y_px,
                    std::size_t window_x_px, std::size_t detail_px, int threads, std::uintptr_t stream) {
            return lee::DeviceRefocuser(
                height, width, params_of(depth_of_field_um, window_y_px, window_x_px, detail_px, threads),
                stream_at(stream));
        }),
        py::arg("height"), py::arg("width"), py::kw_only(), py::arg("depth_of_field_um"),
        py::arg("window_y_px"), py::arg("window_x_px"), py::arg("detail_px"), py::arg("threads"),
        py::arg("stream"));
    bind_common(device);
    const auto frame = py::arg("frame");
    const auto drift_y = py::arg("drift_y_px") = 0.0, drift_x = py::arg("drift_x_px") = 0.0;
    const auto frames = py::arg("frames");
    const auto drifts = py::arg("drift_px") = py::tuple();
    device.def("push", &push_one<std::uint8_t>, frame, py::arg("z_um"), drift_y, drift_x)
        .def("push", &push_one<std::uint16_t>, frame, py::arg("z_um"), drift_y, drift_x)
        .def("push", &push_one<float>, frame, py::arg("z_um"), drift_y, drift_x)
        .def("push_stack", &push_stack<std::uint8_t>, frames, py::arg("z_um"), drifts)
        .def("push_stack", &push_stack<std::uint16_t>, frames, py::arg("z_um"), drifts)
        .def("push_stack", &push_stack<float>, frames, py::arg("z_um"), drifts)
        .def("preview_into", &preview_into, py::arg("height"))
        .def("finish_into", &finish_into, py::arg("height"), py::arg("sigma"), py::arg("sharp"));
}
