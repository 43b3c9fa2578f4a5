#include "lee/opening.hpp"

#include <pybind11/stl.h>

#include "arrays.hpp"

using namespace lee::bindings;

namespace {

using Centre = std::pair<std::size_t, std::size_t>;

lee::Footprint footprint_of(const Array<std::uint8_t>& mask, Centre centre) {
    return {.mask = read_view<2>(mask, "footprint"), .centre_y = centre.first, .centre_x = centre.second};
}

py::tuple opening(const Array<float>& height, const Array<std::uint8_t>& mask, Centre centre, float threshold,
                  float mad_factor, bool peaks, bool pits, int threads) {
    const auto in = read_view<2>(height, "height");
    const lee::Footprint footprint = footprint_of(mask, centre);
    auto out = new_array<float>(in.shape);
    auto removed = new_array<std::int8_t>(in.shape);
    const auto out_view = write_view<2>(out, "out");
    const auto removed_view = write_view<2>(removed, "removed");
    {
        const py::gil_scoped_release nogil;
        lee::opening(in, out_view, removed_view, footprint,
                     {.threshold = threshold,
                      .mad_factor = mad_factor,
                      .peaks = peaks,
                      .pits = pits,
                      .threads = threads});
    }
    return py::make_tuple(out, removed);
}

Array<float> flat_morphology(const std::string& name, const Array<float>& height,
                             const Array<std::uint8_t>& mask, Centre centre, int threads) {
    const auto operation = name == "erosion"    ? lee::Flat::erosion
                           : name == "dilation" ? lee::Flat::dilation
                           : name == "opening"  ? lee::Flat::opening
                           : name == "closing"
                               ? lee::Flat::closing
                               : throw py::value_error("flat_morphology: no operation called " + name);
    const auto in = read_view<2>(height, "height");
    const lee::Footprint footprint = footprint_of(mask, centre);
    auto out = new_array<float>(in.shape);
    const auto out_view = write_view<2>(out, "out");
    {
        const py::gil_scoped_release nogil;
        lee::flat_morphology(operation, in, out_view, footprint, threads);
    }
    return out;
}

}  // namespace

void bind_opening(py::module_& module) {
    module.def("opening", &opening, py::arg("height").noconvert(), py::arg("footprint").noconvert(),
               py::kw_only(), py::arg("centre"), py::arg("threshold"), py::arg("mad_factor"),
               py::arg("peaks"), py::arg("pits"), py::arg("threads"));
    module.def("flat_morphology", &flat_morphology, py::arg("operation"), py::arg("height").noconvert(),
               py::arg("footprint").noconvert(), py::kw_only(), py::arg("centre"), py::arg("threads"));
}
