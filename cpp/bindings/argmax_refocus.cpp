#include "lee/argmax_refocus.hpp"

#include "arrays.hpp"
#include "cuda_arrays.hpp"

using namespace lee::bindings;

namespace {

template <class Pixel>
py::tuple argmax_refocus(const Array<Pixel>& stack, const Array<float>& focus, const Array<double>& z_um,
                         std::size_t reach, int threads) {
    const auto in = read_view<3>(stack, "stack");
    const auto focus_view = read_view<3>(focus, "focus");
    const auto heights = read_view<1>(z_um, "z_um");
    const std::array shape{in.shape[1], in.shape[2]};
    auto sharp = new_array<float>(shape);
    auto plane = new_array<std::int32_t>(shape);
    auto height = new_array<float>(shape);
    auto sigma = new_array<float>(shape);
    const lee::Refocused out{.sharp = write_view<2>(sharp, "sharp"),
                             .plane = write_view<2>(plane, "plane"),
                             .height_um = write_view<2>(height, "height_um"),
                             .sigma_um = write_view<2>(sigma, "sigma_um")};
    {
        const py::gil_scoped_release nogil;
        lee::argmax_refocus(in, focus_view, {heights.data, heights.size()}, out,
                            {.reach = reach, .threads = threads});
    }
    return py::make_tuple(sharp, plane, height, sigma);
}

template <class Pixel>
void argmax_refocus_cuda(const CudaArray<const Pixel>& stack, const CudaArray<const float>& focus,
                         const Array<double>& z_um, std::size_t reach, const CudaArray<float>& sharp,
                         const CudaArray<std::int32_t>& plane, const CudaArray<float>& height_um,
                         const CudaArray<float>& sigma_um, std::uintptr_t stream) {
    const auto heights = read_view<1>(z_um, "z_um");
    lee::argmax_refocus(view<3>(stack, "stack"), view<3>(focus, "focus"), {heights.data, heights.size()},
                        lee::DeviceRefocused{.sharp = view<2>(sharp, "sharp"),
                                             .plane = view<2>(plane, "plane"),
                                             .height_um = view<2>(height_um, "height_um"),
                                             .sigma_um = view<2>(sigma_um, "sigma_um")},
                        {.reach = reach}, stream_at(stream));
}

template <class Pixel>
void bind(py::module_& module) {
    module.def("argmax_refocus", &argmax_refocus<Pixel>, py::arg("stack").noconvert(),
               py::arg("focus").noconvert(), py::kw_only(), py::arg("z_um").noconvert(), py::arg("reach"),
               py::arg("threads"));
    module.def("argmax_refocus", &argmax_refocus_cuda<Pixel>, py::arg("stack"), py::arg("focus"),
               py::kw_only(), py::arg("z_um").noconvert(), py::arg("reach"), py::arg("sharp"),
               py::arg("plane"), py::arg("height_um"), py::arg("sigma_um"), py::arg("stream"));
}

}  // namespace

void bind_argmax_refocus(py::module_& module) {
    bind<std::uint8_t>(module);
    bind<std::uint16_t>(module);
    bind<float>(module);
}
