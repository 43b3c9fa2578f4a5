#include "lee/opening.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "expect.hpp"
#include "lee/error.hpp"
#include "same_bits.hpp"

namespace {

struct Case {
    std::size_t rows;
    std::size_t columns;
    std::vector<std::uint8_t> mask;
    std::size_t mask_rows;
    std::size_t mask_columns;
    std::vector<float> height = std::vector<float>(rows * columns);
    std::vector<float> out = std::vector<float>(rows * columns);
    std::vector<std::int8_t> removed = std::vector<std::int8_t>(rows * columns);

    [[nodiscard]] lee::Footprint footprint() const {
        return {.mask = {mask.data(), {mask_rows, mask_columns}},
                .centre_y = mask_rows / 2,
                .centre_x = mask_columns / 2};
    }
    void run(const lee::OpeningParams& params) {
        lee::opening({height.data(), {rows, columns}}, {out.data(), {rows, columns}},
                     {removed.data(), {rows, columns}}, footprint(), params);
    }
    void run(lee::Flat operation, int threads) {
        lee::flat_morphology(operation, {height.data(), {rows, columns}}, {out.data(), {rows, columns}},
                             footprint(), threads);
    }
};

Case noisy(std::size_t rows, std::size_t columns, std::size_t mask_rows, std::size_t mask_columns,
           unsigned seed) {
    Case made{rows, columns, std::vector<std::uint8_t>(mask_rows * mask_columns), mask_rows, mask_columns};
    std::mt19937 random(seed);
    for (auto& value : made.height) {
        value =
            random() % 9 == 0 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(random() % 100);
    }
    for (auto& value : made.mask) value = random() % 3 == 0 ? 0 : 1;
    made.mask[0] = 1;
    return made;
}

float smallest_by_definition(const Case& test, std::size_t y, std::size_t x) {
    float least = std::numeric_limits<float>::infinity();
    const auto footprint = test.footprint();
    for (std::size_t j = 0; j < test.mask_rows; ++j) {
        for (std::size_t i = 0; i < test.mask_columns; ++i) {
            const std::size_t row = y + j - footprint.centre_y;
            const std::size_t column = x + i - footprint.centre_x;
            if (test.mask[j * test.mask_columns + i] == 0 || row >= test.rows || column >= test.columns)
                continue;
            const float value = test.height[row * test.columns + column];
            if (value < least) least = value;
        }
    }
    return least;
}

void erosion_equals_its_definition() {
    unsigned seed = 0;
    for (const auto& [rows, columns, mask_rows, mask_columns] : std::vector<std::array<std::size_t, 4>>{
             {1, 1, 1, 1}, {1, 1, 3, 9}, {7, 5, 4, 4}, {30, 200, 9, 70}, {66, 131, 8, 3}, {9, 600, 2, 560}}) {
        Case test = noisy(rows, columns, mask_rows, mask_columns, ++seed);
        for (const int threads : {1, 3}) {
            test.run(lee::Flat::erosion, threads);
            for (std::size_t k = 0; k < test.out.size(); ++k) {
                const float expected = smallest_by_definition(test, k / columns, k % columns);
                EXPECT(std::isinf(expected) ? std::isnan(test.out[k]) : test.out[k] == expected);
            }
        }
    }
}

void opening_changes_only_what_it_marks() {
    Case test = noisy(50, 170, 5, 6, 11);
    for (const float threshold : {0.0F, 30.0F, std::numeric_limits<float>::quiet_NaN()}) {
        test.run({.threshold = threshold, .threads = 2});
        for (std::size_t k = 0; k < test.out.size(); ++k) {
            if (test.removed[k] == 0) EXPECT(std::memcmp(&test.out[k], &test.height[k], sizeof(float)) == 0);
            if (test.removed[k] == 1) EXPECT(test.out[k] < test.height[k]);
            if (test.removed[k] == -1) EXPECT(test.out[k] > test.height[k]);
        }
    }
    EXPECT(std::count(test.removed.begin(), test.removed.end(), 0) > 0);
}

void misuse_is_refused_before_anything_is_written() {
    Case test = noisy(4, 5, 3, 3, 1);
    std::fill(test.out.begin(), test.out.end(), 42.0F);
    const auto call = [&](std::array<std::size_t, 2> in, std::array<std::size_t, 2> out,
                          const lee::Footprint& shape, const lee::OpeningParams& params) {
        lee::opening({test.height.data(), in}, {test.out.data(), out}, {test.removed.data(), in}, shape,
                     params);
    };
    const auto good = test.footprint();
    expect_error<lee::ShapeError>(
        "opening: height is (4, 5) but out is (4, 4); they must have the same shape",
        [&] { call({4, 5}, {4, 4}, good, {}); });
    expect_error<lee::ShapeError>("opening: height is empty, its shape is (0, 5)",
                                  [&] { call({0, 5}, {0, 5}, good, {}); });
    auto off_centre = good;
    off_centre.centre_x = 3;
    expect_error<lee::ShapeError>(
        "opening: the footprint's centre (1, 3) is outside its mask of shape (3, 3)",
        [&] { call({4, 5}, {4, 5}, off_centre, {}); });
    const std::vector<std::uint8_t> nothing(9);
    expect_error<std::invalid_argument>("opening: the footprint has no pixel", [&] {
        call({4, 5}, {4, 5}, {.mask = {nothing.data(), {3, 3}}, .centre_y = 1, .centre_x = 1}, {});
    });
    expect_error<std::invalid_argument>(
        "opening: threshold is -1.000000; give a height >= 0, or NaN for automatic",
        [&] { call({4, 5}, {4, 5}, good, {.threshold = -1.0F}); });
    expect_error<std::invalid_argument>("opening: threads is -1; give 0 for all cores, or a count",
                                        [&] { call({4, 5}, {4, 5}, good, {.threads = -1}); });
    EXPECT(std::count(test.out.begin(), test.out.end(), 42.0F) == 20);
}

void the_results_have_the_same_bits_everywhere() {
    std::vector<float> height = same_bits::heights(), out = height;
    std::vector<std::int8_t> removed(height.size());
    const std::vector<std::uint8_t> mask{0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const lee::Footprint footprint{.mask = {mask.data(), {3, 5}}, .centre_y = 1, .centre_x = 2};
    const lee::HostView<float, 2> from{height.data(), same_bits::map}, to{out.data(), same_bits::map};
    lee::opening(from, to, {removed.data(), same_bits::map}, footprint);
    same_bits::expect("heights", out, 0xda4be813);
    same_bits::expect("removed", removed, 0xe3214874);
    lee::flat_morphology(lee::Flat::closing, from, to, footprint);
    same_bits::expect("closing", out, 0xd9a15b6f);
}

}  // namespace

int main() {
    erosion_equals_its_definition();
    opening_changes_only_what_it_marks();
    misuse_is_refused_before_anything_is_written();
    the_results_have_the_same_bits_everywhere();
}
