#include "lee/opening.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/footprint_runs.hpp"
#include "common/opening_check.hpp"
#include "common/opening_pixel.hpp"
#include "cuda/runtime.cuh"
#include "cuda/select.cuh"

namespace lee {
namespace {

using cuda::Array;

// A block's output tile, and the keys it sees of a piece of the footprint. Each thread keeps the minima of
// tile_y / threads_y rows and two columns in registers, so that a pair of offsets serves sixteen pixels.
constexpr int threads_x = 32, threads_y = 8;
constexpr int tile_x = 64, tile_y = 64;
constexpr int columns_a_thread = tile_x / threads_x, rows_a_thread = tile_y / threads_y;
constexpr int widest_piece = 47;
constexpr int pitch = tile_x + widest_piece - 1;
constexpr int steps = 6;  // runs are covered by two windows of 2^0 ... 2^5 pixels
static_assert(pitch * (tile_y + widest_piece - 1) * sizeof(std::int32_t) <= 48U << 10);
static_assert(widest_piece < 1 << steps);

/// A part of a footprint that fits the tile: its corner relative to the pixel, what it reaches over, and
/// where its runs end in the list of offsets, by the size of the window that covers them.
struct Piece {
    int dy, dx, rows, columns;
    int first, end[steps];
};

/// Where the two windows begin that cover a run, in the tile's memory.
struct Offsets {
    int a, b;
};

struct Plan {
    std::vector<Piece> pieces;
    std::vector<Offsets> offsets;
};

Plan plan_of(const FootprintRuns& footprint) {
    Plan plan;
    const auto height = static_cast<int>(footprint.row_of.size());
    const auto dy_min = static_cast<int>(footprint.dy_min), dx_min = static_cast<int>(footprint.dx_min),
               dx_max = static_cast<int>(footprint.dx_max);
    for (int row = 0; row < height; row += widest_piece) {
        for (int dx = dx_min; dx <= dx_max; dx += widest_piece) {
            Piece piece{.dy = dy_min + row,
                        .dx = dx,
                        .rows = std::min(widest_piece, height - row),
                        .columns = std::min(widest_piece, dx_max + 1 - dx),
                        .first = static_cast<int>(plan.offsets.size()),
                        .end = {}};
            for (int step = 0; step < steps; ++step) {
                for (int r = 0; r < piece.rows; ++r) {
                    const int distinct = footprint.row_of[static_cast<std::size_t>(row + r)];
                    if (distinct < 0) continue;
                    for (const Run& run : footprint.rows[static_cast<std::size_t>(distinct)]) {
                        const int from = std::max(static_cast<int>(run.dx), dx);
                        const int to = std::min(static_cast<int>(run.dx + run.length), dx + piece.columns);
                        if (to <= from ||
                            std::bit_width(static_cast<unsigned>(to - from)) != std::bit_width(1U << step))
                            continue;
                        const int a = r * pitch + from - dx;
                        plan.offsets.push_back({.a = a, .b = a + (to - from) - (1 << step)});
                    }
                }
                piece.end[step] = static_cast<int>(plan.offsets.size());
            }
            if (piece.end[steps - 1] > piece.first) plan.pieces.push_back(piece);
        }
    }
    return plan;
}

struct Extent {
    int rows, columns;
};

/// Least key over a footprint at every pixel: read(at) gives the key of a pixel, take(y, x, key) gets it.
template <class Read, class Take>
__global__ void __launch_bounds__(threads_x* threads_y)
    minimum(const Piece* pieces, int count, const Offsets* offsets, Extent image, Read read, Take take) {
    __shared__ std::int32_t keys[pitch * (tile_y + widest_piece - 1)];
    const int lane = static_cast<int>(threadIdx.x), row = static_cast<int>(threadIdx.y);
    const int left = static_cast<int>(blockIdx.x) * tile_x, top = static_cast<int>(blockIdx.y) * tile_y;
    std::int32_t least[rows_a_thread][columns_a_thread];
    for (auto& of_row : least) {
        for (auto& value : of_row) value = morphology::absent;
    }
    for (int p = 0; p < count; ++p) {
        const Piece piece = pieces[p];
        const int rows = tile_y + piece.rows - 1, columns = tile_x + piece.columns - 1;
        __syncthreads();
        // A row belongs to one warp, here and where windows are doubled.
        for (int r = row; r < rows; r += threads_y) {
            const int y = top + piece.dy + r;
            for (int c = lane; c < columns; c += threads_x) {
                const int x = left + piece.dx + c;
                const bool inside = y >= 0 && y < image.rows && x >= 0 && x < image.columns;
                keys[r * pitch + c] =
                    inside ? read(static_cast<std::size_t>(y) * static_cast<std::size_t>(image.columns) +
                                  static_cast<std::size_t>(x))
                           : morphology::absent;
            }
        }
        int from = piece.first;
        for (int step = 0; step < steps && from < piece.end[steps - 1]; ++step) {
            if (step > 0) {
                // Windows twice as wide, in place: chunk by chunk from the left, read before it is written.
                const int half = 1 << (step - 1);
                __syncthreads();
                for (int r = row; r < rows; r += threads_y) {
                    for (int c = lane; c - lane < columns; c += threads_x) {
                        const bool inside = c + half < columns;
                        std::int32_t key = 0;
                        if (inside) key = min(keys[r * pitch + c], keys[r * pitch + c + half]);
                        __syncwarp();
                        if (inside) keys[r * pitch + c] = key;
                        __syncwarp();
                    }
                }
            }
            __syncthreads();
            for (; from < piece.end[step]; ++from) {
                const Offsets at = offsets[from];
                const std::int32_t *a = keys + at.a + row * pitch + lane,
                                   *b = keys + at.b + row * pitch + lane;
#pragma unroll
                for (int i = 0; i < rows_a_thread; ++i) {
#pragma unroll
                    for (int j = 0; j < columns_a_thread; ++j) {
                        const int k = i * threads_y * pitch + j * threads_x;
                        least[i][j] = min(least[i][j], min(a[k], b[k]));
                    }
                }
            }
        }
    }
#pragma unroll
    for (int i = 0; i < rows_a_thread; ++i) {
#pragma unroll
        for (int j = 0; j < columns_a_thread; ++j) {
            const int y = top + i * threads_y + row, x = left + j * threads_x + lane;
            if (y < image.rows && x < image.columns) take(y, x, least[i][j]);
        }
    }
}

struct ReadHeights {
    const float* height;
    std::int32_t flip;
    __device__ std::int32_t operator()(std::size_t at) const { return morphology::key_of(height[at], flip); }
};

struct ReadComplements {
    const std::int32_t* keys;
    __device__ std::int32_t operator()(std::size_t at) const { return ~keys[at]; }
};

__device__ inline std::size_t offset_of(int y, int x, Extent image) {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(image.columns) +
           static_cast<std::size_t>(x);
}

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

/// How far an outlier stands out: everywhere the same, or one value a tile, interpolated.
struct Limits {
    const double* of_tile;  // null: everywhere the same
    int rows, columns;
    float everywhere;

