#include "lee/detect_particles.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "expect.hpp"
#include "lee/error.hpp"
#include "same_bits.hpp"

namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
using Params = lee::DetectParticlesParams;

struct Drawn {
    double y, x, peak;
};

template <class Pixel>
struct Case {
    std::size_t rows, columns;
    std::vector<Pixel> before = std::vector<Pixel>(rows * columns), after = before;

    [[nodiscard]] lee::HostView<const Pixel, 2> view(const std::vector<Pixel>& frame) const {
        return {frame.data(), {rows, columns}};
    }
    [[nodiscard]] lee::DetectedParticles run(const Params& params = {}) const {
        return lee::detect_particles(view(before), view(after), {}, params);
    }
};

/// White noise of standard deviation 4 on 100 counts, and spots as wide as `width` in the later frame.
template <class Pixel>
Case<Pixel> noisy(std::size_t rows, std::size_t columns, const std::vector<Drawn>& drawn = {},
                  double width = 1.4) {
    Case<Pixel> made{rows, columns};
    std::mt19937 random(7);
    const auto noise = [&random] {
        double sum = 0;
        for (int k = 0; k < 12; ++k) sum += static_cast<double>(random()) / 4294967296.0;
        return 4 * (sum - 6);
    };
    const auto count = [](double value) {
        if constexpr (std::is_integral_v<Pixel>) value = std::round(value);
        return static_cast<Pixel>(value);
    };
    for (std::size_t i = 0; i < made.before.size(); ++i) {
        const auto y = static_cast<double>(i / columns), x = static_cast<double>(i % columns);
        double spots = 0;
        for (const Drawn& one : drawn) {
            const double square = (y - one.y) * (y - one.y) + (x - one.x) * (x - one.x);
            spots += one.peak * std::exp(-0.5 * square / (width * width));
        }
        made.before[i] = count(100 + noise());
        made.after[i] = count(100 + spots + noise());
    }
    return made;
}

const std::vector<Drawn> five{
    {20.3, 30.6, 90}, {40.0, 100.5, 60}, {64.8, 12.2, 120}, {90.1, 70.9, 50}, {110.5, 130.4, 100}};

bool same(const lee::DetectedParticles& a, const lee::DetectedParticles& b) {
    return a.count == b.count && a.particles.size() == b.particles.size() && a.noise == b.noise &&
           a.spot_sigma_px == b.spot_sigma_px && a.threshold_snr == b.threshold_snr &&
           (a.count == 0 ||
            std::memcmp(a.particles.data(), b.particles.data(), a.count * sizeof(lee::Particle)) == 0);
}

template <class Pixel>
void spots_are_found_where_they_were_drawn() {
    const Case<Pixel> made = noisy<Pixel>(128, 150, five);
    const lee::DetectedParticles found = made.run({.spot_sigma_px = 1.4, .false_alarms = 0.01});
    EXPECT(found.count == five.size() && found.particles.size() == five.size());
    EXPECT(std::abs(found.noise - 4 * std::sqrt(2.0)) < 0.4);
    EXPECT(std::abs(found.excess - 1) < 0.1);
    EXPECT(found.not_measured == 0 && found.saturated == 0 && found.left_out == 0);
    EXPECT(found.spot_sigma_px == 1.4 && found.sigma_from == 0);
    for (std::size_t k = 0; k < five.size(); ++k) {
        const lee::Particle& one = found.particles[k];
        EXPECT(std::abs(static_cast<double>(one.y_px) - five[k].y) <
               5.0 * static_cast<double>(one.y_sigma_px));
        EXPECT(std::abs(static_cast<double>(one.x_px) - five[k].x) <
               5.0 * static_cast<double>(one.x_sigma_px));
        EXPECT(std::abs(static_cast<double>(one.peak) - five[k].peak) <
               5.0 * static_cast<double>(one.peak_sigma));
        EXPECT(one.y_sigma_px > 0.01F && one.y_sigma_px < 0.2F);
        EXPECT(static_cast<double>(one.snr) > found.threshold_snr && one.flags == 0.0F);
    }
}

void the_width_is_found() {
    std::vector<Drawn> many;
    for (int k = 0; k < 16; ++k) many.push_back({20.3 + 40 * (k / 4), 21.8 + 40 * (k % 4), 150});
    const auto found = noisy<std::uint16_t>(170, 170, many, 2.0).run();
    EXPECT(found.count == many.size() && found.sigma_from >= 8);
    EXPECT(std::abs(found.spot_sigma_px - 2.0) < 0.05);
}

void what_overlaps_is_told_apart_and_marked() {
    const auto found =
        noisy<float>(64, 64, {{30, 30, 150}, {32, 33, 120}, {50, 0.5, 150}}).run({.spot_sigma_px = 1.4});
    EXPECT(found.count == 3);
    EXPECT(static_cast<int>(found.particles[0].flags) == lee::particle_crowded);
    EXPECT(static_cast<int>(found.particles[1].flags) == lee::particle_crowded);
    EXPECT(static_cast<int>(found.particles[2].flags) == lee::particle_edge);
}

