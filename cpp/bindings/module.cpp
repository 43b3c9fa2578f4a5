#include <pybind11/pybind11.h>

#include "lee/processor.hpp"
#include "lee/version.hpp"

namespace py = pybind11;

#define LEE_KERNEL(stem) void bind_##stem(py::module_&);
#include "kernels.inc"
#undef LEE_KERNEL

PYBIND11_MODULE(_core, module) {
    module.attr("__version__") = LEE_VERSION;
    module.def("instruction_set", &lee::instruction_set);
    module.def("available_cores", &lee::available_cores);
#define LEE_KERNEL(stem) bind_##stem(module);
#include "kernels.inc"
#undef LEE_KERNEL
}
