// Compiled once for each instruction set. Only plain loops here, nothing inline from the standard library:
// the linker keeps one copy of an inline function for the whole program, which may be the one for AVX-512.
#include "kernels/simd/adaptive_variance.hpp"

#include "common/adaptive_variance_pixel.hpp"
#include "common/floats.hpp"
#include "common/lanes.hpp"

namespace lee::simd::LEE_ISA {
namespace {

template <class Sum>
void edges(const Sum* const* plus, const Sum* const* minus, std::size_t count, Sum* __restrict out,
           std::size_t n) {
    // Compilers keep sums over many rows in registers only so.
    using Vector = typename LanesOf<Sum>::Unaligned;
    constexpr std::size_t lanes = sizeof(Vector) / sizeof(Sum);
    for (std::size_t i = 0; i < n; i += 2 * lanes) {
        Vector a = {}, b = {};
        for (std::size_t k = 0; k < count; ++k) {
            const auto* add = reinterpret_cast<const Vector*>(plus[k] + i);
            const auto* take = reinterpret_cast<const Vector*>(minus[k] + i);
            a += add[0] - take[0];
            b += add[1] - take[1];
        }
        auto* into = reinterpret_cast<Vector*>(out + i);
        into[0] = a, into[1] = b;
    }
}

template <class Sum>
void slide(const Sum* __restrict enters, const Sum* __restrict leaves, Sum* __restrict sums, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) sums[i] += enters[i] - leaves[i];
}

template <class Sum>
void prefix(const Sum* __restrict in, std::size_t skip, Sum* __restrict out, std::size_t n) {
    Sum sum = 0;
    for (std::size_t i = 0; i < skip; ++i) sum += in[i];
    std::size_t i = 0;
    // Four at a time: one addition waits for the last, not four.
    for (; i + 4 <= n; i += 4) {
        const Sum *four = in + skip + i, ab = four[0] + four[1], abc = ab + four[2];
        out[i] = sum + four[0];
        out[i + 1] = sum + ab;
        out[i + 2] = sum + abc;
        sum += abc + four[3];
        out[i + 3] = sum;
    }
    for (; i < n; ++i) out[i] = sum += in[skip + i];
}

template <class Pixel, class Sum>
void load(const Pixel* __restrict pixel, Sum* __restrict value, Sum* __restrict square, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) value[i] = static_cast<Sum>(pixel[i]);
    if (square == nullptr) return;
    for (std::size_t i = 0; i < n; ++i) {
        const Sum v = static_cast<Sum>(pixel[i]);
        square[i] = v * v;
    }
}

void load_float(const float* __restrict pixel, double offset, double* __restrict value,
                double* __restrict square, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i)
        value[i] = finite(pixel[i]) ? static_cast<double>(pixel[i]) - offset : 0.0;
    if (square == nullptr) return;
    for (std::size_t i = 0; i < n; ++i) square[i] = value[i] * value[i];
}

bool presence(const float* __restrict pixel, std::uint32_t* __restrict present, std::size_t n) {
    std::uint32_t all = 1;
    for (std::size_t i = 0; i < n; ++i) {
        present[i] = finite(pixel[i]) ? 1 : 0;
        all &= present[i];
    }
    return all != 0;
}

void variance_whole(const std::uint32_t* __restrict sum, const std::uint32_t* __restrict square,
                    const std::uint32_t* __restrict count, float* __restrict focus, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        focus[i] = variance::of_whole(count[i], sum[i], square[i]);
    }
}

void variance_real(const double* __restrict sum, const double* __restrict square,
                   const std::uint32_t* __restrict count, double offset, float* __restrict focus,
                   std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        focus[i] = variance::of_real(count[i], sum[i], square[i], offset);
    }
}

void average(const double* __restrict sum, const std::uint32_t* __restrict count, float* __restrict focus,
             std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        focus[i] = variance::average(count[i], sum[i]);
    }
}

template <class Pixel>
void detail(const Pixel* __restrict pixel, const double* __restrict sum,
            const std::uint32_t* __restrict count, double offset, float* __restrict energy, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        energy[i] = variance::detail(static_cast<double>(pixel[i]), finite(static_cast<float>(pixel[i])),
                                     count[i], sum[i], offset);
    }
}

void keep_open(const float* __restrict focus, const std::uint8_t* __restrict open, float* __restrict largest,
               float* __restrict out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) largest[i] = focus[i] > largest[i] ? focus[i] : largest[i];
    for (std::size_t i = 0; i < n; ++i) out[i] = open[i] ? focus[i] : out[i];
}

template <class Sum>
constexpr SumLoops<Sum> sum_loops{.edges = edges<Sum>, .slide = slide<Sum>, .prefix = prefix<Sum>};

}  // namespace

const AdaptiveVarianceLoops adaptive_variance_loops{
    .whole = sum_loops<std::uint32_t>,
    .real = sum_loops<double>,
    .load_8 = load<std::uint8_t, std::uint32_t>,
    .load_8_real = load<std::uint8_t, double>,
    .load_16 = load<std::uint16_t, double>,
    .load_float = load_float,
    .presence = presence,
    .variance_whole = variance_whole,
    .variance_real = variance_real,
    .average = average,
    .detail_8 = detail<std::uint8_t>,
    .detail_16 = detail<std::uint16_t>,
    .detail_float = detail<float>,
    .keep_open = keep_open,
};

}  // namespace lee::simd::LEE_ISA
