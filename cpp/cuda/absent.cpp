// What the device overloads do in a library built without CUDA.
#include "lee/device.hpp"
#include "lee/opening.hpp"

namespace lee {
namespace {

[[noreturn]] void absent(const char* operation) {
    throw DeviceError(
        std::string(operation) +
        ": this build of lee has no CUDA kernels; build it with LEE_CUDA=ON, or work on the CPU");
}

}  // namespace

bool built_with_cuda() noexcept {
    return false;
}

DeviceInfo device_info() {
    absent("device_info");
}

void opening(DeviceView<const float, 2>, DeviceView<float, 2>, DeviceView<std::int8_t, 2>, const Footprint&,
             const OpeningParams&, Stream) {
    absent("opening");
}

void flat_morphology(Flat, DeviceView<const float, 2>, DeviceView<float, 2>, const Footprint&, Stream) {
    absent("flat_morphology");
}

}  // namespace lee