    __device__ float at(int y, int x) const {
        if (of_tile == nullptr) return everywhere;
        constexpr int tile = morphology::limit_tile;
        if (rows * columns == 1) return static_cast<float>(of_tile[0]);
        const double place = fmax((static_cast<double>(y) + 0.5) / tile - 0.5, 0.0);
        const int above = min(static_cast<int>(place), rows - 1);
        const double down = place - static_cast<double>(above);
        const double* upper = of_tile + above * columns;
        const double* lower = of_tile + min(above + 1, rows - 1) * columns;
        const int passed = (x + tile / 2) / tile;
        const int before = passed == 0 ? 0 : passed - 1;
        const double value = upper[before] + down * (lower[before] - upper[before]);
        double rise = 0.0;
        if (passed > 0 && passed < columns) {
            rise = upper[passed] + down * (lower[passed] - upper[passed]) - value;
        }
        return morphology::limit_between(value, rise, before, x);
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

/// The residue upper - lower at every `step`th pixel of a part of the image, as keys in order.
struct Residue {
    const float *upper, *lower;
    int columns, top, left, across, step;  // `across` samples in a row
    float centre;
    bool distance;  // from the centre

    __device__ bool operator()(std::uint32_t i, std::uint32_t& key) const {
        const int y = top + static_cast<int>(i) / across * step,
                  x = left + static_cast<int>(i) % across * step;
        const std::size_t at =
            static_cast<std::size_t>(y) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(x);
        const float value = upper[at] - lower[at];
        const float sample = distance ? fabsf(value - centre) : value;
        key = static_cast<std::uint32_t>(morphology::ordered(__builtin_bit_cast(std::int32_t, sample))) ^
              0x80000000U;
        return morphology::finite(value);
    }
};

__device__ inline float value_of(std::uint32_t key) {
    return __builtin_bit_cast(float, morphology::ordered(static_cast<std::int32_t>(key ^ 0x80000000U)));
}

__device__ double find_limit(Residue residue, std::uint32_t samples, std::uint32_t count, float factor) {
    // The lower median: an element of the sample, so that no rounding enters.
    const std::uint32_t middle = (count - 1) / 2;
    residue.distance = false;
    residue.centre = value_of(cuda::select_key<std::uint32_t>(samples, middle, residue));
    residue.distance = true;
    const float deviation = value_of(cuda::select_key<std::uint32_t>(samples, middle, residue));
    return morphology::limit_of(residue.centre, deviation, factor);
}

__device__ inline int samples_along(int extent, int step) {
    return (extent + step - 1) / step;
}

/// One block a tile; NaN where too few pixels are measured.
__global__ void limits_of_tiles(const float* upper, const float* lower, Extent image, int step, float factor,
                                double* limits) {
    constexpr int tile = morphology::limit_tile;
    const int top = static_cast<int>(blockIdx.y) * tile, left = static_cast<int>(blockIdx.x) * tile;
    const int across = samples_along(min(tile, image.columns - left), step);
    const auto samples =
        static_cast<std::uint32_t>(across * samples_along(min(tile, image.rows - top), step));
    const Residue residue{upper, lower, image.columns, top, left, across, step, 0.0F, false};
    const std::uint32_t count = cuda::count_samples<std::uint32_t>(samples, residue);
    double limit = __builtin_nan("");
    if (count >= morphology::limit_few) limit = find_limit(residue, samples, count, factor);
    if (threadIdx.x == 0) limits[blockIdx.y * gridDim.x + blockIdx.x] = limit;
}

/// One block: the limit of the whole image for tiles that have none of their own.
__global__ void fill_limits(const float* upper, const float* lower, Extent image, int step, float factor,
                            double* limits, int tiles) {
    int missing = 0;
    for (int i = static_cast<int>(threadIdx.x); i < tiles; i += static_cast<int>(blockDim.x)) {
        missing |= limits[i] == limits[i] ? 0 : 1;
    }
    if (__syncthreads_or(missing) == 0) return;
    // Tile by tile the samples lie as here: a tile holds whole steps.
    const int across = samples_along(image.columns, step);
    const auto samples = static_cast<std::uint32_t>(across * samples_along(image.rows, step));
    const Residue residue{upper, lower, image.columns, 0, 0, across, step, 0.0F, false};
    const std::uint32_t count = cuda::count_samples<std::uint32_t>(samples, residue);
    // Without any measured pixel there is nothing to remove.
    double overall = __builtin_inf();
    if (count > 0) overall = find_limit(residue, samples, count, factor);
    for (int i = static_cast<int>(threadIdx.x); i < tiles; i += static_cast<int>(blockDim.x)) {
        if (!(limits[i] == limits[i])) limits[i] = overall;
    }
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
        // Nothing reads `out` any more when the second half of the closing hands over its pixels.
        task.open(-1, out.data, take);
        return;
    }
    task.open(-1, out.data, TakeHeights{opened.get(), task.image, 0});
    take.pits = task.limits(opened.get(), out.data, params.mad_factor, pit_memory);
    task.each(opened.get(), take);
}

}  // namespace lee
