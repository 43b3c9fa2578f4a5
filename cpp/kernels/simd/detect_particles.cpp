// Compiled once for each instruction set. Only plain loops here, nothing inline from the standard library:
// the linker keeps one copy of an inline function for the whole program, which may be the one for AVX-512.
#include "kernels/simd/detect_particles.hpp"

#include "common/detect_particles_pixel.hpp"
#include "common/floats.hpp"

namespace lee::simd::LEE_ISA {
namespace {

using namespace particles;

template <class Pixel>
std::size_t load(const Pixel* __restrict in, float limit, float* __restrict out, std::size_t n) {
    std::uint32_t saturated = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const float value = static_cast<float>(in[i]);
        const bool high = value >= limit;
        saturated += high ? 1U : 0U;
        out[i] = finite(value) & !high ? value : __builtin_nanf("");
    }
    return saturated;
}

std::size_t count_nan(const float* __restrict in, std::size_t n) {
    std::uint32_t count = 0;
    for (std::size_t i = 0; i < n; ++i) count += in[i] != in[i] ? 1U : 0U;
    return count;
}

// Columns taken together, so that sums over taps stay in registers.
constexpr std::size_t strip = 64;

template <class At>
LEE_BOTH void weigh(const At& at, const float* weights, std::size_t taps, float* __restrict out,
                    std::size_t n) {
    std::size_t first = 0;
    for (; first + strip <= n; first += strip) {
        float sum[strip];
        const float* in = at(0) + first;
        for (std::size_t i = 0; i < strip; ++i) sum[i] = weights[0] * in[i];
        for (std::size_t k = 1; k < taps; ++k) {
            in = at(k) + first;
            const float weight = weights[k];
            for (std::size_t i = 0; i < strip; ++i) sum[i] += weight * in[i];
        }
        for (std::size_t i = 0; i < strip; ++i) out[first + i] = sum[i];
    }
    for (std::size_t i = first; i < n; ++i) {
        float sum = weights[0] * at(0)[i];
        for (std::size_t k = 1; k < taps; ++k) sum += weights[k] * at(k)[i];
        out[i] = sum;
    }
}

void weigh_rows(const float* const* rows, const float* weights, std::size_t taps, float* out, std::size_t n) {
    weigh([rows](std::size_t k) { return rows[k]; }, weights, taps, out, n);
}

void weigh_along(const float* in, const float* weights, std::size_t taps, float* out, std::size_t n) {
    weigh([in](std::size_t k) { return in + k; }, weights, taps, out, n);
}

void differ(const float* __restrict frame, const float* __restrict reference, float* __restrict difference,
            std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) difference[i] = frame[i] - reference[i];
}

template <bool has_axial>
LEE_BOTH Regressors regressors_of(const ParticleRow& row, float level, std::size_t i) {
    const float axial = has_axial ? row.axial[i] : 0.0F;
    // One before the first pixel is asked for: the index wraps around and back.
    return regressors_at(row.reference[i], (row.here - 1)[i], row.here[i], row.here[i + 1], row.above[i],
                         row.below[i], axial, has_axial, level);
}

template <bool has_axial>
void add_sums(const ParticleRow& row, float offset, float level, float limit, float* __restrict sums,
              std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const Regressors at = regressors_of<has_axial>(row, level, i);
        const float d = row.difference[i];
        const bool use = particles::within(d - offset, limit);
        const float one = use ? 1.0F : 0.0F;
        const float x = one * at.x, y = one * at.y, a = one * at.axial, b = one * at.brightness;
        const float e = use ? d : 0.0F;
        float* sum = sums + i;
        sum[0] += one;
        sum[tile_stride] += x, sum[2 * tile_stride] += y, sum[3 * tile_stride] += a,
            sum[4 * tile_stride] += b;
        sum[5 * tile_stride] += x * at.x, sum[6 * tile_stride] += x * at.y,
            sum[7 * tile_stride] += x * at.axial;
        sum[8 * tile_stride] += x * at.brightness, sum[9 * tile_stride] += y * at.y,
            sum[10 * tile_stride] += y * at.axial;
        sum[11 * tile_stride] += y * at.brightness, sum[12 * tile_stride] += a * at.axial;
        sum[13 * tile_stride] += a * at.brightness, sum[14 * tile_stride] += b * at.brightness;
        sum[15 * tile_stride] += e, sum[16 * tile_stride] += e * at.x, sum[17 * tile_stride] += e * at.y;
        sum[18 * tile_stride] += e * at.axial, sum[19 * tile_stride] += e * at.brightness,
            sum[20 * tile_stride] += e * e;
    }
}

