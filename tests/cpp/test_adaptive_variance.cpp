#include "lee/adaptive_variance.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "expect.hpp"
#include "lee/device.hpp"
#include "lee/error.hpp"
#include "same_bits.hpp"

namespace {

struct Shape {
    std::size_t planes, rows, columns;
    [[nodiscard]] std::size_t pixels() const { return rows * columns; }
};

struct Mask {
    std::size_t rows, columns;
    std::vector<std::uint8_t> set = std::vector<std::uint8_t>(rows * columns, 1);

    [[nodiscard]] lee::Footprint footprint() const {
        return {.mask = {set.data(), {rows, columns}}, .centre_y = rows / 2, .centre_x = columns / 2};
    }
};

template <class Pixel>
struct Case {
    Shape shape;
    std::vector<Pixel> stack = std::vector<Pixel>(shape.planes * shape.pixels());
    std::vector<float> focus = std::vector<float>(shape.planes * shape.pixels());
    std::vector<std::uint8_t> window = std::vector<std::uint8_t>(shape.pixels());

    float run(const std::vector<lee::Footprint>& footprints, const lee::AdaptiveVarianceParams& params = {}) {
        const auto [planes, rows, columns] = shape;
        return lee::adaptive_variance(lee::HostView<const Pixel, 3>{stack.data(), {planes, rows, columns}},
                                      {focus.data(), {planes, rows, columns}},
                                      {window.data(), {rows, columns}}, footprints, params);
    }
};

template <class Pixel>
Case<Pixel> noisy(Shape shape, unsigned seed) {
    Case<Pixel> made{shape};
    std::mt19937 random(seed);
    for (auto& pixel : made.stack) pixel = static_cast<Pixel>(random() % 200);
    return made;
}

template <class Pixel>
double by_definition(const Case<Pixel>& test, const Mask& mask, std::size_t z, std::size_t y, std::size_t x) {
    std::vector<double> seen;
    for (std::size_t j = 0; j < mask.rows; ++j) {
        for (std::size_t i = 0; i < mask.columns; ++i) {
            const std::size_t row = y + j - mask.rows / 2, column = x + i - mask.columns / 2;
            if (mask.set[j * mask.columns + i] == 0 || row >= test.shape.rows || column >= test.shape.columns)
                continue;
            const auto value =
                static_cast<double>(test.stack[(z * test.shape.rows + row) * test.shape.columns + column]);
            if (std::isfinite(value)) seen.push_back(value);
        }
    }
    if (seen.empty()) return std::nan("");
    double mean = 0.0, spread = 0.0;
    for (const double value : seen) mean += value / static_cast<double>(seen.size());
    for (const double value : seen)
        spread += (value - mean) * (value - mean) / static_cast<double>(seen.size());
    return mean > 0.0 ? spread / mean : 0.0;
}

template <class Pixel>
void equals_its_definition(Shape shape, const Mask& mask, unsigned seed) {
    auto test = noisy<Pixel>(shape, seed);
    if constexpr (std::is_same_v<Pixel, float>) {
        for (std::size_t at = 0; at < test.stack.size(); at += 3) test.stack[at] = std::nanf("");
    }
    EXPECT(std::isnan(test.run({mask.footprint()})));
    for (std::size_t at = 0; at < test.focus.size(); ++at) {
        const std::size_t z = at / shape.pixels(), p = at % shape.pixels();
        const double expected = by_definition(test, mask, z, p / shape.columns, p % shape.columns);
        const auto got = static_cast<double>(test.focus[at]);
        EXPECT(std::isnan(expected) ? std::isnan(got) : std::fabs(got - expected) <= 1e-6 * expected + 1e-9);
    }
}

void definitions() {
    Mask holes{5, 7};
    for (std::size_t at = 0; at < holes.set.size(); at += 3) holes.set[at] = 0;
    unsigned seed = 0;
    for (const Shape shape : {Shape{1, 1, 1}, Shape{2, 7, 3}, Shape{1, 70, 300}}) {
        for (const Mask& mask : {Mask{1, 1}, Mask{3, 2}, Mask{9, 9}, holes}) {
            equals_its_definition<std::uint8_t>(shape, mask, ++seed);
            equals_its_definition<std::uint16_t>(shape, mask, ++seed);
            equals_its_definition<float>(shape, mask, ++seed);
        }
    }
}

void windows_and_threads() {
    const Mask small{3, 3}, large{9, 9};
    for (const std::size_t detail : {std::size_t{0}, std::size_t{3}}) {
        auto one = noisy<float>({3, 130, 280}, 7);
        for (std::size_t at = 0; at < one.stack.size(); ++at) {
            if (at % 280 < 140) one.stack[at] = 100.0F;  // no texture in the left half
        }
        auto many = one;
        const std::vector<lee::Footprint> footprints{small.footprint(), large.footprint()};
        EXPECT(one.run(footprints, {.detail_px = detail, .noise = 1.0F, .threads = 1}) == 1.0F);
        EXPECT(many.run(footprints, {.detail_px = detail, .noise = 1.0F, .threads = 4}) == 1.0F);
        EXPECT(one.focus == many.focus && one.window == many.window);
        EXPECT(one.window[100 * 280 + 60] == 1 && one.window[100 * 280 + 200] == 0);
    }
}

void errors() {
    auto test = noisy<std::uint8_t>({2, 4, 5}, 1);
    const Mask mask{3, 3};
    expect_error<std::invalid_argument>("adaptive_variance: 0 footprints given; give 1 to 255",
                                        [&] { test.run({}); });
    expect_error<std::invalid_argument>("adaptive_variance: detail_px is 2; give 0, or an odd number >= 3",
                                        [&] { test.run({mask.footprint()}, {.detail_px = 2}); });
    expect_error<std::invalid_argument>("adaptive_variance: threads is -1; give 0 for all cores, or a count",
                                        [&] { test.run({mask.footprint()}, {.threads = -1}); });
    expect_error<lee::ShapeError>(
        "adaptive_variance: stack is (2, 4, 5) but focus is (2, 5, 4); they must have the same shape", [&] {
            const std::vector<lee::Footprint> footprints{mask.footprint()};
            lee::adaptive_variance(lee::HostView<const std::uint8_t, 3>{test.stack.data(), {2, 4, 5}},
                                   {test.focus.data(), {2, 5, 4}}, {test.window.data(), {4, 5}}, footprints);
        });
}

/// Before anything is done to the device; without CUDA in the library, with an error that states it.
void misuse_of_the_device_is_refused() {
    const auto stack = lee::DeviceView<const std::uint8_t, 3>::at(nullptr, {3, 2, 2});
    const auto focus = lee::DeviceView<float, 3>::at(nullptr, {3, 2, 2});
    const auto window = lee::DeviceView<std::uint8_t, 2>::at(nullptr, {2, 2});
    const auto noise = lee::DeviceView<float, 1>::at(nullptr, {1});
    const Mask mask{3, 3};
    const std::vector<lee::Footprint> footprints{mask.footprint()};
    if (lee::built_with_cuda()) {
        expect_error<std::invalid_argument>(
            "adaptive_variance: detail_px is 2; give 0, or an odd number >= 3",
            [&] { lee::adaptive_variance(stack, focus, window, noise, footprints, {.detail_px = 2}); });
        return;
    }
    expect_error<lee::DeviceError>(
        "adaptive_variance: this build of lee has no CUDA kernels; build it with LEE_CUDA=ON, or work on the "
        "CPU",
        [&] { lee::adaptive_variance(stack, focus, window, noise, footprints); });
}

template <class Pixel>
void the_results_have_the_same_bits_everywhere(double brightest, std::array<std::uint32_t, 4> expected) {
    using namespace same_bits;
    Case<Pixel> test{.shape = {planes, rows, columns}, .stack = scan<Pixel>(brightest)};
    const Mask small{3, 3}, large{9, 7};
    const float noise = test.run({small.footprint(), large.footprint()});
    expect("focus", test.focus, expected[0]);
    expect("window", test.window, expected[1]);
    expect("noise", std::vector{noise}, expected[2]);
    test.run({small.footprint(), large.footprint()}, {.detail_px = 5});
    expect("detail", test.focus, expected[3]);
}

}  // namespace

int main() {
    definitions();
    windows_and_threads();
    errors();
    misuse_of_the_device_is_refused();
    the_results_have_the_same_bits_everywhere<std::uint8_t>(250.0,
                                                            {0x2f8e7947, 0x08655d38, 0xf5025a38, 0x41810825});
    the_results_have_the_same_bits_everywhere<std::uint16_t>(
        4000.0, {0x3f1da38f, 0xc9c58b85, 0x0838fb5a, 0x48d4128d});
    the_results_have_the_same_bits_everywhere<float>(1000.0,
                                                     {0x32683a77, 0xc9c58b85, 0x2a51f0e2, 0x3e346a01});
}
