// Compiled once for each instruction set. Only plain loops here, nothing inline from the standard library:
// the linker keeps one copy of an inline function for the whole program, which may be the one for AVX-512.
#include "kernels/simd/refocuser.hpp"

#include "common/refocuser_pixel.hpp"

namespace lee::simd::LEE_ISA {
namespace {

using focus::decode;
using focus::encode;

template <class Frame, class Sum>
void accumulate(const Frame* __restrict frame, Sum* __restrict sum, std::size_t n, bool add) {
    if (add) {
        for (std::size_t i = 0; i < n; ++i) sum[i] = static_cast<Sum>(sum[i] + static_cast<Sum>(frame[i]));
    } else {
        for (std::size_t i = 0; i < n; ++i) sum[i] = static_cast<Sum>(frame[i]);
    }
}

template <class Sum>
void mean(const Sum* __restrict sum, float* __restrict out, std::size_t n, float scale) {
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<float>(sum[i]) * scale;
}

void resample_along(const float* __restrict in, const float* weights, float* __restrict out, std::size_t n) {
    const float a = weights[0], b = weights[1], c = weights[2], d = weights[3], e = weights[4],
                f = weights[5];
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = a * in[i] + b * in[i + 1] + c * in[i + 2] + d * in[i + 3] + e * in[i + 4] + f * in[i + 5];
    }
}

void resample_rows(const float* const* rows, const float* weights, float* __restrict out, std::size_t n) {
    const float a = weights[0], b = weights[1], c = weights[2], d = weights[3], e = weights[4],
                f = weights[5];
    const float *u = rows[0], *v = rows[1], *w = rows[2], *x = rows[3], *y = rows[4], *z = rows[5];
    for (std::size_t i = 0; i < n; ++i)
        out[i] = a * u[i] + b * v[i] + c * w[i] + d * x[i] + e * y[i] + f * z[i];
}

void sum_along(const float* __restrict in, std::size_t taps, float* __restrict out, std::size_t n) {
    if (taps == 5) {
        for (std::size_t i = 0; i < n; ++i) out[i] = in[i] + in[i + 1] + in[i + 2] + in[i + 3] + in[i + 4];
        return;
    }
    for (std::size_t i = 0; i < n; ++i) out[i] = in[i];
    for (std::size_t tap = 1; tap < taps; ++tap) {
        for (std::size_t i = 0; i < n; ++i) out[i] += in[i + tap];
    }
}

// Strips that stay in registers' reach: sums over rows are taken a strip at a time.
constexpr std::size_t strip = 64;

LEE_BOTH void sum_rows(const float* const* rows, std::size_t taps, std::size_t first, std::size_t count,
                       float* __restrict sum) {
    if (taps == 5) {
        const float *a = rows[0] + first, *b = rows[1] + first, *c = rows[2] + first, *d = rows[3] + first,
                    *e = rows[4] + first;
        for (std::size_t i = 0; i < count; ++i) sum[i] = a[i] + b[i] + c[i] + d[i] + e[i];
        return;
    }
    for (std::size_t i = 0; i < count; ++i) sum[i] = rows[0][first + i];
    for (std::size_t tap = 1; tap < taps; ++tap) {
        const float* row = rows[tap] + first;
        for (std::size_t i = 0; i < count; ++i) sum[i] += row[i];
    }
}

void detail(const float* __restrict mean_row, const float* const* rows, std::size_t taps, float scale,
            float dark, float* __restrict out, std::size_t n) {
    float sum[strip];
    for (std::size_t first = 0; first < n; first += strip) {
        const std::size_t count = n - first < strip ? n - first : strip;
        sum_rows(rows, taps, first, count, sum);
        for (std::size_t i = 0; i < count; ++i) {
            out[first + i] = focus::detail_of(mean_row[first + i], sum[i] * scale, dark);
        }
    }
}

void encode_row(const float* __restrict values, std::uint16_t* __restrict codes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) codes[i] = encode(values[i]);
}

void decode_row(const std::uint16_t* __restrict codes, float* __restrict values, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) values[i] = decode(codes[i]);
}

void decode_mean(const std::uint16_t* one, const std::uint16_t* other, float* __restrict values,
                 std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) values[i] = 0.5F * (decode(one[i]) + decode(other[i]));
}

void gradient(const float* above, const float* row, const float* below, float* __restrict across,
              float* __restrict down, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        across[i] = focus::slope(above[i], row[i], below[i], above[i + 2], row[i + 2], below[i + 2]);
        down[i] = focus::slope(above[i], above[i + 1], above[i + 2], below[i], below[i + 1], below[i + 2]);
    }
}

void tensor(const float* ax, const float* ay, const float* bx, const float* by, float* __restrict xx,
            float* __restrict yy, float* __restrict xy, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        xx[i] = ax[i] * bx[i];
        yy[i] = ay[i] * by[i];
        xy[i] = focus::mixed(ax[i], ay[i], bx[i], by[i]);
    }
}

