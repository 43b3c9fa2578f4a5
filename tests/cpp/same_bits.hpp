#pragma once

// Results on fixed inputs as checksums: the same on every processor, instruction set, compiler and system.
// exp, sin and pow of the system may differ in the last bit of a double, which rounding to float removes.
// The inputs are made of sums, products and quotients alone, which are rounded alike everywhere.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

namespace same_bits {

constexpr std::size_t planes = 24, rows = 71, columns = 93, pixels = rows * columns;
constexpr std::array<std::size_t, 2> map{rows, columns};
constexpr std::array<std::size_t, 3> volume{planes, rows, columns};

/// Whole numbers, the same everywhere.
class Random {
  public:
    explicit Random(std::uint32_t seed) : state_(seed) {}
    std::uint32_t below(std::uint32_t limit) {
        state_ = state_ * 1664525U + 1013904223U;
        return static_cast<std::uint32_t>((static_cast<std::uint64_t>(state_) * limit) >> 32);
    }
    /// From -0.5 to 0.5.
    double centred() { return below(1000) / 999.0 - 0.5; }

  private:
    std::uint32_t state_;
};

/// FNV-1a over the bits; all NaN count as one, for their sign differs between processors.
template <class T>
std::uint32_t checksum(const std::vector<T>& values) {
    std::uint32_t sum = 2166136261U;
    for (const T value : values) {
        std::array<unsigned char, sizeof(T)> bytes;
        bytes.fill(0xff);
        if (value == value) std::memcpy(bytes.data(), &value, sizeof(T));
        for (const unsigned char byte : bytes) sum = (sum ^ byte) * 16777619U;
    }
    return sum;
}

/// Stop the test program where the values are not those that were found on x86-64 under Linux.
template <class T>
void expect(const char* name, const std::vector<T>& values, std::uint32_t expected) {
    const std::uint32_t got = checksum(values);
    std::printf("%-10s %08x\n", name, got);
    if (got == expected) return;
    std::fprintf(stderr, "%s has the checksum %08x, not %08x\n", name, got, expected);
    std::exit(1);
}

/// A focal stack: texture in focus on a tilted plane, and noise.
template <class Pixel>
std::vector<Pixel> scan(double brightest) {
    Random random(5);
    std::vector<double> texture(pixels);
    for (double& value : texture) value = random.centred();
    std::vector<Pixel> made(planes * pixels);
    for (std::size_t at = 0; at < made.size(); ++at) {
        const std::size_t z = at / pixels, p = at % pixels;
        const double across = static_cast<double>(p % columns) / static_cast<double>(columns);
        const double off = static_cast<double>(z) - 8.0 - 6.0 * across;
        const double value = 0.5 + 0.6 * texture[p] / (1.0 + 0.3 * off * off) + 0.02 * random.centred();
        made[at] = static_cast<Pixel>(brightest * value);
    }
    return made;
}

/// A tilted, rough height map with spikes and pixels that are not measured.
inline std::vector<float> heights() {
    Random random(11);
    std::vector<float> made(pixels);
    for (std::size_t p = 0; p < pixels; ++p) {
        const double slope =
            0.03 * static_cast<double>(p % columns) + 0.01 * static_cast<double>(p / columns);
        made[p] = static_cast<float>(slope + random.centred() + (random.below(40) == 0 ? 5.0 : 0.0));
        if (random.below(50) == 0) made[p] = std::numeric_limits<float>::quiet_NaN();
    }
    return made;
}

}  // namespace same_bits
