// Compiled once for each instruction set. Only plain loops here, nothing inline from the standard library:
// the linker keeps one copy of an inline function for the whole program, which may be the one for AVX-512.
#include "kernels/simd/argmax_refocus.hpp"

#include "common/argmax_refocus_fit.hpp"

namespace lee::simd::LEE_ISA {
namespace {

constexpr std::size_t strip = refocus_strip;

void update(const float* __restrict focus, std::int32_t z, float* __restrict copy, float* __restrict best,
            std::int32_t* __restrict plane, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const float value = focus[i];
        const bool wins = peak::leads(value, best[i], plane[i]);
        copy[i] = value;
        best[i] = wins ? value : best[i];
        plane[i] = wins ? z : plane[i];
    }
}

void fit(const float* __restrict focus, const double* __restrict z_um, std::int32_t planes,
         std::int32_t reach, const float* __restrict best, const std::int32_t* __restrict plane,
         float* __restrict height_um, float* __restrict sigma_um) {
    // An array for each moment, not an array of them: the loop over pixels then runs in vectors.
    alignas(64) double middle[strip], scale[strip], low[strip], high[strip], count[strip], w0[strip],
        w1[strip], w2[strip], w3[strip], w4[strip], l0[strip], l1[strip], l2[strip], ll[strip];
    for (std::size_t i = 0; i < strip; ++i) {
        const peak::Axis axis = peak::axis_at(z_um, planes, plane[i]);
        middle[i] = axis.middle, scale[i] = axis.step;
        low[i] = high[i] = 0.0;
        count[i] = w0[i] = w1[i] = w2[i] = w3[i] = w4[i] = l0[i] = l1[i] = l2[i] = ll[i] = 0.0;
    }
    for (std::int32_t offset = -reach; offset <= reach; ++offset) {
        for (std::size_t i = 0; i < strip; ++i) {
            const std::int32_t wanted = plane[i] + offset;
            const std::int32_t z = peak::nearest_plane(wanted, planes);
            const float share = focus[static_cast<std::size_t>(z) * strip + i] / best[i];
            const bool use = peak::takes_part(wanted == z, share);
            const double u = (z_um[z] - middle[i]) / scale[i];
            peak::Moments m{count[i], w0[i], w1[i], w2[i], w3[i], w4[i], l0[i], l1[i], l2[i], ll[i]};
            peak::add(m, use, share, u);
            count[i] = m.count, w0[i] = m.w0, w1[i] = m.w1, w2[i] = m.w2, w3[i] = m.w3, w4[i] = m.w4;
            l0[i] = m.l0, l1[i] = m.l1, l2[i] = m.l2, ll[i] = m.ll;
            low[i] = use & (u < low[i]) ? u : low[i];
            high[i] = use & (u > high[i]) ? u : high[i];
        }
    }
    for (std::size_t i = 0; i < strip; ++i) {
        const peak::Moments m{count[i], w0[i], w1[i], w2[i], w3[i], w4[i], l0[i], l1[i], l2[i], ll[i]};
        const peak::Peak found =
            peak::peak_of(m, low[i], high[i], {middle[i], scale[i]}, plane[i], planes, best[i]);
        height_um[i] = found.height_um;
        sigma_um[i] = found.sigma_um;
    }
}

}  // namespace

const ArgmaxRefocusLoops argmax_refocus_loops{.update = update, .fit = fit};

}  // namespace lee::simd::LEE_ISA
