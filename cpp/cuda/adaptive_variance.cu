#include "lee/adaptive_variance.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/adaptive_variance_windows.hpp"
#include "cuda/adaptive_variance_levels.cuh"
#include "cuda/adaptive_variance_tiles.cuh"
#include "cuda/runtime.cuh"

namespace lee {
namespace {

using cuda::Array;
using variance::Extent, variance::operation, variance::Pieces, variance::rows_a_thread, variance::threads_x,
    variance::threads_y;

constexpr int block_threads = threads_x * threads_y;
/// A pixel that no footprint has been chosen for; indices end below.
constexpr std::uint8_t still_open = 255;
/// With detail_px: about so many pixels' energies wait for the footprint at a time.
constexpr std::size_t energies_at_once = 1U << 19;

/// Planes in order, one behind the other.
template <class Pixel>
struct Frames {
    const Pixel* data;
    const double* offsets;  // null: none
    int planes;
    Extent image;

    __device__ const Pixel* plane(int z) const { return data + static_cast<std::size_t>(z) * image.pixels(); }
    __device__ double offset(int z) const { return offsets == nullptr ? 0.0 : offsets[z]; }
};

/// One of several footprints: the pixels where it is large enough.
struct Choice {
    const float* noise;
    variance::Limit limit;
    std::uint8_t index;
    bool first, last;   // of the footprints
    bool begins, ends;  // these planes the stack
    float* largest;     // focus of the planes before