void add_sums_any(const ParticleRow& row, float offset, float level, float limit, float* sums,
                  std::size_t n) {
    if (row.axial != nullptr) {
        add_sums<true>(row, offset, level, limit, sums, n);
    } else {
        add_sums<false>(row, offset, level, limit, sums, n);
    }
}

template <bool has_axial>
void free(const ParticleRow& row, const float* const* coefficients, float* __restrict left, std::size_t n) {
    const float *cx = coefficients[0], *cy = coefficients[1], *ca = coefficients[2], *cb = coefficients[3],
                *offset = coefficients[4];
    for (std::size_t i = 0; i < n; ++i) {
        const Regressors at = regressors_of<has_axial>(row, 0.0F, i);
        left[i] = row.difference[i] - taken(at, cx[i], cy[i], ca[i], cb[i], offset[i]);
    }
}

void free_any(const ParticleRow& row, const float* const* coefficients, float* left, std::size_t n) {
    if (row.axial != nullptr) {
        free<true>(row, coefficients, left, n);
    } else {
        free<false>(row, coefficients, left, n);
    }
}

float level(const CellPixels& cell, float inside) {
    return level_of(cell, inside);
}

void add_noise(const float* __restrict left, const float* __restrict brightness, float level,
               const Variance& square_of_limit, float* __restrict sums, std::size_t n) {
    const Variance limit = square_of_limit;
    for (std::size_t i = 0; i < n; ++i) {
        const bool use = left[i] * left[i] < variance_of(limit, brightness[i]);
        const float one = use ? 1.0F : 0.0F, r = use ? left[i] : 0.0F;
        const float m = brightness[i] - level;
        float* sum = sums + i;
        sum[0] += one;
        sum[tile_stride] += one * m, sum[2 * tile_stride] += one * m * m;
        sum[3 * tile_stride] += r * r, sum[4 * tile_stride] += r * r * m;
    }
}

void weigh_noise(float* __restrict left, const float* __restrict brightness, const VarianceRow& row,
                 float* __restrict weight, std::size_t n) {
    const float* __restrict base = row.base;
    const float* __restrict slope = row.slope;
    const float* __restrict least = row.least;
    for (std::size_t i = 0; i < n; ++i) {
        const float value = left[i];
        const float variance = variance_of({base[i], slope[i], least[i]}, brightness[i]);
        const bool use = (value == value) & (variance > 0.0F);
        weight[i] = use ? 1.0F / variance : 0.0F;
        left[i] = use ? value : 0.0F;
    }
}

void multiply(const float* __restrict a, const float* __restrict b, float* __restrict out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out[i] = a[i] * b[i];
}

void ratio(const float* __restrict numerator, const float* __restrict information,
           const float* __restrict weight, float least, float* __restrict out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out[i] = filtered(numerator[i], information[i], weight[i], least);
}

void add_squares(const float* __restrict value, const float* __restrict weight, float limit,
                 float* __restrict sum, float* __restrict count, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const bool use = particles::within(value[i], limit) & (weight[i] > 0.0F);
        sum[i] += use ? value[i] * value[i] : 0.0F;
        count[i] += use ? 1.0F : 0.0F;
    }
}

