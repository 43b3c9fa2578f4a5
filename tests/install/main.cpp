#include <lee/device.hpp>
#include <lee/error.hpp>
#include <lee/opening.hpp>
#include <lee/processor.hpp>
#include <lee/version.hpp>

#include <cstdint>
#include <cstdio>
#include <vector>

int main() {
    const std::vector<float> height{0, 0, 0, 9, 0, 0, 0};
    const std::vector<std::uint8_t> mask{1, 1, 1};
    const lee::Footprint footprint{.mask = {mask.data(), {1, 3}}, .centre_y = 0, .centre_x = 1};
    std::vector<float> out(7);
    std::vector<std::int8_t> removed(7);
    lee::opening({height.data(), {1, 7}}, {out.data(), {1, 7}}, {removed.data(), {1, 7}}, footprint,
                 {.threshold = 1.0F});
    bool refused = false;
    try {
        lee::opening({height.data(), {7, 1}}, {out.data(), {1, 7}}, {removed.data(), {1, 7}}, footprint);
    } catch (const lee::ShapeError&) {
        refused = true;  // caught by its type across the library's border
    }
    bool off_device = false;
    try {
        // Memory of the host is no device's, whether the library has CUDA or not.
        lee::opening(lee::DeviceView<const float, 2>::at(height.data(), {1, 7}),
                     lee::DeviceView<float, 2>::at(out.data(), {1, 7}),
                     lee::DeviceView<std::int8_t, 2>::at(removed.data(), {1, 7}), footprint);
    } catch (const lee::DeviceError& error) {
        off_device = true;
        std::printf("%s\n", error.what());
    }
    std::printf("lee %s on %s, %d cores: %g -> %g\n", LEE_VERSION, lee::instruction_set(),
                lee::available_cores(), static_cast<double>(height[3]), static_cast<double>(out[3]));
    return out[3] == 0.0F && removed[3] == 1 && refused && off_device ? 0 : 1;
}