    __device__ bool is_open(std::uint8_t window) const { return first || window == still_open; }
    /// The window of a pixel that was open, by its largest focus over z.
    __device__ std::uint8_t window_of(float largest_focus) const {
        const double least = variance::limit_of(*noise, limit.own, limit.excess);
        return last || static_cast<double>(largest_focus) > least ? index : still_open;
    }
};

__device__ inline int row_of(int i) {
    return static_cast<int>(blockIdx.y) * variance::tile_y + i * threads_y + static_cast<int>(threadIdx.y);
}

__device__ inline int column() {
    return static_cast<int>(blockIdx.x) * variance::tile_x + static_cast<int>(threadIdx.x);
}

/// Focus of a plane over one footprint at a thread's pixels; pooled: the mean of frames that hold energies.
template <class Sum, bool pooled, class Pixel>
__device__ void focus_of(const Pieces& footprint, const Frames<Pixel>& frames, int z, float* focus) {
    const double offset = frames.offset(z);
    const auto sums = variance::add_up<Sum, !pooled>(footprint, frames.plane(z), offset, frames.image);
#pragma unroll
    for (int i = 0; i < rows_a_thread; ++i) {
        const double number = sums.count[i];
        if constexpr (pooled) {
            focus[i] = variance::average(number, sums.value[i]);
        } else if constexpr (std::is_same_v<Sum, double>) {
            focus[i] = variance::of_real(number, sums.value[i], sums.square[i], offset);
        } else {
            focus[i] = variance::of_whole(number, sums.value[i], sums.square[i]);
        }
    }
}

/// The only footprint: planes are independent.
template <class Sum, bool pooled, class Pixel>
__global__ void __launch_bounds__(block_threads)
    measure(Pieces footprint, Frames<Pixel> frames, float* focus, std::uint8_t* window) {
    const Extent image = frames.image;
    for (int z = static_cast<int>(blockIdx.z); z < frames.planes; z += static_cast<int>(gridDim.z)) {
        float found[rows_a_thread];
        focus_of<Sum, pooled>(footprint, frames, z, found);
#pragma unroll
        for (int i = 0; i < rows_a_thread; ++i) {
            const int y = row_of(i), x = column();
            if (y >= image.rows || x >= image.columns) continue;
            focus[static_cast<std::size_t>(z) * image.pixels() + image.at(y, x)] = found[i];
            if (z == 0) window[image.at(y, x)] = 0;
        }
    }
}

/// One footprint of several, for the pixels that are still open.
template <class Sum, bool pooled, class Pixel>
__global__ void __launch_bounds__(block_threads)
    choose(Pieces footprint, Frames<Pixel> frames, Choice choice, float* focus, std::uint8_t* window) {
    const Extent image = frames.image;
    bool open[rows_a_thread];
    float largest[rows_a_thread];
    int any = 0;
#pragma unroll
    for (int i = 0; i < rows_a_thread; ++i) {
        const int y = row_of(i), x = column();
        open[i] = y < image.rows && x < image.columns && choice.is_open(window[image.at(y, x)]);
        largest[i] = open[i] && !choice.begins ? choice.largest[image.at(y, x)] : -1.0F;
        any |= open[i] ? 1 : 0;
    }
    if (__syncthreads_or(any) == 0) return;
    for (int z = 0; z < frames.planes; ++z) {
        float found[rows_a_thread];
        focus_of<Sum, pooled>(footprint, frames, z, found);
#pragma unroll
        for (int i = 0; i < rows_a_thread; ++i) {
            if (!open[i]) continue;
            focus[static_cast<std::size_t>(z) * image.pixels() + image.at(row_of(i), column())] = found[i];
            largest[i] = found[i] > largest[i] ? found[i] : largest[i];
        }
    }
#pragma unroll
    for (int i = 0; i < rows_a_thread; ++i) {
        if (!open[i]) continue;
        const std::size_t at = image.at(row_of(i), column());
        if (choice.ends) {
            window[at] = choice.window_of(largest[i]);
        } else {
            choice.largest[at] = largest[i];
        }
    }
}

/// (v - m)^2 / m of every pixel of every plane, m its mean over the square.
template <class Pixel>
__global__ void __launch_bounds__(block_threads)
    energies(Pieces square, Frames<Pixel> frames, float* energy) {
    const Extent image = frames.image;
    for (int z = static_cast<int>(blockIdx.z); z < frames.planes; z += static_cast<int>(gridDim.z)) {
        const double offset = frames.offset(z);
        const auto sums = variance::add_up<double, false>(square, frames.plane(z), offset, image);
#pragma unroll
        for (int i = 0; i < rows_a_thread; ++i) {
            const int y = row_of(i), x = column();
            if (y >= image.rows || x >= image.columns) continue;
            const Pixel pixel = frames.plane(z)[image.at(y, x)];
            energy[static_cast<std::size_t>(z) * image.pixels() + image.at(y, x)] =
                variance::detail(static_cast<double>(pixel), variance::is_present(pixel), sums.count[i],
                                 sums.value[i], offset);
        }
    }
}

template <class Pixel>
class Run {
  public:
    Run(DeviceView<const Pixel, 3> stack, DeviceView<float, 3> focus, DeviceView<std::uint8_t, 2> window,
        DeviceView<float, 1> noise, std::span<const Footprint> footprints,
        const AdaptiveVarianceParams& params, cudaStream_t stream)
        : focus_(focus.data), window_(window.data), noise_(noise.data), stream_(stream) {
        const auto [planes, rows, columns] = stack.shape;
        image_ = {static_cast<int>(rows), static_cast<int>(columns)};
        stack_ = {stack.data, nullptr, static_cast<int>(planes), image_};
        const variance::Windows windows = variance::windows_of(footprints, params.detail_px, rows, columns);
        whole_ = std::is_same_v<Pixel, std::uint8_t> && windows.whole();
        for (std::size_t k = 0; k < footprints.size(); ++k) {
            footprints_.emplace_back(operation, windows.footprints[k], stream);
            limits_.push_back(variance::limit_for(windows.areas[k], params));
        }
        if (params.detail_px != 0) square_.emplace_back(operation, windows.square, stream);
        if (footprints.size() > 1 && std::isnan(params.noise)) {
            variance::queue_noise(stack, noise.data, stream);
        } else {
            cuda::upload_bytes(operation, noise.data, &params.noise, sizeof(float), stream);
        }
        if constexpr (std::is_same_v<Pixel, float>) {
            offsets_ = variance::queue_offsets(stack, stream);
            stack_.offsets = offsets_.get();
        }
    }

    void all() {
        if (!square_.empty()) return all_pooled();
        for (std::size_t k = 0; k < footprints_.size(); ++k) {
            if constexpr (std::is_same_v<Pixel, std::uint8_t>) {
                if (whole_) {
                    over<std::uint32_t, false>(k, stack_, 0);
                    continue;
                }
            }
            over<double, false>(k, stack_, 0);
        }
    }

  private:
    void all_pooled() {
        const auto at_once = static_cast<int>(std::clamp<std::size_t>(
            energies_at_once / image_.pixels(), 1, static_cast<std::size_t>(stack_.planes)));
        const Array<float> energy(operation, static_cast<std::size_t>(at_once) * image_.pixels(), stream_);
        if (at_once < stack_.planes) largest_ = Array<float>(operation, image_.pixels(), stream_);
        int held = -1;
        for (std::size_t k = 0; k < footprints_.size(); ++k) {
            for (int z = 0; z < stack_.planes; z += at_once) {
                const int planes = std::min(at_once, stack_.planes - z);
                if (held != z) {
                    const std::size_t skipped = static_cast<std::size_t>(z);
                    const Frames<Pixel> frames{stack_.data + skipped * image_.pixels(),
                                               stack_.offsets == nullptr ? nullptr : stack_.offsets + skipped,
                                               planes, image_};
                    cuda::launch(operation, energies<Pixel>, how<double, false>(planes), square_[0].pieces(),
                                 frames, energy.get());
                    held = z;
                }
                over<double, true>(k, Frames<float>{energy.get(), nullptr, planes, image_}, z);
            }
        }
    }

