// Remove bubble spikes from a height map, in a program that embeds the library.
#include <lee/footprint.hpp>
#include <lee/opening.hpp>
#include <lee/processor.hpp>

#include <cstdint>
#include <cstdio>
#include <vector>

int main() {
    constexpr std::size_t rows = 64;
    constexpr std::size_t columns = 96;
    std::vector<float> height_um(rows * columns);
    for (std::size_t k = 0; k < height_um.size(); ++k) height_um[k] = 0.01F * static_cast<float>(k % columns);
    height_um[20 * columns + 30] += 8.0F;  // a bubble

    const std::vector<std::uint8_t> square(25, 1);
    const lee::Footprint footprint{.mask = {square.data(), {5, 5}}, .centre_y = 2, .centre_x = 2};

    std::vector<float> cleaned_um(height_um.size());
    std::vector<std::int8_t> removed(height_um.size());
    lee::opening({height_um.data(), {rows, columns}}, {cleaned_um.data(), {rows, columns}},
                 {removed.data(), {rows, columns}}, footprint, {.threshold = 1.0F});

    std::size_t peaks = 0;
    for (const std::int8_t mark : removed) peaks += mark == 1 ? 1 : 0;
    std::printf("removed %zu peak; %.2f um became %.2f um (%s)\n", peaks,
                static_cast<double>(height_um[20 * columns + 30]),
                static_cast<double>(cleaned_um[20 * columns + 30]), lee::instruction_set());
    return peaks == 1 ? 0 : 1;
}
