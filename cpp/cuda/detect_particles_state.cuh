#pragma once

// A pair of frames on the device, on its way to the list of particles.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/detect_particles_background.hpp"
#include "common/detect_particles_cells.hpp"
#include "common/detect_particles_pixel.hpp"
#include "common/detect_particles_tail.hpp"
#include "common/detect_particles_tiles.hpp"
#include "cuda/runtime.cuh"
#include "lee/detect_particles.hpp"

namespace lee::particles::on_device {

using cuda::Array;

inline constexpr const char* operation = "detect_particles";
inline constexpr unsigned threads = 256;
/// Threads of a block that sums the columns of a tile, which is never wider.
inline constexpr unsigned tile_threads = 96;

/// Images are stored row behind row, without padding.
struct Extent {
    std::uint32_t rows, columns;
    [[nodiscard]] LEE_BOTH std::size_t pixels() const { return std::size_t{rows} * columns; }
};

/// A thread's pixel, where the blocks of a launch form one row.
struct Place {
    __device__ explicit Place(const Extent& image) : at(std::size_t{blockIdx.x} * blockDim.x + threadIdx.x) {
        // Frames have at most 2^31 pixels.
        y = static_cast<std::uint32_t>(at) / image.columns;
        x = static_cast<std::uint32_t>(at) % image.columns;
        is_inside = at < image.pixels();
    }
    std::size_t at;
    std::uint32_t y, x;
    bool is_inside;
};

/// The tile of a thread's block.
struct TilePlace {
    __device__ explicit TilePlace(const Tiles& tiles) : k(blockIdx.x) {
        const std::size_t y = k / tiles.x.count, x = k % tiles.x.count;
        y0 = tiles.y.begin(y), y1 = tiles.y.begin(y + 1);
        x0 = tiles.x.begin(x), columns = tiles.x.begin(x + 1) - x0;
    }
    std::size_t k, y0, y1, x0, columns;
};

/// Values of tiles, interpolated at a pixel.
struct Ramp {
    const float* by_tile;
    std::size_t tile_columns;
    const Between *of_y, *of_x;
    __device__ float operator()(const Place& place) const {
        return ramp_at(by_tile, tile_columns, of_y[place.y], of_x[place.x]);
    }
};

/// The regressors of the difference.
struct Brightness {
    const float *reference, *smooth;
    const float* axial;  // or null
    Extent image;

    __device__ Regressors at(std::uint32_t y, std::uint32_t x, bool has_axial, float level) const {
        const std::size_t here = std::size_t{y} * image.columns + x;
        const float left = smooth[x > 0 ? here - 1 : here];
        const float right = smooth[x + 1 < image.columns ? here + 1 : here];
        const float up = smooth[y > 0 ? here - image.columns : here];
        const float down = smooth[y + 1 < image.rows ? here + image.columns : here];
        return regressors_at(reference[here], left, smooth[here], right, up, down,
                             has_axial ? axial[here] : 0.0F, has_axial, level);
    }
};

/// A maximum of the filter's output.
struct Bright {
    std::uint32_t at;
    float snr;
};

/// The field in which maxima are searched for.
struct Field {
    const float* snr;
    const float* texture;  // or null
    Ramp scale;
    Extent image;

    /// Whether a pixel is above `threshold` deviations and a maximum, ties to the first in order.
    __device__ bool is_maximum(const Place& place, float threshold) const {
        const float value = snr[place.at];
        for (int v = -1; v <= 1; ++v) {
            for (int u = -1; u <= 1; ++u) {
                if (v == 0 && u == 0) continue;
                // Below 0 the index wraps around, and is beyond the end.
                const std::uint32_t y = place.y + static_cast<std::uint32_t>(v);
                const std::uint32_t x = place.x + static_cast<std::uint32_t>(u);
                const bool inside = y < image.rows && x < image.columns;
                const float other = inside ? snr[std::size_t{y} * image.columns + x] : 0.0F;
                const bool later = v > 0 || (v == 0 && u > 0);
                if (!(later ? value >= other : value > other)) return false;
            }
        }
        float limit = scale(place) * threshold;
        if (texture != nullptr) limit *= __builtin_sqrtf(texture[place.at]);
        return value > limit;
    }
};

struct State {
    State(std::size_t rows, std::size_t columns, const DetectParticlesParams& given, cudaStream_t queue);

    const DetectParticlesParams& params;
    cudaStream_t stream;
    Extent image;
    Tiles tiles;
    Array<Between> between_y, between_x;
    float floor = 0;  ///< least variance of a pixel's difference