void texture(const ParticleRow& row, const float* __restrict weight, float* __restrict out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const float q = row.axial != nullptr ? row.axial[i] : regressors_of<false>(row, 0.0F, i).axial;
        out[i] = weight[i] * q * q;
    }
}

void mix(const float* first, const float* second, float base, float a, float b, float* out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = base + a * first[i] + (second != nullptr ? b * second[i] : 0.0F);
    }
}

void normalise(float* __restrict value, const float* __restrict deviation, const float* __restrict variance,
               std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const float root = variance != nullptr ? __builtin_sqrtf(variance[i]) : 1.0F;
        value[i] /= deviation[i] * root;
    }
}

std::size_t maxima(const float* __restrict above, const float* __restrict here, const float* __restrict below,
                   const float* __restrict limit, std::uint8_t* __restrict found, std::size_t n) {
    std::uint32_t count = 0;
    const float *a = above - 1, *h = here - 1, *b = below - 1;
    for (std::size_t i = 0; i < n; ++i) {
        const float value = here[i];
        const bool is = (value > limit[i]) & (value > a[i]) & (value > a[i + 1]) & (value > a[i + 2]) &
                        (value > h[i]) & (value >= h[i + 2]) & (value >= b[i]) & (value >= b[i + 1]) &
                        (value >= b[i + 2]);
        found[i] = is ? 1 : 0;
        count += is ? 1U : 0U;
    }
    return count;
}

void ramp(const float* __restrict share, float low, float high, float* __restrict out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out[i] = low + share[i] * (high - low);
}

void add_ramp(const float* __restrict share, float low, float high, float times, float* __restrict out,
              std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out[i] += times * (low + share[i] * (high - low));
}

void raise(const float* __restrict variance, float times, float* __restrict limit, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) limit[i] *= times;
    if (variance == nullptr) return;
    for (std::size_t i = 0; i < n; ++i) limit[i] *= __builtin_sqrtf(variance[i]);
}

bool commit(const Residuals& image, Cell& cell, float point) {
    return commit_cell(image, cell, point);
}

bool sweep(const Residuals& image, const Grid& grid, Cell& cell, int index, float point, float tolerance) {
    return sweep_cell(image, grid, cell, index, point, tolerance);
}

void measure(const Residuals& image, Cell& cell, const Deviation& deviation, const Limits& limits) {
    measure_cell(image, cell, deviation, limits);
}

bool propose(const Residuals& image, const Grid& grid, const Cell* cells, int index,
             const Deviation& deviation, const Limits& limits, float point, Proposal* out) {
    return propose_cell(image, grid, cells, index, deviation, limits, point, out);
}

bool merge(const Residuals& image, const Grid& grid, const Cell* cells, int index, const Deviation& deviation,
           const Limits& limits, float point, Proposal* out) {
    return merge_cell(image, grid, cells, index, deviation, limits, point, out);
}

}  // namespace

const DetectParticlesLoops detect_particles_loops{.load_8 = load<std::uint8_t>,
                                                  .load_16 = load<std::uint16_t>,
                                                  .load_float = load<float>,
                                                  .count_nan = count_nan,
                                                  .weigh_rows = weigh_rows,
                                                  .weigh_along = weigh_along,
                                                  .differ = differ,
                                                  .add_sums = add_sums_any,
                                                  .free = free_any,
                                                  .level = level,
                                                  .add_noise = add_noise,
                                                  .weigh = weigh_noise,
                                                  .multiply = multiply,
                                                  .ratio = ratio,
                                                  .add_squares = add_squares,
                                                  .texture = texture,
                                                  .mix = mix,
                                                  .normalise = normalise,
                                                  .commit = commit,
                                                  .sweep = sweep,
                                                  .measure = measure,
                                                  .propose = propose,
                                                  .merge = merge,
                                                  .ramp = ramp,
                                                  .add_ramp = add_ramp,
                                                  .raise = raise,
                                                  .maxima = maxima};

}  // namespace lee::simd::LEE_ISA
