// Compiled once for each instruction set. Only plain loops here, nothing inline from the standard library:
// the linker keeps one copy of an inline function for the whole program, which may be the one for AVX-512.
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are never handed to another file

#include "kernels/simd/curvature.hpp"

#include "common/curvature_fit.hpp"
#include "common/floats.hpp"
#include "common/lanes.hpp"

namespace lee::simd::LEE_ISA {
namespace {

// Sums that stay in registers over a loop of taps; the compiler splits them where registers are shorter.
typedef LanesOf<float>::Unaligned Floats;
typedef LanesOf<double>::Unaligned Doubles;
// As a template's argument, which takes no attribute of alignment: its memory begins on a cache line.
typedef LanesOf<double>::Aligned Aligned;

constexpr std::size_t strip = curvature_strip;
constexpr std::size_t narrow = curvature_narrow;
constexpr std::size_t float_lanes = 16;
constexpr std::size_t double_lanes = 8;

LEE_BOTH Floats floats(const float* at) {
    return *reinterpret_cast<const Floats*>(at);
}

LEE_BOTH Doubles doubles(const double* at) {
    return *reinterpret_cast<const Doubles*>(at);
}

LEE_BOTH void store(float* at, Floats value) {
    *reinterpret_cast<Floats*>(at) = value;
}

LEE_BOTH void store(double* at, Doubles value) {
    *reinterpret_cast<Doubles*>(at) = value;
}

std::size_t range(const float* row, std::size_t n, float* low, float* high) {
    float least = *low, most = *high;
    unsigned count = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const bool use = finite(row[i]);
        least = use && row[i] < least ? row[i] : least;
        most = use && row[i] > most ? row[i] : most;
        count += use ? 1U : 0U;
    }
    *low = least;
    *high = most;
    return count;
}

void lower(const float* __restrict row, float offset, float* __restrict out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out[i] = row[i] - offset;
}

template <std::size_t maps>
void along(const float* row, const float* taps, std::size_t radius, float* out) {
    for (std::size_t i = 0; i < strip; i += 2 * float_lanes) {
        Floats sum[2][maps];
#pragma GCC unroll 2
        for (std::size_t v = 0; v < 2; ++v) {
            const Floats middle = floats(row + radius + i + v * float_lanes);
#pragma GCC unroll 5
            for (std::size_t m = 0; m < maps; ++m) sum[v][m] = middle * taps[m];
        }
        for (std::size_t k = 1; k <= radius; ++k) {
            const float* tap = taps + k * curvature_maps;
#pragma GCC unroll 2
            for (std::size_t v = 0; v < 2; ++v) {
                const Floats after = floats(row + radius + i + v * float_lanes + k);
                const Floats before = floats(row + radius + i + v * float_lanes - k);
                const Floats even = after + before;
                const Floats odd = after - before;
#pragma GCC unroll 5
                for (std::size_t m = 0; m < maps; ++m) sum[v][m] += (m % 2 == 0 ? even : odd) * tap[m];
            }
        }
#pragma GCC unroll 2
        for (std::size_t v = 0; v < 2; ++v) {
#pragma GCC unroll 5
            for (std::size_t m = 0; m < maps; ++m) store(out + m * strip + i + v * float_lanes, sum[v][m]);
        }
    }
}

void along_any(const float* row, const float* taps, std::size_t radius, std::size_t maps, float* out) {
    maps == 5 ? along<5>(row, taps, radius, out) : along<3>(row, taps, radius, out);
}

// Maps 0 1 2: smoothed, first derivative, second derivative along x; 3 and 4: the same first and second
// derivative of lower order. The filters of the first three come first.
template <std::size_t maps>
void across(const float* rows, const float* taps, std::size_t radius, float* out) {
    constexpr std::size_t row = maps * strip;
    const float* middle = rows + radius * row;
    for (std::size_t i = 0; i < strip; i += float_lanes) {
        const Floats smooth = floats(middle + i);
        const Floats first = floats(middle + strip + i);
        const Floats second = floats(middle + 2 * strip + i);
        const Floats zero = smooth - smooth;
        Floats x = first * taps[0], y = zero, xx = second * taps[2], xy = zero, yy = smooth * taps[4];
        if constexpr (maps == 5) {
            const Floats low_first = floats(middle + 3 * strip + i);
            const Floats low_second = floats(middle + 4 * strip + i);
            x += low_first * taps[5];
            xx += low_second * taps[7];
            yy += low_second * taps[9];
        }
        for (std::size_t k = 1; k <= radius; ++k) {
            const float* tap = taps + k * curvature_filters;
            const float* below = middle + k * row + i;
            const float* above = middle - k * row + i;
            const Floats s1 = floats(below), s0 = floats(above);
            const Floats f1 = floats(below + strip), f0 = floats(above + strip);
            x += (f1 + f0) * tap[0];
            y += (s1 - s0) * tap[1];
            xx += (floats(below + 2 * strip) + floats(above + 2 * strip)) * tap[2];
            xy += (f1 - f0) * tap[3];
            yy += (s1 + s0) * tap[4];
            if constexpr (maps == 5) {
                const Floats g1 = floats(below + 3 * strip), g0 = floats(above + 3 * strip);
                const Floats h1 = floats(below + 4 * strip), h0 = floats(above + 4 * strip);
                const Floats both = h1 + h0;
                x += (g1 + g0) * tap[5];
                y += (h1 - h0) * tap[6];
                xx += both * tap[7];
                xy += (g1 - g0) * tap[8];
                yy += both * tap[9];
            }
        }
        store(out + i, x);
        store(out + strip + i, y);
        store(out + 2 * strip + i, xx);
        store(out + 3 * strip + i, xy);
        store(out + 4 * strip + i, yy);
    }
}

void across_any(const float* rows, const float* taps, std::size_t radius, std::size_t maps, float* out) {
    maps == 5 ? across<5>(rows, taps, radius, out) : across<3>(rows, taps, radius, out);
}

void measured(const float* __restrict row, double offset, bool squares, double* __restrict heights,
              double* __restrict seen, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const double value = static_cast<double>(row[i]) - offset;
        const bool use = finite(row[i]) & (!squares | (row[i] >= 0.0F));
        heights[i] = use ? (squares ? value * value : value) : 0.0;
        seen[i] = use ? 1.0 : 0.0;
    }
}