    Array<float> left;        ///< the difference; then without texture; then without the spots found so far
    Array<float> reference;   ///< the frame without the particles
    Array<float> brightness;  ///< the same, smoothed
    Array<float> axial;       ///< change of `before` with height, smoothed; may be absent
    Array<float> weight;      ///< 1 / variance, 0 where masked
    Array<float> snr;         ///< output of the matched filter, over its standard deviation for white noise
    Array<float> texture;     ///< variance of `snr` where texture raises it; may be absent
    Array<float> scale;       ///< standard deviation of `snr` by tile, without the texture's part
    Array<float> slope;       ///< of a pixel's variance over brightness, by tile
    bool textured = false;    ///< whether texture was subtracted from the difference
    Background background;    ///< what has been subtracted from `left`

    DetectedParticles found;

    /// Pixels that are not masked.
    [[nodiscard]] std::size_t area() const { return image.pixels() - found.not_measured - found.saturated; }
    [[nodiscard]] Residuals residuals() const;
    [[nodiscard]] Deviation deviation() const;
    [[nodiscard]] Brightness shared() const;
    [[nodiscard]] Field field() const;
    [[nodiscard]] Ramp ramp(const Array<float>& by_tile) const;

    template <class T>
    [[nodiscard]] Array<T> array(std::size_t count) const {
        return Array<T>(operation, count, stream);
    }
    [[nodiscard]] Array<float> map() const { return array<float>(image.pixels()); }
    template <class T>
    [[nodiscard]] Array<T> zeros(std::size_t count) const {
        Array<T> out = array<T>(count);
        clear(out);
        return out;
    }
    template <class T>
    void clear(const Array<T>& values) const {
        cuda::expect(cudaMemsetAsync(values.get(), 0, values.size() * sizeof(T), stream), operation);
    }
    template <class T>
    [[nodiscard]] Array<T> upload(const std::vector<T>& values) const {
        return cuda::upload(operation, values.data(), values.size(), stream);
    }
    /// The first `count` values, once all that has been queued is done.
    template <class T>
    [[nodiscard]] std::vector<T> download(const Array<T>& values, std::size_t count) const {
        std::vector<T> out(count);
        if (count > 0) {
            cuda::expect(
                cudaMemcpyAsync(out.data(), values.get(), count * sizeof(T), cudaMemcpyDeviceToHost, stream),
                operation);
        }
        cuda::expect(cudaStreamSynchronize(stream), operation);
        return out;
    }
    template <class T>
    [[nodiscard]] std::vector<T> download(const Array<T>& values) const {
        return download(values, values.size());
    }

    /// A thread for each of `count`.
    template <class... Parameters, class... Arguments>
    void each(std::size_t count, void (*kernel)(Parameters...), Arguments&&... arguments) const {
        cuda::launch(operation, kernel,
                     {.grid = dim3(cuda::blocks(count, threads)), .block = dim3(threads), .stream = stream},
                     std::forward<Arguments>(arguments)...);
    }
    template <class... Parameters, class... Arguments>
    void each_pixel(void (*kernel)(Parameters...), Arguments&&... arguments) const {
        each(image.pixels(), kernel, std::forward<Arguments>(arguments)...);
    }
    template <class... Parameters, class... Arguments>
    void each_tile(void (*kernel)(Parameters...), Arguments&&... arguments) const {
        cuda::launch(operation, kernel,
                     {.grid = dim3(static_cast<unsigned>(tiles.size())),
                      .block = dim3(tile_threads),
                      .stream = stream},
                     std::forward<Arguments>(arguments)...);
    }
};

/// left, reference, brightness, axial; counts the masked pixels.
template <class Pixel>
void take_difference(State& state, DeviceView<const Pixel, 2> before, DeviceView<const Pixel, 2> after,
                     DeviceView<const float, 2> axial);

/// Subtract texture and background from `left`, and weigh it by its noise.
void free_of_texture(State& state);

/// Subtract the background from `left`, or what is left of it.
void flatten_once(State& state);
/// Put back all that has been subtracted as background, and subtract it in cells for spots of a width.
void flatten_anew(State& state, double sigma_px);

/// snr, texture and scale for a spot's width.
void filter(State& state, double sigma_px);

/// How the noise of pixels is distributed.
NoiseTail tail_of(const State& state);

/// The width of a point's image, from the brightest spots; 0 where there are too few. `count`: how many.
double spot_sigma(const State& state, double begin_px, std::size_t& count);

/// Fit spots to all candidates; `left` becomes the residual. Particles are written where all of them fit.
void fit_spots(State& state, double sigma_px, const Limits& limits, DeviceView<float, 2> particles);

}  // namespace lee::particles::on_device
