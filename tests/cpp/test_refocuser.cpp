#include "lee/refocuser.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "expect.hpp"
#include "lee/error.hpp"
#include "same_bits.hpp"

namespace {

struct Scan {
    std::size_t rows, columns;
    std::vector<std::vector<float>> frames;
    std::vector<double> z_um;
};

/// A textured plane, tilted along x, in focus around the middle of the scan.
Scan tilted(std::size_t rows, std::size_t columns, std::size_t count, double step_um) {
    Scan made{rows, columns, {}, {}};
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    std::vector<float> texture(rows * columns);
    for (auto& value : texture) value = normal(random);
    for (std::size_t k = 0; k < count; ++k) {
        made.z_um.push_back(step_um * static_cast<double>(k));
        auto& frame = made.frames.emplace_back(rows * columns);
        for (std::size_t i = 0; i < frame.size(); ++i) {
            const double middle = 0.5 * step_um * static_cast<double>(count - 1);
            const double tilt = static_cast<double>(i % columns) / static_cast<double>(columns) - 0.5;
            const double off = made.z_um.back() - middle - tilt;
            frame[i] = std::clamp(
                100.0F + 30.0F * texture[i] * static_cast<float>(std::exp(-0.25 * off * off)), 0.0F, 255.0F);
        }
    }
    return made;
}

struct Result {
    std::vector<float> height, sigma, sharp;
};

template <class Pixel>
void push(lee::Refocuser& refocuser, const Scan& scan, std::size_t k, double drift_y, double drift_x) {
    // A copy of exactly a frame's size, so that the sanitiser sees a read beyond it.
    const std::vector<Pixel> frame(scan.frames[k].begin(), scan.frames[k].end());
    refocuser.push(lee::HostView<const Pixel, 2>{frame.data(), {scan.rows, scan.columns}}, scan.z_um[k],
                   drift_y, drift_x);
}

template <class Pixel>
Result refocused(const Scan& scan, const lee::RefocuserParams& params, double drift_a_frame = 0.0) {
    lee::Refocuser refocuser(scan.rows, scan.columns, params);
    for (std::size_t k = 0; k < scan.frames.size(); ++k) {
        const double drift = drift_a_frame * static_cast<double>(k);
        push<Pixel>(refocuser, scan, k, drift, -2.0 * drift);
    }
    const std::size_t n = scan.rows * scan.columns;
    Result out{std::vector<float>(n), std::vector<float>(n), std::vector<float>(n)};
    const std::array<std::size_t, 2> shape{scan.rows, scan.columns};
    refocuser.finish({out.height.data(), shape}, {out.sigma.data(), shape}, {out.sharp.data(), shape});
    EXPECT(refocuser.frames() == scan.frames.size());
    EXPECT(scan.rows * scan.columns < 10000 || refocuser.state_bytes_per_pixel() <= 128.0);
    return out;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void a_tilted_plane_is_found_where_it_is() {
    const Scan scan = tilted(70, 270, 30, 0.4);
    const Result got = refocused<float>(scan, {});
    double squares = 0.0;
    for (std::size_t i = 0; i < got.height.size(); ++i) {
        const double truth =
            5.8 + static_cast<double>(i % scan.columns) / static_cast<double>(scan.columns) - 0.5;
        const double error = static_cast<double>(got.height[i]) - truth;
        squares += error * error;
        EXPECT(got.sigma[i] > 0.0F);
    }
    EXPECT(std::sqrt(squares / static_cast<double>(got.height.size())) < 0.1);
}

template <class Pixel>
void any_shape_any_drift_any_threads() {
    // Around the tiles of 64 by 256, and smaller than the windows.
    for (const auto& [rows, columns] : std::vector<std::array<std::size_t, 2>>{
             {1, 1}, {1, 300}, {130, 2}, {63, 255}, {64, 256}, {65, 257}}) {
        for (const double drift : {0.0, 0.4, 1.0, 300.0}) {
            const Scan scan = tilted(rows, columns, 7, 0.7);
            const lee::RefocuserParams params{.window_y_px = 3, .window_x_px = 9, .threads = 1};
            const Result one = refocused<Pixel>(scan, params, drift);
            lee::RefocuserParams more = params;
            more.threads = 3;
            const Result many = refocused<Pixel>(scan, more, drift);
            EXPECT(same(one.height, many.height));
            EXPECT(same(one.sigma, many.sigma));
            EXPECT(same(one.sharp, many.sharp));
        }
    }
}

void nothing_pushed_is_nothing_measured() {
    lee::Refocuser refocuser(5, 6);
    std::vector<float> height(30), sigma(30), sharp(30);
    refocuser.preview({height.data(), {5, 6}});
    EXPECT(std::isnan(height[0]));
    EXPECT(std::isnan(refocuser.noise()));
    refocuser.finish({height.data(), {5, 6}}, {sigma.data(), {5, 6}}, {sharp.data(), {5, 6}});
    EXPECT(std::all_of(height.begin(), height.end(), [](float value) { return std::isnan(value); }));
    EXPECT(std::all_of(sharp.begin(), sharp.end(), [](float value) { return value == 0.0F; }));
}

void it_can_be_moved() {
    const Scan scan = tilted(20, 30, 4, 0.7);
    lee::Refocuser first(20, 30);
    push<float>(first, scan, 0, 0.0, 0.0);
    lee::Refocuser second = std::move(first);
    push<float>(second, scan, 1, 0.0, 0.0);
    EXPECT(second.frames() == 2);
}

void misuse_is_refused_before_anything_is_changed() {
    expect_error<lee::ShapeError>("refocuser: the frame shape is (0, 5); both must be at least 1",
                                  [] { const lee::Refocuser none(0, 5); });
    expect_error<std::invalid_argument>("refocuser: window_x_px is 4; give an odd number from 3 to 63",
                                        [] { const lee::Refocuser even(4, 5, {.window_x_px = 4}); });
    expect_error<std::invalid_argument>(
        "refocuser: depth_of_field_um is -1.000000; give a length above 0",
        [] { const lee::Refocuser negative(4, 5, {.depth_of_field_um = -1.0}); });

    lee::Refocuser refocuser(4, 5);
    std::vector<std::uint8_t> frame(20);
    std::vector<float> out(20, 42.0F);
    const auto push_at = [&](double z_um, std::array<std::size_t, 2> shape, double drift = 0.0) {
        refocuser.push(lee::HostView<const std::uint8_t, 2>{frame.data(), shape}, z_um, drift, 0.0);
    };
    push_at(1.0, {4, 5});
    push_at(2.0, {4, 5});
    expect_error<lee::ShapeError>("refocuser: frame is (5, 4) but the refocuser was made for (4, 5)",
                                  [&] { push_at(3.0, {5, 4}); });
    expect_error<std::invalid_argument>(
        "refocuser: z_um goes from 2.000000 to 1.000000; it must rise or fall from frame to frame throughout "
        "a scan",
        [&] { push_at(1.0, {4, 5}); });
    expect_error<std::invalid_argument>(
        "refocuser: the drift is not finite, or beyond a million pixels; give it in pixels",
        [&] { push_at(3.0, {4, 5}, INFINITY); });
    expect_error<std::invalid_argument>(
        "refocuser: frames of 8 bits and others cannot be mixed in one scan; convert them to one type",
        [&] { refocuser.push({out.data(), {4, 5}}, 3.0); });
    EXPECT(refocuser.frames() == 2);

    expect_error<lee::ShapeError>("refocuser: height_um is (5, 4), not (4, 5)",
                                  [&] { refocuser.preview({out.data(), {5, 4}}); });
    expect_error<lee::ShapeError>("refocuser: sigma_um is (5, 4), not (4, 5)", [&] {
        refocuser.finish({out.data(), {4, 5}}, {out.data(), {5, 4}}, {out.data(), {4, 5}});
    });
    expect_error<lee::ShapeError>("refocuser: focus is (2, 1, 1), not (1, 0, 0)", [&] {
        refocuser.record({out.data(), {1, 0, 0}}, {out.data(), {2, 1, 1}}, {out.data(), {0, 0}});
    });
    expect_error<std::invalid_argument>(
        "refocuser: the scan has not ended, so maxima may still come; call close first",
        [&] { refocuser.reject({nullptr, {1, 0, 0}}); });
    expect_error<lee::ShapeError>("refocuser: an array for the peaks is (2, 5, 4), not (2, 4, 5)", [&] {
        refocuser.peaks(0, {.z_um = {out.data(), {2, 5, 4}},
                            .peak = {out.data(), {2, 4, 5}},
                            .width_um = {out.data(), {2, 4, 5}}});
    });
    expect_error<lee::ShapeError>("refocuser: counts is (1, 4, 5), not (2, 4, 5)",
                                  [&] { refocuser.counts({out.data(), {1, 4, 5}}); });
    EXPECT(std::count(out.begin(), out.end(), 42.0F) == 20);

    push_at(3.0, {4, 5});
    refocuser.close();
    expect_error<std::invalid_argument>(
        "refocuser: the scan has been closed; start a new refocuser for the next one",
        [&] { push_at(4.0, {4, 5}); });
}

template <class Pixel>
void the_results_have_the_same_bits_everywhere(double brightest, std::array<std::uint32_t, 3> expected) {
    using namespace same_bits;
    const std::vector<Pixel> stack = scan<Pixel>(brightest);
    Scan made{rows, columns, {}, {}};
    for (std::size_t z = 0; z < planes; ++z) {
        const auto* first = stack.data() + z * pixels;
        made.frames.emplace_back(first, first + pixels);
        made.z_um.push_back(0.3 * static_cast<double>(z));
    }
    const Result got = refocused<Pixel>(made, {.depth_of_field_um = 2.0}, 0.25);
    expect("height", got.height, expected[0]);
    expect("sigma", got.sigma, expected[1]);
    expect("sharp", got.sharp, expected[2]);
}

}  // namespace

int main() {
    a_tilted_plane_is_found_where_it_is();
    any_shape_any_drift_any_threads<std::uint8_t>();
    any_shape_any_drift_any_threads<std::uint16_t>();
    any_shape_any_drift_any_threads<float>();
    nothing_pushed_is_nothing_measured();
    it_can_be_moved();
    misuse_is_refused_before_anything_is_changed();
    the_results_have_the_same_bits_everywhere<std::uint8_t>(250.0, {0x57a21e00, 0xd09eef51, 0x8274c4f3});
    the_results_have_the_same_bits_everywhere<std::uint16_t>(4000.0, {0x000f67a8, 0xb78ebaa2, 0xd8fceec9});
}