    /// Footprint k over frames that are the stack's planes from `z` on.
    template <class Sum, bool pooled, class Frame>
    void over(std::size_t k, const Frames<Frame>& frames, int z) {
        float* focus = focus_ + static_cast<std::size_t>(z) * image_.pixels();
        if (footprints_.size() == 1) {
            cuda::launch(operation, measure<Sum, pooled, Frame>, how<Sum, !pooled>(frames.planes),
                         footprints_[k].pieces(), frames, focus, window_);
            return;
        }
        const Choice choice{.noise = noise_,
                            .limit = limits_[k],
                            .index = static_cast<std::uint8_t>(k),
                            .first = k == 0,
                            .last = k + 1 == footprints_.size(),
                            .begins = z == 0,
                            .ends = z + frames.planes == stack_.planes,
                            .largest = largest_.get()};
        cuda::launch(operation, choose<Sum, pooled, Frame>, how<Sum, !pooled>(1), footprints_[k].pieces(),
                     frames, choice, focus, window_);
    }

    template <class Sum, bool squares>
    [[nodiscard]] cuda::Launch how(int planes) const {
        return {.grid = dim3(cuda::blocks(static_cast<std::size_t>(image_.columns), variance::tile_x),
                             cuda::blocks(static_cast<std::size_t>(image_.rows), variance::tile_y),
                             static_cast<unsigned>(std::min(planes, 65535))),
                .block = dim3(threads_x, threads_y),
                .shared_bytes = variance::tile_bytes<Sum, squares>,
                .stream = stream_};
    }

    float* focus_;
    std::uint8_t* window_;
    const float* noise_;
    cudaStream_t stream_;
    Extent image_{};
    Frames<Pixel> stack_{};
    bool whole_ = false;
    std::vector<variance::PlacedFootprint> footprints_, square_;
    std::vector<variance::Limit> limits_;
    Array<double> offsets_;
    Array<float> largest_;
};

template <class Pixel>
void run(DeviceView<const Pixel, 3> stack, DeviceView<float, 3> focus, DeviceView<std::uint8_t, 2> window,
         DeviceView<float, 1> noise, std::span<const Footprint> footprints,
         const AdaptiveVarianceParams& params, Stream stream) {
    variance::check_all(stack, focus, window, footprints.size(), params);
    check::same_shape(operation, "one number", HostView<const float, 1>{nullptr, {1}}, "noise", noise);
    const auto [planes, rows, columns] = stack.shape;
    // Grids have at most 65535 rows of blocks.
    check::that(planes <= 1U << 30 && rows <= 1U << 20 && columns <= 1U << 24, operation,
                "stack is " + check::text(stack.shape) + "; the CUDA kernels take at most 1048576 rows");
    cuda::on_this_device(operation, "stack", stack);
    cuda::on_this_device(operation, "focus", focus);
    cuda::on_this_device(operation, "window", window);
    cuda::on_this_device(operation, "noise", noise);
    Run<Pixel>(stack, focus, window, noise, footprints, params, cuda::stream_of(stream)).all();
}

}  // namespace

void adaptive_variance(DeviceView<const std::uint8_t, 3> stack, DeviceView<float, 3> focus,
                       DeviceView<std::uint8_t, 2> window, DeviceView<float, 1> noise,
                       std::span<const Footprint> footprints, const AdaptiveVarianceParams& params,
                       Stream stream) {
    run(stack, focus, window, noise, footprints, params, stream);
}

void adaptive_variance(DeviceView<const std::uint16_t, 3> stack, DeviceView<float, 3> focus,
                       DeviceView<std::uint8_t, 2> window, DeviceView<float, 1> noise,
                       std::span<const Footprint> footprints, const AdaptiveVarianceParams& params,
                       Stream stream) {
    run(stack, focus, window, noise, footprints, params, stream);
}

void adaptive_variance(DeviceView<const float, 3> stack, DeviceView<float, 3> focus,
                       DeviceView<std::uint8_t, 2> window, DeviceView<float, 1> noise,
                       std::span<const Footprint> footprints, const AdaptiveVarianceParams& params,
                       Stream stream) {
    run(stack, focus, window, noise, footprints, params, stream);
}

}  // namespace lee
