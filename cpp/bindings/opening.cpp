#include "lee/opening.hpp"

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "cuda_arrays.hpp"

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

lee::Flat operation_of(const std::string& name) {
    return name == "erosion"    ? lee::Flat::erosion
           : name == "dilation" ? lee::Flat::dilation
           : name == "opening"  ? lee::Flat::opening
           : name == "closing"  ? lee::Flat::closing
                                : throw py::value_error("flat_morphology: no operation called " + name +
                                                        "; give erosion, dilation, opening or closing");
}

Array<float> flat_morphology(const std::string& name, const Array<float>& height,
                             const Array<std::uint8_t>& mask, Centre centre, int threads) {
    const lee::Flat operation = operation_of(name);
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

void opening_cuda(const CudaArray<const float>& height, const Array<std::uint8_t>& mask, Centre centre,
                  float threshold, float mad_factor, bool peaks, bool pits, const CudaArray<float>& out,
                  const CudaArray<std::int8_t>& removed, std::uintptr_t stream) {
    lee::opening(view<2>(height, "height"), view<2>(out, "out"), view<2>(removed, "removed"),
                 footprint_of(mask, centre),
                 {.threshold = threshold, .mad_factor = mad_factor, .peaks = peaks, .pits = pits},
                 stream_at(stream));
}

void flat_morphology_cuda(const std::string& name, const CudaArray<const float>& height,
                          const Array<std::uint8_t>& mask, Centre centre, const CudaArray<float>& out,
                          std::uintptr_t stream) {
    lee::flat_morphology(operation_of(name), view<2>(height, "height"), view<2>(out, "out"),
                         footprint_of(mask, centre), stream_at(stream));
}

}  // namespace

void bind_opening(py::module_& module) {
    module.def("opening", &opening, py::arg("height").noconvert(), py::arg("footprint").noconvert(),
               py::kw_only(), py::arg("centre"), py::arg("threshold"), py::arg("mad_factor"),
               py::arg("peaks"), py::arg("pits"), py::arg("threads"));
    module.def("flat_morphology", &flat_morphology, py::arg("operation"), py::arg("height").noconvert(),
               py::arg("footprint").noconvert(), py::kw_only(), py::arg("centre"), py::arg("threads"));
    module.def("opening", &opening_cuda, py::arg("height"), py::arg("footprint").noconvert(), py::kw_only(),
               py::arg("centre"), py::arg("threshold"), py::arg("mad_factor"), py::arg("peaks"),
               py::arg("pits"), py::arg("out"), py::arg("removed"), py::arg("stream"));
    module.def("flat_morphology", &flat_morphology_cuda, py::arg("operation"), py::arg("height"),
               py::arg("footprint").noconvert(), py::kw_only(), py::arg("centre"), py::arg("out"),
               py::arg("stream"));
}
