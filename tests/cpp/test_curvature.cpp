#include "lee/curvature.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "expect.hpp"
#include "lee/error.hpp"
#include "same_bits.hpp"

namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

struct Case {
    std::size_t rows, columns;
    std::vector<float> height = std::vector<float>(rows * columns);
    std::vector<float> sigma = std::vector<float>(rows * columns, 0.1F);
    std::vector<float> mean = height, gauss = height, high = height, low = height;
    std::vector<float> mean_sigma = height, gauss_sigma = height;

    [[nodiscard]] lee::HostView<float, 2> map(std::vector<float>& of) const {
        return {of.data(), {rows, columns}};
    }

    void run(const lee::CurvatureParams& params) {
        lee::curvature(map(height), map(sigma), map(mean), map(gauss), map(high), map(low), map(mean_sigma),
                       map(gauss_sigma), params);
    }
};

bool near(float a, double b, double within) {
    return std::abs(static_cast<double>(a) - b) <= within;
}

// h = 1000 + a x^2 + b y^2 + x, which both families fit exactly.
Case bowl(std::size_t rows, std::size_t columns, double pixel_um) {
    Case made{rows, columns};
    for (std::size_t i = 0; i < made.height.size(); ++i) {
        const double x = pixel_um * (static_cast<double>(i % columns) - static_cast<double>(columns) / 2);
        const double y = pixel_um * (static_cast<double>(i / columns) - static_cast<double>(rows) / 2);
        made.height[i] = static_cast<float>(0.02 * x * x + 0.01 * y * y + 0.5 * y);
    }
    return made;
}

void a_bowl_is_what_it_is_up_to_its_border(lee::CurvatureFamily family) {
    const double pixel_um = 0.25;
    Case made = bowl(150, 170, pixel_um);
    made.run({.family = family, .scale_um = 1.0, .pixel_um = pixel_um, .threads = 2});
    for (std::size_t i = 0; i < made.height.size(); ++i) {
        const double x = pixel_um * (static_cast<double>(i % 170) - 85.0);
        const double y = pixel_um * (static_cast<double>(i / 170) - 75.0);
        const double hx = 0.04 * x, hy = 0.02 * y + 0.5, q = 1.0 + hx * hx + hy * hy;
        const double mean = ((1.0 + hy * hy) * 0.04 + (1.0 + hx * hx) * 0.02) / (2.0 * std::pow(q, 1.5));
        const double gauss = 0.04 * 0.02 / (q * q);
        EXPECT(near(made.mean[i], mean, 2e-5));
        EXPECT(near(made.gauss[i], gauss, 2e-6));
        EXPECT(near(made.high[i] + made.low[i], 2.0 * mean, 5e-5));
        EXPECT(near(made.high[i] * made.low[i], gauss, 3e-6));
        EXPECT(made.mean_sigma[i] > 0.0F && made.gauss_sigma[i] > 0.0F);
    }
}

void threads_do_not_change_the_result() {
    Case one = bowl(300, 200, 0.5);
    for (std::size_t i = 0; i < one.height.size(); i += 37) one.height[i] = nan;
    Case many = one;
    one.run({.scale_um = 1.5, .pixel_um = 0.5, .threads = 1});
    many.run({.scale_um = 1.5, .pixel_um = 0.5, .threads = 5});
    for (std::size_t i = 0; i < one.mean.size(); ++i) {
        EXPECT(std::isnan(one.mean[i]) == std::isnan(one.height[i]));
        EXPECT(std::isnan(one.mean[i]) ? std::isnan(many.mean[i]) : one.mean[i] == many.mean[i]);
        EXPECT(std::isnan(one.mean[i]) || one.mean_sigma[i] == many.mean_sigma[i]);
    }
}

void too_little_gives_nothing() {
    Case pixel{1, 1};
    pixel.run({.scale_um = 1.0, .pixel_um = 1.0});
    EXPECT(std::isnan(pixel.mean[0]) && std::isnan(pixel.low[0]) && std::isnan(pixel.gauss_sigma[0]));
    Case empty{40, 40};
    for (float& value : empty.height) value = nan;
    empty.run({.family = lee::CurvatureFamily::gaussian, .scale_um = 1.0, .pixel_um = 1.0});
    for (const float value : empty.mean) EXPECT(std::isnan(value));
}

void windows_are_told() {
    const auto gaussian =
        lee::curvature_window({.family = lee::CurvatureFamily::gaussian, .scale_um = 3.0, .pixel_um = 0.5});
    EXPECT(gaussian.radius_px == 24 && gaussian.scale_um == 3.0);
    const auto savgol = lee::curvature_window({.scale_um = 3.0, .pixel_um = 0.5});
    EXPECT(savgol.radius_px == 21 && near(static_cast<float>(savgol.scale_um), 3.0, 0.05));
}

void bad_arguments_are_refused() {
    Case made = bowl(8, 9, 1.0);
    using Bad = std::invalid_argument;
    expect_error<Bad>("curvature: pixel_um is 0.000000; give a length in µm above 0",
                      [&] { made.run({.scale_um = 1.0}); });
    expect_error<Bad>("curvature: scale_um is -1.000000; give a length in µm above 0",
                      [&] { made.run({.scale_um = -1.0, .pixel_um = 1.0}); });
    expect_error<Bad>("curvature: threads is -2; give 0 for all cores, or a count",
                      [&] { made.run({.scale_um = 1.0, .pixel_um = 1.0, .threads = -2}); });
    expect_error<Bad>("curvature: scale_um is 0.100000, 0.100000 pixels; give at least 0.500000 µm", [&] {
        made.run({.family = lee::CurvatureFamily::gaussian, .scale_um = 0.1, .pixel_um = 1.0});
    });
    made.gauss.resize(3);
    expect_error<lee::ShapeError>(
        "curvature: height is (8, 9) but gauss is (1, 3); they must have the same shape", [&] {
            lee::curvature(made.map(made.height), made.map(made.mean), {made.gauss.data(), {1, 3}},
                           made.map(made.high), made.map(made.low), {.scale_um = 1.0, .pixel_um = 1.0});
        });
    expect_error<lee::ShapeError>("curvature: height is empty, its shape is (0, 3)", [&] {
        lee::curvature({nullptr, {0, 3}}, {}, {}, {}, {}, {.scale_um = 1.0, .pixel_um = 1.0});
    });
}

void the_results_have_the_same_bits_everywhere(lee::CurvatureFamily family,
                                               std::array<std::uint32_t, 3> expected) {
    using namespace same_bits;
    Case test{.rows = rows, .columns = columns, .height = heights()};
    test.run({.family = family, .scale_um = 1.0, .pixel_um = 0.5});
    expect("mean", test.mean, expected[0]);
    expect("gauss", test.gauss, expected[1]);
    expect("sigma", test.mean_sigma, expected[2]);
}

}  // namespace

int main() {
    a_bowl_is_what_it_is_up_to_its_border(lee::CurvatureFamily::savgol);
    a_bowl_is_what_it_is_up_to_its_border(lee::CurvatureFamily::gaussian);
    threads_do_not_change_the_result();
    too_little_gives_nothing();
    windows_are_told();
    bad_arguments_are_refused();
    the_results_have_the_same_bits_everywhere(lee::CurvatureFamily::savgol,
                                              {0x46e5a920, 0xbbac1fee, 0x190ac3e0});
    the_results_have_the_same_bits_everywhere(lee::CurvatureFamily::gaussian,
                                              {0x5e1f29cc, 0x8ed62fb9, 0x06042bce});
}