// Even powers of the distance use the sum of the values on both sides, odd ones the difference.
template <int highest>
LEE_BOTH void moments(const double* middle, std::size_t step, const double* taps, std::size_t tap_step,
                      std::size_t radius, double* out) {
    for (std::size_t i = 0; i < narrow; i += double_lanes) {
        Doubles sum[highest + 1];
        const Doubles here = doubles(middle + i);
#pragma GCC unroll 9
        for (int a = 0; a <= highest; ++a) sum[a] = a == 0 ? here * taps[0] : here - here;
        for (std::size_t k = 1; k <= radius; ++k) {
            const double* tap = taps + k * tap_step;
            const Doubles after = doubles(middle + i + k * step);
            const Doubles before = doubles(middle + i - k * step);
            const Doubles even = after + before;
            const Doubles odd = after - before;
#pragma GCC unroll 9
            for (int a = 0; a <= highest; ++a) sum[a] += (a % 2 == 0 ? even : odd) * tap[a];
        }
#pragma GCC unroll 9
        for (int a = 0; a <= highest; ++a) store(out + static_cast<std::size_t>(a) * narrow + i, sum[a]);
    }
}

using curvature_fit::powers;
using curvature_fit::select;

void moments_of(int highest, const double* middle, std::size_t step, const double* taps, std::size_t radius,
                double* out) {
    switch (highest) {
        case 0:
            return moments<0>(middle, step, taps, powers, radius, out);
        case 1:
            return moments<1>(middle, step, taps, powers, radius, out);
        case 2:
            return moments<2>(middle, step, taps, powers, radius, out);
        case 3:
            return moments<3>(middle, step, taps, powers, radius, out);
        case 4:
            return moments<4>(middle, step, taps, powers, radius, out);
        case 5:
            return moments<5>(middle, step, taps, powers, radius, out);
        case 6:
            return moments<6>(middle, step, taps, powers, radius, out);
        case 7:
            return moments<7>(middle, step, taps, powers, radius, out);
        default:
            return moments<8>(middle, step, taps, powers, radius, out);
    }
}

void moments_along(const double* row, const double* taps, std::size_t radius, int highest, double* out) {
    moments_of(highest, row + radius, 1, taps, radius, out);
}

void moments_across(const double* rows, std::size_t stride, const double* taps, std::size_t radius,
                    int highest, double* out) {
    for (int a = 0; a <= highest; ++a) {
        moments_of(highest - a, rows + radius * stride + static_cast<std::size_t>(a) * narrow, stride, taps,
                   radius, out);
        out += static_cast<std::size_t>(highest - a + 1) * narrow;
    }
}

template <int order>
void factorise(const double* mask, double* factor) {
    constexpr int count = curvature_fit::terms(2 * order);
    auto* factors = reinterpret_cast<curvature_fit::Factor<Aligned, order>*>(factor);
    for (std::size_t i = 0; i < narrow; i += double_lanes, ++factors) {
        Aligned moment[count];
        for (int k = 0; k < count; ++k) moment[k] = doubles(mask + static_cast<std::size_t>(k) * narrow + i);
        curvature_fit::factorise<Aligned, order>(moment, *factors);
    }
}

