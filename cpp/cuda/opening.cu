#include "lee/opening.hpp"

#include <cmath>
#include <cstdint>
#include <limits>

#include "common/opening_check.hpp"
#include "cuda/opening_limits.cuh"
#include "cuda/opening_minimum.cuh"
#include "cuda/runtime.cuh"

namespace lee {
namespace {

using cuda::Array;

struct ReadHeights {
    const float* height;
    std::int32_t flip;
    __device__ std::int32_t operator()(std::size_t at) const { return morphology::key_of(height[at], flip); }
};

struct ReadComplements {
    const std::int32_t* keys;
    __device__ std::int32_t operator()(std::size_t at) const { return ~keys[at]; }
};

struct TakeKeys {
    std::int32_t* out;
    Extent image;
    __device__ void operator()(int y, int x, std::int32_t key) const { out[offset_of(y, x, image)] = key; }
};

struct TakeHeights {
    float* out;
    Extent image;
    std::int32_t flip;
    __device__ void operator()(int y, int x, std::int32_t key) const {
        out[offset_of(y, x, image)] = morphology::height_of(key, flip);
    }
};

struct TakeMeasured {
    const float* height;
    float* out;
    Extent image;
    std::int32_t flip;
    __device__ void operator()(int y, int x, std::int32_t key) const {
        const std::size_t at = offset_of(y, x, image);
        out[at] = morphology::measured(height[at], morphology::height_of(key, flip));
    }
};

struct TakePeaks {
    const float* height;
    float* out;
    std::int8_t* removed;
    Extent image;
    Limits limits;

    __device__ void operator()(int y, int x, float opened) const {
        const std::size_t at = offset_of(y, x, image);
        const bool peak = morphology::is_peak(height[at], opened, limits.at(y, x));
        out[at] = peak ? opened : height[at];
        removed[at] = peak ? 1 : 0;
    }
    __device__ void operator()(int y, int x, std::int32_t key) const {
        (*this)(y, x, morphology::height_of(key, -1));
    }
};

struct TakePits {
    const float* height;
    float* out;
    std::int8_t* removed;
    Extent image;
    Limits pits, peaks;

    __device__ void operator()(int y, int x, float closed) const {
        const std::size_t at = offset_of(y, x, image);
        const auto settled =
            morphology::settle(height[at], closed, pits.at(y, x), peaks.at(y, x), out[at], removed[at]);
        out[at] = settled.height;
        removed[at] = settled.removed;
    }
    __device__ void operator()(int y, int x, std::int32_t key) const {
        (*this)(y, x, morphology::height_of(key, 0));
    }
};

/// take(y, x, opened) at every pixel.
template <class Take>
__global__ void take_each(const float* opened, Extent image, Take take) {
    const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), y = static_cast<int>(blockIdx.y);
    if (x < image.columns) take(y, x, opened[offset_of(y, x, image)]);
}

struct Footprints {
    Array<Piece> pieces;
    Array<Offsets> offsets;
    int count;
};

class Task {
  public:
    Task(const char* operation, const DeviceView<const float, 2>& height, const DeviceView<float, 2>& out,
         const Footprint& footprint, Stream stream)
        : operation_(operation), stream_(cuda::stream_of(stream)) {
        check::not_empty(operation, "height", height);
        check::same_shape(operation, "height", height, "out", out);
        const auto [rows, columns] = height.shape;
        // Grids have at most 65535 rows of blocks.
        check::that(rows <= 65535 && columns <= 1U << 24, operation,
                    "height is " + check::text(height.shape) + "; the CUDA kernels take at most 65535 rows");
        cuda::on_this_device(operation, "height", height);
        cuda::on_this_device(operation, "out", out);
        image = {static_cast<int>(rows), static_cast<int>(columns)};
        forth_ = upload(footprint_runs(operation, footprint, rows, columns, false));
        back_ = upload(footprint_runs(operation, footprint, rows, columns, true));
    }

    /// Minimum (flip 0) or maximum (flip -1) over the footprint, mirrored or not.
    void extremum(bool mirrored, std::int32_t flip, const float* height, float* out) {
        launch_minimum(mirrored ? back_ : forth_, ReadHeights{height, flip}, TakeHeights{out, image, flip});
    }

    /// Opening (flip 0) or closing (flip -1) of `height`.
    template <class Take>
    void open(std::int32_t flip, const float* height, const Take& take) {
        if (eroded_.get() == nullptr) eroded_ = Array<std::int32_t>(operation_, pixels(), stream_);
        launch_minimum(forth_, ReadHeights{height, flip}, TakeKeys{eroded_.get(), image});
        launch_minimum(back_, ReadComplements{eroded_.get()}, take);
    }

    template <class Take>
    void each(const float* opened, const Take& take) {
        cuda::launch(operation_, take_each<Take>,
                     {.grid = dim3(cuda::blocks(static_cast<std::size_t>(image.columns), 256),
                                   static_cast<unsigned>(image.rows)),
                      .block = dim3(256),
                      .stream = stream_},
                     opened, image, take);
    }

