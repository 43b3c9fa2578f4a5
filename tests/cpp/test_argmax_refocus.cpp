#include "lee/argmax_refocus.hpp"

#include <cmath>
#include <stdexcept>
#include <vector>

#include "expect.hpp"
#include "lee/device.hpp"
#include "lee/error.hpp"
#include "same_bits.hpp"

namespace {

struct Case {
    std::size_t planes, rows, columns;
    std::vector<float> focus = std::vector<float>(planes * rows * columns);
    std::vector<double> z_um = std::vector<double>(planes);
    std::vector<float> sharp = std::vector<float>(rows * columns), height = sharp, sigma = sharp;
    std::vector<std::int32_t> plane = std::vector<std::int32_t>(rows * columns);

    void run(const lee::ArgmaxRefocusParams& params = {}) {
        const lee::HostView<const float, 3> view{focus.data(), {planes, rows, columns}};
        lee::argmax_refocus(view, view, z_um,
                            {.sharp = {sharp.data(), {rows, columns}},
                             .plane = {plane.data(), {rows, columns}},
                             .height_um = {height.data(), {rows, columns}},
                             .sigma_um = {sigma.data(), {rows, columns}}},
                            params);
    }
};

// Gaussian focus curves of width 0.8 um, their centres rising from pixel to pixel.
Case bells(std::size_t planes, std::size_t rows, std::size_t columns) {
    Case made{planes, rows, columns};
    const std::size_t pixels = rows * columns;
    for (std::size_t z = 0; z < planes; ++z)
        made.z_um[z] = 5.0 + 0.2 * static_cast<double>(z) + 0.03 * static_cast<double>(z % 2);
    for (std::size_t at = 0; at < made.focus.size(); ++at) {
        const double centre = 5.5 + 3.0 * static_cast<double>(at % pixels) / static_cast<double>(pixels);
        const double u = (made.z_um[at / pixels] - centre) / 0.8;
        made.focus[at] = static_cast<float>(40.0 * std::exp(-0.5 * u * u));
    }
    return made;
}

void heights() {
    for (const int threads : {1, 3}) {
        Case test = bells(20, 7, 23);
        test.run({.threads = threads});
        for (std::size_t p = 0; p < 161; ++p) {
            const double centre = 5.5 + 3.0 * static_cast<double>(p) / 161.0;
            if (test.plane[p] == 19) {
                EXPECT(std::isnan(test.height[p]) && std::isnan(test.sigma[p]));
                continue;
            }
            EXPECT(std::fabs(static_cast<double>(test.height[p]) - centre) < 1e-4);
            EXPECT(test.sigma[p] < 1e-4F);
            EXPECT(test.sharp[p] == test.focus[static_cast<std::size_t>(test.plane[p]) * 161 + p]);
        }
    }
}

void ties_and_gaps() {
    Case test{3, 1, 2, {NAN, NAN, 4.0F, NAN, 4.0F, NAN}, {0.0, 1.0, 2.0}};
    test.run();
    EXPECT(test.plane[0] == 1 && test.plane[1] == -1);
    EXPECT(test.sharp[0] == 4.0F && std::isnan(test.sharp[1]));
    EXPECT(std::isnan(test.height[0]) && std::isnan(test.height[1]));
}

void errors() {
    Case test = bells(4, 2, 2);
    expect_error<std::invalid_argument>("argmax_refocus: reach is 0; give a number of planes >= 1",
                                        [&] { test.run({.reach = 0}); });
    expect_error<lee::ShapeError>(
        "argmax_refocus: a pixel's focus is (4,) but z_um is (3,); they must have the same shape", [&] {
            Case shorter = test;
            shorter.z_um.pop_back();
            shorter.run();
        });
    expect_error<std::invalid_argument>(
        "argmax_refocus: z_um[2] is not finite; give the height of every plane", [&] {
            Case broken = test;
            broken.z_um[2] = NAN;
            broken.run();
        });
}

/// Before anything is done to the device; without CUDA in the library, with an error that states it.
void misuse_of_the_device_is_refused() {
    const auto stack = lee::DeviceView<const std::uint16_t, 3>::at(nullptr, {3, 2, 2});
    const auto focus = lee::DeviceView<const float, 3>::at(nullptr, {3, 2, 2});
    const std::vector<double> z_um{0.0, 1.0, 2.0};
    const auto map = lee::DeviceView<float, 2>::at(nullptr, {2, 2});
    const lee::DeviceRefocused out{.sharp = map,
                                   .plane = lee::DeviceView<std::int32_t, 2>::at(nullptr, {2, 2}),
                                   .height_um = map,
                                   .sigma_um = map};
    if (lee::built_with_cuda()) {
        expect_error<std::invalid_argument>("argmax_refocus: reach is 0; give a number of planes >= 1", [&] {
            lee::argmax_refocus(stack, focus, z_um, out, {.reach = 0});
        });
        return;
    }
    expect_error<lee::DeviceError>(
        "argmax_refocus: this build of lee has no CUDA kernels; build it with LEE_CUDA=ON, or work on the "
        "CPU",
        [&] { lee::argmax_refocus(stack, focus, z_um, out); });
}

void the_results_have_the_same_bits_everywhere() {
    using namespace same_bits;
    Case test{.planes = planes, .rows = rows, .columns = columns, .focus = scan<float>(1000.0)};
    for (std::size_t z = 0; z < planes; ++z) test.z_um[z] = 0.3 * static_cast<double>(z);
    test.run();
    expect("plane", test.plane, 0xd19ebe27);
    expect("sharp", test.sharp, 0x53e6dbef);
    expect("height", test.height, 0x07f0cdd4);
    expect("sigma", test.sigma, 0x0b25c6e1);
}

}  // namespace

int main() {
    heights();
    ties_and_gaps();
    errors();
    misuse_of_the_device_is_refused();
    the_results_have_the_same_bits_everywhere();
}