template <int order>
void solve(const double* factor, double* values) {
    constexpr int count = curvature_fit::terms(order);
    const auto* factors = reinterpret_cast<const curvature_fit::Factor<Aligned, order>*>(factor);
    for (std::size_t i = 0; i < narrow; i += double_lanes, ++factors) {
        Aligned v[count];
        for (int k = 0; k < count; ++k) v[k] = doubles(values + static_cast<std::size_t>(k) * narrow + i);
        curvature_fit::solve<Aligned, order>(*factors, v);
        for (int k = 0; k < count; ++k) store(values + static_cast<std::size_t>(k) * narrow + i, v[k]);
    }
}

template <int order>
void evaluate(const double* coefficients, const double* at, double* derivatives) {
    const auto place =
        curvature_fit::place<Aligned, order>(Aligned(doubles(at)), Aligned(doubles(at + double_lanes)));
    const auto jet =
        curvature_fit::evaluate<Aligned, order>(reinterpret_cast<const Aligned*>(coefficients), place);
    for (std::size_t k = 0; k < 5; ++k) store(derivatives + k * double_lanes, jet.d[k]);
}

template <int order>
void uncertain(const double* factor, const double* at, const curvature_fit::Excess& excess, double* gain,
               double* covariance) {
    const auto& f = *reinterpret_cast<const curvature_fit::Factor<Aligned, order>*>(factor);
    const auto place =
        curvature_fit::place<Aligned, order>(Aligned(doubles(at)), Aligned(doubles(at + double_lanes)));
    const Aligned noise = curvature_fit::laplacian_gain<Aligned, order>(f, place);
    const Aligned none = noise - noise - 1.0;
    store(gain, select(f.worst > 0.0, noise, none));
    if (covariance != nullptr) {
        curvature_fit::covariance<Aligned, order>(f, place, excess, reinterpret_cast<Aligned*>(covariance));
    }
}

void factorise_any(int order, const double* mask, double* factor) {
    order == 4 ? factorise<4>(mask, factor) : factorise<2>(mask, factor);
}

void solve_any(int order, const double* factor, double* values) {
    order == 4 ? solve<4>(factor, values) : solve<2>(factor, values);
}

void evaluate_any(int order, const double* coefficients, const double* at, double* derivatives) {
    order == 4 ? evaluate<4>(coefficients, at, derivatives) : evaluate<2>(coefficients, at, derivatives);
}

void uncertain_any(int order, const double* factor, const double* at, const curvature_fit::Excess& excess,
                   double* gain, double* covariance) {
    order == 4 ? uncertain<4>(factor, at, excess, gain, covariance)
               : uncertain<2>(factor, at, excess, gain, covariance);
}

void finish(const CurvatureRows& rows, std::size_t n) {
    const float *x = rows.derivatives[0], *y = rows.derivatives[1], *xx = rows.derivatives[2],
                *xy = rows.derivatives[3], *yy = rows.derivatives[4];
    float* __restrict mean = rows.out[0], * __restrict gauss = rows.out[1], * __restrict high = rows.out[2], * __restrict low = rows.out[3];
    for (std::size_t i = 0; i < n; ++i) {
        const auto c = curvature_of::curvatures({x[i], y[i], xx[i], xy[i], yy[i]});
        mean[i] = c.mean;
        gauss[i] = c.gauss;
        high[i] = c.high;
        low[i] = c.low;
    }
    if (rows.noise == nullptr) return;
    const float* const* c = rows.covariance;
    float* __restrict mean_sigma = rows.out[4], * __restrict gauss_sigma = rows.out[5];
    for (std::size_t i = 0; i < n; ++i) {
        const auto s =
            curvature_of::sigmas({x[i], y[i], xx[i], xy[i], yy[i]},
                                 {c[0][i], c[1][i], c[2][i], c[3][i], c[4][i], c[5][i], c[6][i], c[7][i],
                                  c[8][i], c[9][i], c[10][i], c[11][i], c[12][i], c[13][i], c[14][i]},
                                 rows.noise[i]);
        mean_sigma[i] = s.mean;
        gauss_sigma[i] = s.gauss;
    }
}

}  // namespace

const CurvatureLoops curvature_loops{
    .range = range,
    .lower = lower,
    .along = along_any,
    .across = across_any,
    .measured = measured,
    .moments_along = moments_along,
    .moments_across = moments_across,
    .factorise = factorise_any,
    .solve = solve_any,
    .evaluate = evaluate_any,
    .uncertain = uncertain_any,
    .finish = finish,
};

}  // namespace lee::simd::LEE_ISA