void what_disappears_is_what_appears_the_other_way_round() {
    Case<std::uint8_t> made = noisy<std::uint8_t>(128, 150, five);
    const lee::DetectedParticles appears = made.run();
    std::swap(made.before, made.after);
    EXPECT(appears.count >= five.size());
    EXPECT(same(made.run({.disappearing = true}), appears));
    EXPECT(made.run({.spot_sigma_px = 1.4, .false_alarms = 0.001}).count == 0);
}

void a_shift_is_taken_out() {
    // The scene in `before` is 3 px higher and 4 px farther to the right.
    const Case<float> straight = noisy<float>(128, 150, five);
    Case<float> made = straight;
    for (std::size_t y = 0; y < made.rows; ++y) {
        for (std::size_t x = 0; x < made.columns; ++x) {
            const bool inside = y + 3 < made.rows && x >= 4;
            made.before[y * made.columns + x] =
                inside ? straight.before[(y + 3) * made.columns + x - 4] : 100.0F;
        }
    }
    const auto found = made.run({.spot_sigma_px = 1.4, .shift_px = {3, -4}});
    EXPECT(found.not_measured == 3 * 150 + 4 * (128 - 3));
    const auto expected = straight.run({.spot_sigma_px = 1.4});
    EXPECT(found.count == expected.count);
    for (std::size_t k = 0; k < found.count; ++k)
        EXPECT(std::abs(found.particles[k].y_px - expected.particles[k].y_px) < 0.05F);
}

void masked_pixels_are_counted_once_and_hold_no_particle() {
    Case<float> made = noisy<float>(128, 150, five);
    // The centre of the third spot, a corner, and a row of the earlier frame.
    made.after[65 * 150 + 12] = nan;
    made.after[0] = std::numeric_limits<float>::infinity();
    made.before[0] = nan;
    for (std::size_t x = 0; x < 150; ++x) made.before[127 * 150 + x] = nan;
    auto found = made.run({.spot_sigma_px = 1.4, .false_alarms = 0.01});
    EXPECT(found.not_measured == 151 && found.saturated == 1);
    for (const lee::Particle& one : found.particles)
        EXPECT(!(std::lround(one.y_px) == 65 && std::lround(one.x_px) == 12));

    Case<std::uint8_t> bright = noisy<std::uint8_t>(128, 150, five);
    bright.before[5] = bright.after[5] = 255;
    bright.before[60 * 150 + 60] = 254;
    bright.after[127 * 150 + 149] = 250;
    found = bright.run({.spot_sigma_px = 1.4, .saturation = 250});
    EXPECT(found.saturated == 3 && found.not_measured == 0);
}

void too_little_gives_nothing() {
    for (const auto& [rows, columns] :
         std::vector<std::array<std::size_t, 2>>{{1, 1}, {1, 2}, {3, 1}, {1, 300}, {5, 7}}) {
        const auto found = noisy<std::uint8_t>(rows, columns).run({.false_alarms = 0.001});
        EXPECT(found.count == 0 && found.particles.empty());
    }
    Case<float> empty{40, 50};
    EXPECT(empty.run().count == 0);
    for (float& value : empty.after) value = nan;
    EXPECT(empty.run().not_measured == 2000);
    EXPECT(empty.run().count == 0);
}

void a_spot_without_any_noise_is_seen_and_a_single_bright_pixel_is_none() {
    Case<float> made{60, 60};
    made.after[31 * 60 + 22] = 10;
    EXPECT(made.run({.spot_sigma_px = 1}).count == 0);
    for (std::size_t i = 0; i < made.after.size(); ++i) {
        const auto y = static_cast<double>(i / 60), x = static_cast<double>(i % 60);
        made.after[i] = static_cast<float>(10 * std::exp(-0.5 * ((y - 31) * (y - 31) + (x - 22) * (x - 22))));
    }
    const auto found = made.run({.spot_sigma_px = 1});
    EXPECT(found.count == 1);
    EXPECT(std::abs(found.particles[0].y_px - 31) < 0.01F && std::abs(found.particles[0].x_px - 22) < 0.01F);
}

void threads_do_not_change_the_result() {
    std::vector<Drawn> many;
    for (int k = 0; k < 60; ++k) many.push_back({7.0 + 4 * k, 5.0 + (37 * k) % 190, 40.0 + 5 * (k % 20)});
    const Case<std::uint16_t> made = noisy<std::uint16_t>(260, 200, many);
    const lee::DetectedParticles one = made.run({.threads = 1});
    EXPECT(one.count > 40);
    for (const int threads : {2, 5, 0}) EXPECT(same(made.run({.threads = threads}), one));
}

