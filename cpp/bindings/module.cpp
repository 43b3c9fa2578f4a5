#include <pybind11/pybind11.h>

#include "lee/device.hpp"
#include "lee/processor.hpp"
#include "lee/version.hpp"

namespace py = pybind11;

#define LEE_KERNEL(stem) void bind_##stem(py::module_&);
#include "kernels.inc"
#undef LEE_KERNEL

namespace {

py::dict cuda_device() {
    const lee::DeviceInfo info = lee::device_info();
    using namespace py::literals;
    return py::dict("name"_a = info.name,
                    "compute_capability"_a = py::make_tuple(info.compute_major, info.compute_minor),
                    "multiprocessors"_a = info.multiprocessors, "memory_bytes"_a = info.memory_bytes,
                    "free_bytes"_a = info.free_bytes, "clock_hz"_a = info.clock_hz,
                    "memory_bytes_per_s"_a = info.memory_bytes_per_s, "shared_slice"_a = info.shared_slice,
                    "driver_version"_a = info.driver_version, "runtime_version"_a = info.runtime_version);
}

// The exceptions are defined in the package, so that nobody needs the core to catch them.
void raise(const char* name, const char* what) {
    py::set_error(py::module_::import("lee.errors").attr(name), what);
}

void translate(std::exception_ptr pending) {
    try {
        std::rethrow_exception(pending);
    } catch (const lee::DeviceMemoryError& error) {
        raise("DeviceMemoryError", error.what());
    } catch (const lee::DeviceError& error) {
        raise("DeviceError", error.what());
    }
}

}  // namespace

PYBIND11_MODULE(_core, module) {
    module.attr("__version__") = LEE_VERSION;
    module.def("instruction_set", &lee::instruction_set);
    module.def("available_cores", &lee::available_cores);
    module.def("built_with_cuda", &lee::built_with_cuda);
    module.def("cuda_device", &cuda_device);
    py::register_local_exception_translator(&translate);
#define LEE_KERNEL(stem) bind_##stem(module);
#include "kernels.inc"
#undef LEE_KERNEL
}