void pool(const float* const* xx, const float* const* yy, const float* const* xy, std::size_t taps,
          float scale, std::uint16_t* __restrict out, std::size_t n) {
    float a[strip], b[strip], c[strip];
    for (std::size_t first = 0; first < n; first += strip) {
        const std::size_t count = n - first < strip ? n - first : strip;
        sum_rows(xx, taps, first, count, a);
        sum_rows(yy, taps, first, count, b);
        sum_rows(xy, taps, first, count, c);
        for (std::size_t i = 0; i < count; ++i) {
            out[first + i] = encode(scale * focus::tensor_focus(a[i], b[i], c[i]));
        }
    }
}

void halve(const float* __restrict upper, const float* __restrict lower, float* __restrict out,
           std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = 0.25F * (upper[2 * i] + upper[2 * i + 1] + lower[2 * i] + lower[2 * i + 1]);
    }
}

// Most strips hold no new maximum, so the search for one touches whole numbers only and the fit is seldom
// reached.
bool search(const std::uint16_t* const* ring, std::size_t first, std::size_t count,
            const std::uint16_t* second, std::uint16_t* __restrict found) {
    const std::uint16_t *a = ring[0] + first, *b = ring[1] + first, *c = ring[2] + first,
                        *d = ring[3] + first, *e = ring[4] + first;
    std::uint16_t any = 0;
    for (std::size_t i = 0; i < count; ++i) {
        found[i] = focus::is_maximum(a[i], b[i], c[i], d[i], e[i], second[i]) ? 1 : 0;
        any = static_cast<std::uint16_t>(any | found[i]);
    }
    return any != 0;
}

// New maxima are few, so they are gathered and fitted together.
struct Found {
    static constexpr std::size_t room = 4 * strip;
    std::size_t count = 0;
    std::uint32_t at[room + strip];
    float samples[5][room + strip];
};

void gather(const std::uint16_t* const* ring, std::size_t first, std::size_t count,
            const std::uint16_t* found, Found& into) {
    const std::size_t from = into.count;
    for (std::size_t i = 0; i < count; ++i) {
        into.at[into.count] = static_cast<std::uint32_t>(first + i);
        into.count += found[i];
    }
    for (std::size_t k = from; k < into.count; ++k) {
        for (std::size_t g = 0; g < 5; ++g) into.samples[g][k] = decode(ring[g][into.at[k]]);
    }
}

void keep(Found& found, const float* u_um, float z_um, const float* counts, const PeakRow& peaks) {
    float z[Found::room + strip];
    std::uint16_t width[Found::room + strip];
    const auto& s = found.samples;
    for (std::size_t k = 0; k < found.count; ++k) {
        const focus::Fit fit = focus::fit_peak(s[0][k], s[1][k], s[2][k], s[3][k], s[4][k], u_um);
        z[k] = z_um + fit.offset_um;
        width[k] = encode(fit.curvature_per_um2);
    }
    for (std::size_t k = 0; k < found.count; ++k) {
        const std::size_t at = found.at[k];
        const std::uint16_t peak = encode(s[2][k]);
        const std::size_t place = peak > peaks.peak[0][at] ? 0 : 1;
        if (place == 0) {
            peaks.z_um[1][at] = peaks.z_um[0][at];
            peaks.peak[1][at] = peaks.peak[0][at];
            peaks.width[1][at] = peaks.width[0][at];
            if (counts != nullptr) peaks.counts[1][at] = peaks.counts[0][at];
        }
        peaks.z_um[place][at] = z[k];
        peaks.peak[place][at] = peak;
        peaks.width[place][at] = width[k];
        if (counts != nullptr) peaks.counts[place][at] = counts[at];
    }
    found.count = 0;
}

void track(const std::uint16_t* const* ring, const float* u_um, float z_um, const float* counts,
           const PeakRow& peaks, std::size_t n) {
    Found found;
    std::uint16_t is_maximum[strip];
    for (std::size_t first = 0; first < n; first += strip) {
        const std::size_t count = n - first < strip ? n - first : strip;
        if (!search(ring, first, count, peaks.peak[1] + first, is_maximum)) continue;
        gather(ring, first, count, is_maximum, found);
        if (found.count > Found::room - strip) keep(found, u_um, z_um, counts, peaks);
    }
    keep(found, u_um, z_um, counts, peaks);
}

void add(const float* __restrict values, float limit, float* __restrict sum, float* __restrict count,
         std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        sum[i] += values[i];
        count[i] += values[i] >= limit ? 1.0F : 0.0F;
    }
}

}  // namespace

const RefocuserLoops refocuser_loops{
    .accumulate_u8 = accumulate<std::uint8_t, std::uint16_t>,
    .accumulate_u16 = accumulate<std::uint16_t, float>,
    .accumulate_f32 = accumulate<float, float>,
    .mean_u16 = mean<std::uint16_t>,
    .mean_f32 = mean<float>,
    .resample_along = resample_along,
    .resample_rows = resample_rows,
    .sum_along = sum_along,
    .detail = detail,
    .encode = encode_row,
    .decode = decode_row,
    .decode_mean = decode_mean,
    .gradient = gradient,
    .tensor = tensor,
    .pool = pool,
    .halve = halve,
    .track = track,
    .add = add,
};

}  // namespace lee::simd::LEE_ISA