    Limits limits(const float* upper, const float* lower, float factor, Array<double>& memory) {
        const unsigned down = cuda::blocks(static_cast<std::size_t>(image.rows), morphology::limit_tile);
        const unsigned across = cuda::blocks(static_cast<std::size_t>(image.columns), morphology::limit_tile);
        const int step = morphology::limit_step(static_cast<double>(pixels()));
        memory = Array<double>(operation_, std::size_t{down} * across, stream_);
        cuda::launch(operation_, limits_of_tiles,
                     {.grid = dim3(across, down), .block = dim3(256), .stream = stream_}, upper, lower, image,
                     step, factor, memory.get());
        cuda::launch(operation_, fill_limits, {.grid = dim3(1), .block = dim3(1024), .stream = stream_},
                     upper, lower, image, step, factor, memory.get(), static_cast<int>(down * across));
        return {memory.get(), static_cast<int>(down), static_cast<int>(across), 0.0F};
    }

    [[nodiscard]] std::size_t pixels() const {
        return static_cast<std::size_t>(image.rows) * static_cast<std::size_t>(image.columns);
    }
    [[nodiscard]] Array<float> new_map() const { return Array<float>(operation_, pixels(), stream_); }
    [[nodiscard]] cudaStream_t stream() const { return stream_; }

    Extent image{};

  private:
    Footprints upload(const FootprintRuns& runs) {
        const Plan plan = plan_of(runs);
        return {cuda::upload(operation_, plan.pieces.data(), plan.pieces.size(), stream_),
                cuda::upload(operation_, plan.offsets.data(), plan.offsets.size(), stream_),
                static_cast<int>(plan.pieces.size())};
    }

    template <class Read, class Take>
    void launch_minimum(const Footprints& footprint, const Read& read, const Take& take) {
        cuda::launch(operation_, minimum<Read, Take>,
                     {.grid = dim3(cuda::blocks(static_cast<std::size_t>(image.columns), tile_x),
                                   cuda::blocks(static_cast<std::size_t>(image.rows), tile_y)),
                      .block = dim3(threads_x, threads_y),
                      .stream = stream_},
                     footprint.pieces.get(), footprint.count, footprint.offsets.get(), image, read, take);
    }

    const char* operation_;
    cudaStream_t stream_;
    Footprints forth_{}, back_{};
    Array<std::int32_t> eroded_;
};

void copy(const char* operation, void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
    cuda::expect(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream), operation);
}

}  // namespace

void flat_morphology(Flat operation, DeviceView<const float, 2> height, DeviceView<float, 2> out,
                     const Footprint& footprint, Stream stream) {
    Task task("flat_morphology", height, out, footprint, stream);
    switch (operation) {
        case Flat::erosion:
            return task.extremum(false, 0, height.data, out.data);
        case Flat::dilation:
            return task.extremum(true, -1, height.data, out.data);
        case Flat::opening:
            return task.open(0, height.data, TakeMeasured{height.data, out.data, task.image, -1});
        case Flat::closing:
            return task.open(-1, height.data, TakeMeasured{height.data, out.data, task.image, 0});
    }
}

void opening(DeviceView<const float, 2> height, DeviceView<float, 2> out, DeviceView<std::int8_t, 2> removed,
             const Footprint& footprint, const OpeningParams& params, Stream stream) {
    constexpr const char* name = "opening";
    Task task(name, height, out, footprint, stream);
    check::same_shape(name, "height", height, "removed", removed);
    cuda::on_this_device(name, "removed", removed);
    check::opening_params(params);
    const bool automatic = std::isnan(params.threshold);
    const Limits given{nullptr, 0, 0, params.threshold};
    Limits peaks{nullptr, 0, 0, std::numeric_limits<float>::infinity()};
    Array<double> peak_memory, pit_memory;
    Array<float> opened;
    if (automatic) opened = task.new_map();
    const TakeHeights as_opened{opened.get(), task.image, -1};
    if (!params.peaks) {
        copy(name, out.data, height.data, height.size() * sizeof(float), task.stream());
        cuda::expect(cudaMemsetAsync(removed.data, 0, removed.size(), task.stream()), name);
    } else if (automatic) {
        task.open(0, height.data, as_opened);
        peaks = task.limits(height.data, opened.get(), params.mad_factor, peak_memory);
        task.each(opened.get(), TakePeaks{height.data, out.data, removed.data, task.image, peaks});
    } else {
        peaks = given;
        task.open(0, height.data, TakePeaks{height.data, out.data, removed.data, task.image, peaks});
    }
    if (!params.pits) return;
    TakePits take{height.data, out.data, removed.data, task.image, given, peaks};
    if (!automatic) {
        // Nothing reads `out` any more when the second half of the closing writes its pixels.
        task.open(-1, out.data, take);
        return;
    }
    task.open(-1, out.data, TakeHeights{opened.get(), task.image, 0});
    take.pits = task.limits(opened.get(), out.data, params.mad_factor, pit_memory);
    task.each(opened.get(), take);
}

}  // namespace lee
