#include "lee/device.hpp"

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "expect.hpp"
#include "lee/opening.hpp"

namespace {

void the_memory_error_is_a_device_error_and_both_are_told_apart() {
    static_assert(std::is_base_of_v<lee::DeviceError, lee::DeviceMemoryError>);
    expect_error<lee::DeviceError>("full", [] { throw lee::DeviceMemoryError("full"); });
    bool memory = false;
    try {
        throw lee::DeviceError("other");
    } catch (const lee::DeviceMemoryError&) {
        memory = true;
    } catch (const lee::DeviceError&) {
    }
    EXPECT(!memory);
}

void a_view_to_write_is_a_view_to_read() {
    float values[6] = {};
    const auto mutable_view = lee::DeviceView<float, 2>::at(values, {2, 3});
    const lee::DeviceView<const float, 2> view = mutable_view;
    EXPECT(view.data == values);
    EXPECT(view.size() == 6);
    static_assert(!std::is_convertible_v<lee::DeviceView<const float, 2>, lee::DeviceView<float, 2>>);
}

/// Without CUDA in the library the same headers serve, and every overload reports what is missing.
void a_library_without_cuda_says_so() {
    const std::string rest =
        ": this build of lee has no CUDA kernels; build it with LEE_CUDA=ON, or work on the CPU";
    expect_error<lee::DeviceError>("device_info" + rest, [] { (void)lee::device_info(); });
    const std::vector<float> height(6);
    std::vector<float> out(6, 5.0F);
    std::vector<std::int8_t> removed(6, 5);
    const std::vector<std::uint8_t> mask{1};
    const lee::Footprint footprint{.mask = {mask.data(), {1, 1}}, .centre_y = 0, .centre_x = 0};
    const auto in = lee::DeviceView<const float, 2>::at(height.data(), {2, 3});
    const auto to = lee::DeviceView<float, 2>::at(out.data(), {2, 3});
    const auto marks = lee::DeviceView<std::int8_t, 2>::at(removed.data(), {2, 3});
    expect_error<lee::DeviceError>("opening" + rest, [&] { lee::opening(in, to, marks, footprint); });
    expect_error<lee::DeviceError>("flat_morphology" + rest,
                                   [&] { lee::flat_morphology(lee::Flat::erosion, in, to, footprint); });
    EXPECT(out == std::vector<float>(6, 5.0F));
    EXPECT(removed == std::vector<std::int8_t>(6, 5));
}

/// With CUDA there is a device with a name, or an error that states why not.
void a_library_with_cuda_names_its_device() {
    try {
        const lee::DeviceInfo info = lee::device_info();
        EXPECT(!info.name.empty());
        EXPECT(info.compute_major * 10 + info.compute_minor >= 75);
        EXPECT(info.free_bytes <= info.memory_bytes);
        EXPECT(info.memory_bytes_per_s > 0.0);
    } catch (const lee::DeviceError& error) {
        const std::string message = error.what();
        EXPECT(message.starts_with("device_info: no ") ||
               message.starts_with("device_info: the NVIDIA driver"));
    }
}

}  // namespace

int main() {
    the_memory_error_is_a_device_error_and_both_are_told_apart();
    a_view_to_write_is_a_view_to_read();
    if (lee::built_with_cuda()) {
        a_library_with_cuda_names_its_device();
    } else {
        a_library_without_cuda_says_so();
    }
}
