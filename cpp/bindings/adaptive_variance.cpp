#include "lee/adaptive_variance.hpp"

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "cuda_arrays.hpp"

using namespace lee::bindings;

namespace {

using Centre = std::pair<std::size_t, std::size_t>;

std::vector<lee::Footprint> footprints_of(const std::vector<Array<std::uint8_t>>& masks,
                                          const std::vector<Centre>& centres) {
    if (masks.size() != centres.size()) {
        throw py::value_error("adaptive_variance: " + std::to_string(masks.size()) + " footprints but " +
                              std::to_string(centres.size()) + " centres; give one centre for each");
    }
    std::vector<lee::Footprint> footprints;
    for (std::size_t k = 0; k < masks.size(); ++k) {
        footprints.push_back({.mask = read_view<2>(masks[k], "footprint"),
                              .centre_y = centres[k].first,
                              .centre_x = centres[k].second});
    }
    return footprints;
}

template <class Pixel>
py::tuple adaptive_variance(const Array<Pixel>& stack, const std::vector<Array<std::uint8_t>>& masks,
                            const std::vector<Centre>& centres, std::size_t detail_px, float noise,
                            float significance, int threads) {
    const auto in = read_view<3>(stack, "stack");
    const std::vector<lee::Footprint> footprints = footprints_of(masks, centres);
    auto focus = new_array<float>(in.shape);
    auto window = new_array<std::uint8_t>(std::array{in.shape[1], in.shape[2]});
    const auto focus_view = write_view<3>(focus, "focus");
    const auto window_view = write_view<2>(window, "window");
    float used = 0.0F;
    {
        const py::gil_scoped_release nogil;
        used = lee::adaptive_variance(
            in, focus_view, window_view, footprints,
            {.detail_px = detail_px, .noise = noise, .significance = significance, .threads = threads});
    }
    return py::make_tuple(focus, window, used);
}

template <class Pixel>
void adaptive_variance_cuda(const CudaArray<const Pixel>& stack,
                            const std::vector<Array<std::uint8_t>>& masks, const std::vector<Centre>& centres,
                            std::size_t detail_px, float noise, float significance,
                            const CudaArray<float>& focus, const CudaArray<std::uint8_t>& window,
                            const CudaArray<float>& used, std::uintptr_t stream) {
    lee::adaptive_variance(view<3>(stack, "stack"), view<3>(focus, "focus"), view<2>(window, "window"),
                           view<1>(used, "used"), footprints_of(masks, centres),
                           {.detail_px = detail_px, .noise = noise, .significance = significance},
                           stream_at(stream));
}

template <class Pixel>
void bind(py::module_& module) {
    module.def("adaptive_variance", &adaptive_variance<Pixel>, py::arg("stack").noconvert(),
               py::arg("footprints"), py::kw_only(), py::arg("centres"), py::arg("detail_px"),
               py::arg("noise"), py::arg("significance"), py::arg("threads"));
    module.def("adaptive_variance", &adaptive_variance_cuda<Pixel>, py::arg("stack"), py::arg("footprints"),
               py::kw_only(), py::arg("centres"), py::arg("detail_px"), py::arg("noise"),
               py::arg("significance"), py::arg("focus"), py::arg("window"), py::arg("used"),
               py::arg("stream"));
}

}  // namespace

void bind_adaptive_variance(py::module_& module) {
    bind<std::uint8_t>(module);
    bind<std::uint16_t>(module);
    bind<float>(module);
}
