#include "lee/refocuser.hpp"

#include "arrays.hpp"

using namespace lee::bindings;

namespace {

template <class T>
void push(lee::Refocuser& self, const Array<T>& frame, double z_um, double drift_y_px, double drift_x_px) {
    const auto view = read_view<2>(frame, "frame");
    const py::gil_scoped_release nogil;
    self.push(view, z_um, drift_y_px, drift_x_px);
}

Array<float> preview(const lee::Refocuser& self) {
    auto out = new_array<float>(std::array{self.level_height(0), self.level_width(0)});
    self.preview(write_view<2>(out, "height_um"));
    return out;
}

py::tuple finish(lee::Refocuser& self) {
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

py::tuple brightness(const lee::Refocuser& self) {
    const std::array<std::size_t, 2> shape{(self.level_height(0) + 15) / 16, (self.level_width(0) + 15) / 16};
    auto least = new_array<float>(shape);
    auto most = new_array<float>(shape);
    auto saturated = new_array<float>(shape);
    self.brightness(write_view<2>(least, "least"), write_view<2>(most, "most"),
                    write_view<2>(saturated, "saturated"));
    return py::make_tuple(least, most, saturated);
}

py::tuple peaks(const lee::Refocuser& self, std::size_t level) {
    const std::array<std::size_t, 3> shape{2, self.level_height(level), self.level_width(level)};
    auto z = new_array<float>(shape);
    auto peak = new_array<float>(shape);
    auto width = new_array<float>(shape);
    self.peaks(level, {.z_um = write_view<3>(z, "z_um"),
                       .peak = write_view<3>(peak, "peak"),
                       .width_um = write_view<3>(width, "width_um")});
    return py::make_tuple(z, peak, width);
}

Array<float> counts(const lee::Refocuser& self) {
    auto out = new_array<float>(std::array<std::size_t, 3>{2, self.level_height(0), self.level_width(0)});
    self.counts(write_view<3>(out, "counts"));
    return out;
}

}  // namespace

void bind_refocuser(py::module_& module) {
    const auto frame = py::arg("frame").noconvert();
    py::class_<lee::Refocuser>(module, "Refocuser")
        .def(py::init([](std::size_t height, std::size_t width, double depth_of_field_um,
                         std::size_t window_y_px, std::size_t window_x_px, std::size_t detail_px,
                         int threads) {
                 return lee::Refocuser(height, width,
                                       {.depth_of_field_um = depth_of_field_um,
                                        .window_y_px = window_y_px,
                                        .window_x_px = window_x_px,
                                        .detail_px = detail_px,
                                        .threads = threads});
             }),
             py::arg("height"), py::arg("width"), py::kw_only(), py::arg("depth_of_field_um"),
             py::arg("window_y_px"), py::arg("window_x_px"), py::arg("detail_px"), py::arg("threads"))
        .def("push", &push<std::uint8_t>, frame, py::arg("z_um"), py::arg("drift_y_px") = 0.0,
             py::arg("drift_x_px") = 0.0)
        .def("push", &push<std::uint16_t>, frame, py::arg("z_um"), py::arg("drift_y_px") = 0.0,
             py::arg("drift_x_px") = 0.0)
        .def("push", &push<float>, frame, py::arg("z_um"), py::arg("drift_y_px") = 0.0,
             py::arg("drift_x_px") = 0.0)
        .def("saturate_at", &lee::Refocuser::saturate_at, py::arg("counts"))
        .def("preview", &preview)
        .def("close", &lee::Refocuser::close, py::call_guard<py::gil_scoped_release>())
        .def("finish", &finish)
        .def("brightness", &brightness)
        .def("peaks", &peaks, py::arg("level"))
        .def("counts", &counts)
        .def_property_readonly("noise", &lee::Refocuser::noise)
        .def_property_readonly("frames", &lee::Refocuser::frames)
        .def_property_readonly("levels", &lee::Refocuser::levels)
        .def_property_readonly("state_bytes_per_pixel", &lee::Refocuser::state_bytes_per_pixel);
}