void thresholds_follow_area_and_false_alarms() {
    const double usual = lee::particle_threshold(1e6, 1.4, 1);
    EXPECT(usual > 4 && usual < 6);
    EXPECT(lee::particle_threshold(4e6, 1.4, 1) > usual);
    EXPECT(lee::particle_threshold(1e6, 1.4, 0.01) > usual);
    EXPECT(lee::particle_threshold(1e6, 2.8, 1) < usual);
    EXPECT(lee::particle_threshold(1, 1.4, 1) < 2.001);
    EXPECT(noisy<float>(30, 30).run({.threshold_snr = 7}).threshold_snr == 7);
}

void bad_arguments_are_refused() {
    const Case<float> made = noisy<float>(8, 9);
    using Bad = std::invalid_argument;
    expect_error<Bad>("detect_particles: spot_sigma_px is 0.400000; give 0.5 to 6, or 0 for automatic",
                      [&] { (void)made.run({.spot_sigma_px = 0.4}); });
    expect_error<Bad>("detect_particles: expected_sigma_px is 7.000000; give 0.5 to 6",
                      [&] { (void)made.run({.expected_sigma_px = 7}); });
    expect_error<Bad>("detect_particles: false_alarms is 0.000000; give a number above 0",
                      [&] { (void)made.run({.false_alarms = 0}); });
    expect_error<Bad>(
        "detect_particles: threshold_snr is -1.000000; give a number above 0, or 0 for automatic",
        [&] { (void)made.run({.threshold_snr = -1}); });
    expect_error<Bad>("detect_particles: saturation is 0.000000; give counts above 0",
                      [&] { (void)made.run({.saturation = 0}); });
    expect_error<Bad>(
        "detect_particles: shift_px is (0.000000, -9.000000), which leaves nothing of frames of (8, 9) "
        "pixels; give a smaller shift",
        [&] { (void)made.run({.shift_px = {0, -9}}); });
    expect_error<Bad>("detect_particles: threads is -2; give 0 for all cores, or a count",
                      [&] { (void)made.run({.threads = -2}); });
    expect_error<lee::ShapeError>(
        "detect_particles: before is (8, 9) but after is (9, 8); they must have the same shape",
        [&] { (void)lee::detect_particles(made.view(made.before), {made.after.data(), {9, 8}}); });
    expect_error<lee::ShapeError>(
        "detect_particles: before is (8, 9) but axial is (4, 9); they must have the same shape", [&] {
            (void)lee::detect_particles(made.view(made.before), made.view(made.after),
                                        {made.after.data(), {4, 9}});
        });
    expect_error<lee::ShapeError>("detect_particles: before is empty, its shape is (0, 9)", [&] {
        (void)lee::detect_particles(lee::HostView<const float, 2>{nullptr, {0, 9}}, {nullptr, {0, 9}});
    });
}

void the_results_have_the_same_bits_everywhere() {
    using namespace same_bits;
    Case<std::uint16_t> made{rows, columns};
    Random random(3);
    for (std::size_t i = 0; i < pixels; ++i) {
        double spots = 0;
        for (const Drawn& one : {Drawn{20.3, 30.6, 400}, Drawn{50.8, 70.2, 300}}) {
            const double y = static_cast<double>(i / columns) - one.y;
            const double x = static_cast<double>(i % columns) - one.x;
            const double falls = 1 + 0.1 * (y * y + x * x);
            spots += one.peak / (falls * falls * falls);
        }
        made.before[i] = static_cast<std::uint16_t>(1000 + 40 * random.centred());
        made.after[i] = static_cast<std::uint16_t>(1000 + 40 * random.centred() + spots);
    }
    std::vector<float> table;
    for (const lee::Particle& one : made.run({.spot_sigma_px = 1.4}).particles)
        table.insert(table.end(), {one.y_px, one.x_px, one.peak, one.width_px, one.snr});
    EXPECT(table.size() >= 10);
    expect("particles", table, 0xa03a3a06);
}

}  // namespace

int main() {
    spots_are_found_where_they_were_drawn<std::uint8_t>();
    spots_are_found_where_they_were_drawn<std::uint16_t>();
    spots_are_found_where_they_were_drawn<float>();
    the_width_is_found();
    what_overlaps_is_told_apart_and_marked();
    what_disappears_is_what_appears_the_other_way_round();
    a_shift_is_taken_out();
    masked_pixels_are_counted_once_and_hold_no_particle();
    too_little_gives_nothing();
    a_spot_without_any_noise_is_seen_and_a_single_bright_pixel_is_none();
    threads_do_not_change_the_result();
    thresholds_follow_area_and_false_alarms();
    bad_arguments_are_refused();
    the_results_have_the_same_bits_everywhere();
}
