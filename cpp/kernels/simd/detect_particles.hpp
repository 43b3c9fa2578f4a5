#pragma once

#include <cstddef>
#include <cstdint>

#include "common/detect_particles_level.hpp"
#include "common/detect_particles_pixel.hpp"
#include "common/detect_particles_search.hpp"
#include "common/isa.hpp"

namespace lee::simd {

/// Sums over a tile are taken column by column; a tile is no wider than this.
inline constexpr std::size_t tile_stride = 96;

/// What a row of pixels has around it; all pointers to its first pixel.
struct ParticleRow {
    const float* difference;            // NaN where it takes no part
    const float* reference;             // brightness
    const float *above, *here, *below;  // the same smoothed; here[-1] and here[n] can be read
    const float* axial;                 // or null
};

/// particles::Variance for a row of pixels.
struct VarianceRow {
    const float *base, *slope, *least;
};

struct DetectParticlesLoops {
    /// Convert; what is not finite, or at or above `limit`, becomes NaN. Returns how many are at or above it.
    std::size_t (*load_8)(const std::uint8_t* in, float limit, float* out, std::size_t n);
    std::size_t (*load_16)(const std::uint16_t* in, float limit, float* out, std::size_t n);
    std::size_t (*load_float)(const float* in, float limit, float* out, std::size_t n);
    /// How many are NaN.
    std::size_t (*count_nan)(const float* in, std::size_t n);
    /// out[i] = sum over k of weights[k] rows[k][i], or weights[k] in[i + k]
    void (*weigh_rows)(const float* const* rows, const float* weights, std::size_t taps, float* out,
                       std::size_t n);
    void (*weigh_along)(const float* in, const float* weights, std::size_t taps, float* out, std::size_t n);
    /// difference[i] = frame[i] - reference[i]
    void (*differ)(const float* frame, const float* reference, float* difference, std::size_t n);
    /// Add the sums of a row's differences within +-limit of an offset, column by column:
    /// sums[k * tile_stride + i], k in [0, particles::sums)
    void (*add_sums)(const ParticleRow& row, float offset, float level, float limit, float* sums,
                     std::size_t n);
    /// left[i] = the difference less the fitted texture, a coefficient for each pixel: coefficients[k][i]
    void (*free)(const ParticleRow& row, const float* const* coefficients, float* left, std::size_t n);
    /// Level of a cell of the background
    float (*level)(const particles::CellPixels& cell, float inside);
    /// The sums for the noise in the same way, k in [0, particles::noise_sums), of pixels within a limit
    /// that depends on brightness
    void (*add_noise)(const float* left, const float* brightness, float level,
                      const particles::Variance& square_of_limit, float* sums, std::size_t n);
    /// weight[i] = 1 / variance, 0 where left[i] is NaN, which becomes 0
    void (*weigh)(float* left, const float* brightness, const VarianceRow& of, float* weight, std::size_t n);
    void (*multiply)(const float* a, const float* b, float* out, std::size_t n);
    /// Signal-to-noise ratio of the filter: out[i] from its numerator, its information and the pixel's weight
    void (*ratio)(const float* numerator, const float* information, const float* weight, float least,
                  float* out, std::size_t n);
    /// Add squares of values within +-limit that have a weight: sum[i] += value^2, count[i] += 1
    void (*add_squares)(const float* value, const float* weight, float limit, float* sum, float* count,
                        std::size_t n);
    /// Strength of texture that a change of height reveals: out[i] = weight[i] q^2, q the Laplacian or
    /// `axial`
    void (*texture)(const ParticleRow& row, const float* weight, float* out, std::size_t n);
    /// out[i] = base + a first[i] + b second[i], second may be null
    void (*mix)(const float* first, const float* second, float base, float a, float b, float* out,
                std::size_t n);
    /// value[i] /= deviation[i] sqrt(variance[i]), variance may be null
    void (*normalise)(float* value, const float* deviation, const float* variance, std::size_t n);
    /// What common/detect_particles_cells.hpp and common/detect_particles_search.hpp do to a cell
    bool (*commit)(const particles::Residuals& image, particles::Cell& cell, float point);
    bool (*sweep)(const particles::Residuals& image, const particles::Grid& grid, particles::Cell& cell,
                  int index, float point, float tolerance);
    void (*measure)(const particles::Residuals& image, particles::Cell& cell,
                    const particles::Deviation& deviation, const particles::Limits& limits);
    bool (*propose)(const particles::Residuals& image, const particles::Grid& grid,
                    const particles::Cell* cells, int index, const particles::Deviation& deviation,
                    const particles::Limits& limits, float point, particles::Proposal* out);
    bool (*merge)(const particles::Residuals& image, const particles::Grid& grid,
                  const particles::Cell* cells, int index, const particles::Deviation& deviation,
                  const particles::Limits& limits, float point, particles::Proposal* out);
    /// A row between tiles' middles: out[i] = low + share[i] (high - low), of one stretch
    void (*ramp)(const float* share, float low, float high, float* out, std::size_t n);
    /// out[i] += times (low + share[i] (high - low))
    void (*add_ramp)(const float* share, float low, float high, float times, float* out, std::size_t n);
    /// limit[i] *= times sqrt(variance[i]), variance may be null
    void (*raise)(const float* variance, float times, float* limit, std::size_t n);
    /// Whether value[i] is above limit[i] and a maximum among its eight neighbours, ties to the first in
    /// order; value[-1] and value[n] can be read. Returns how many are.
    std::size_t (*maxima)(const float* above, const float* here, const float* below, const float* limit,
                          std::uint8_t* found, std::size_t n);
};

}  // namespace lee::simd

LEE_DECLARE_ISAS(::lee::simd::DetectParticlesLoops, detect_particles_loops)
