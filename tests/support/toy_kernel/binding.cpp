#include "arrays.hpp"
#include "cuda_arrays.hpp"
#include "lee/toy_negation.hpp"

using namespace lee::bindings;

namespace {

Array<float> toy_negation(const Array<float>& height, int threads) {
    const auto in = read_view<2>(height, "height");
    auto out = new_array<float>(in.shape);
    const auto to = write_view<2>(out, "out");
    const py::gil_scoped_release nogil;
    lee::toy_negation(in, to, {.threads = threads});
    return out;
}

void toy_negation_cuda(const CudaArray<const float>& height, const CudaArray<float>& out,
                       std::uintptr_t stream) {
    lee::toy_negation(view<2>(height, "height"), view<2>(out, "out"), {}, stream_at(stream));
}

}  // namespace

void bind_toy_negation(py::module_& module) {
    module.def("toy_negation", &toy_negation, py::arg("height").noconvert(), py::kw_only(),
               py::arg("threads"));
    module.def("toy_negation", &toy_negation_cuda, py::arg("height"), py::kw_only(), py::arg("out"),
               py::arg("stream"));
}
