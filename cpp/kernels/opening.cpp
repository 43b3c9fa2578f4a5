#include "lee/opening.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "common/aligned.hpp"
#include "common/check.hpp"
#include "common/footprint_runs.hpp"
#include "common/opening_check.hpp"
#include "common/parallel.hpp"
#include "kernels/opening_minimum.hpp"
#include "kernels/opening_scale.hpp"
#include "kernels/simd/opening.hpp"

namespace lee {
namespace {

using TakeHeights = std::function<void(std::size_t y, std::size_t x, std::size_t n, const float* opened)>;
using Row = std::array<float, widest_strip>;

// Rows between prefetching a part of a row and using it.
constexpr std::size_t ahead = 8;

struct Task {
    FootprintRuns forth;  // of the erosion
    FootprintRuns back;   // of the dilation: mirrored
    std::size_t rows;
    std::size_t columns;
    int threads;
    const simd::OpeningLoops& loops = LEE_BEST_ISA(opening_loops);
};

Task checked(const char* operation, const HostView<const float, 2>& height, const HostView<float, 2>& out,
             const Footprint& footprint, int threads) {
    check::not_empty(operation, "height", height);
    check::same_shape(operation, "height", height, "out", out);
    check::threads(operation, threads);
    const auto [rows, columns] = height.shape;
    return {.forth = footprint_runs(operation, footprint, rows, columns, false),
            .back = footprint_runs(operation, footprint, rows, columns, true),
            .rows = rows,
            .columns = columns,
            .threads = threads};
}

// Prefetch the part of a row some rows below this one: strips are too narrow for the processor to foresee it.
template <class T>
void prefetch_below(const Task& task, std::size_t y, std::size_t n, const T* row) {
#if defined(__GNUC__)
    if (y + ahead >= task.rows) return;
    const auto* line = reinterpret_cast<const char*>(row + ahead * task.columns);
    for (std::size_t at = 0; at < n * sizeof(T); at += vector_bytes) __builtin_prefetch(line + at);
#endif
}

// Reads the keys of `height`, complemented where flip is -1.
ReadKeys read_heights(const Task& task, const float* height, std::int32_t flip) {
    return [&task, height, flip](std::size_t y, std::size_t x, std::size_t n, std::int32_t* keys) {
        const float* row = height + y * task.columns + x;
        prefetch_below(task, y, n, row);
        task.loops.encode(row, keys, n, flip);
    };
}

// Minimum (flip 0) or maximum (flip -1) over a footprint; NaN where there is no height.
void extremum(const Task& task, const FootprintRuns& footprint, std::int32_t flip, const float* height,
              const TakeHeights& take) {
    footprint_minimum(
        footprint, task.rows, task.columns, read_heights(task, height, flip),
        [&](std::size_t y, std::size_t x, std::size_t n, const std::int32_t* keys) {
            Row row;
            task.loops.decode(keys, row.data(), n, flip);
            take(y, x, n, row.data());
        },
        task.threads);
}

// Opening (flip 0) or closing (flip -1) of `height`; NaN where no placement of the footprint covers a pixel.
void open(const Task& task, std::int32_t flip, const float* height, const TakeHeights& take) {
    const auto eroded = aligned_array<std::int32_t>(task.rows * task.columns);
    footprint_minimum(
        task.forth, task.rows, task.columns, read_heights(task, height, flip),
        [&](std::size_t y, std::size_t x, std::size_t n, const std::int32_t* keys) {
            std::int32_t* row = eroded.get() + y * task.columns + x;
            prefetch_below(task, y, n, row);
            std::copy_n(keys, n, row);
        },
        task.threads);
    footprint_minimum(
        task.back, task.rows, task.columns,
        [&](std::size_t y, std::size_t x, std::size_t n, std::int32_t* keys) {
            const std::int32_t* row = eroded.get() + y * task.columns + x;
            prefetch_below(task, y, n, row);
            task.loops.complement(row, keys, n);
        },
        [&](std::size_t y, std::size_t x, std::size_t n, const std::int32_t* keys) {
            Row row;
            task.loops.decode(keys, row.data(), n, ~flip);
            take(y, x, n, row.data());
        },
        task.threads);
}

// Remove outliers above the opening; `out` then holds the result.
LocalScale remove_peaks(const Task& task, const float* height, float* out, std::int8_t* removed,
                        const OpeningParams& params) {
    const bool automatic = std::isnan(params.threshold);
    LocalScale scale(params.threshold);
    open(task, 0, height, [&](std::size_t y, std::size_t x, std::size_t n, const float* opened) {
        const std::size_t at = y * task.columns + x;
        prefetch_below(task, y, n, out + at);
        if (automatic) {
            std::copy_n(opened, n, out + at);
        } else {
            prefetch_below(task, y, n, height + at);
            prefetch_below(task, y, n, removed + at);
            Row limit;
            scale.row(y, x, n, limit.data());
            task.loops.take_peaks(height + at, opened, limit.data(), out + at, removed + at, n);
        }
    });
    if (!automatic) return scale;
    scale = LocalScale(height, out, task.rows, task.columns, params.mad_factor, task.threads);
    parallel_for(task.rows, task.threads, [&](std::size_t y, int) {
        for (std::size_t x = 0; x < task.columns; x += widest_strip) {
            const std::size_t n = std::min(widest_strip, task.columns - x);
            const std::size_t at = y * task.columns + x;
            Row limit;
            scale.row(y, x, n, limit.data());
            task.loops.take_peaks(height + at, out + at, limit.data(), out + at, removed + at, n);
        }
    });
    return scale;
}

// Remove outliers below the closing of `out`.
void remove_pits(const Task& task, const float* height, float* out, std::int8_t* removed,
                 const LocalScale& peak_scale, const OpeningParams& params) {
    LocalScale scale(params.threshold);
    const auto settle = [&](std::size_t y, std::size_t x, std::size_t n, const float* closed) {
        const std::size_t at = y * task.columns + x;
        prefetch_below(task, y, n, height + at);
        prefetch_below(task, y, n, out + at);
        prefetch_below(task, y, n, removed + at);
        Row pit_limit;
        Row peak_limit;
        scale.row(y, x, n, pit_limit.data());
        peak_scale.row(y, x, n, peak_limit.data());
        task.loops.take_pits(height + at, closed, pit_limit.data(), peak_limit.data(), out + at, removed + at,
                             n);
    };
    if (!std::isnan(params.threshold)) {
        // Nothing reads `out` any more when the second half of the closing writes its rows.
        open(task, -1, out, settle);
        return;
    }
    const auto closed = aligned_array<float>(task.rows * task.columns);
    open(task, -1, out, [&](std::size_t y, std::size_t x, std::size_t n, const float* row) {
        float* into = closed.get() + y * task.columns + x;
        prefetch_below(task, y, n, into);
        std::copy_n(row, n, into);
    });
    scale = LocalScale(closed.get(), out, task.rows, task.columns, params.mad_factor, task.threads);
    parallel_for(task.rows, task.threads, [&](std::size_t y, int) {
        for (std::size_t x = 0; x < task.columns; x += widest_strip) {
            settle(y, x, std::min(widest_strip, task.columns - x), closed.get() + y * task.columns + x);
        }
    });
}

}  // namespace

void flat_morphology(Flat operation, HostView<const float, 2> height, HostView<float, 2> out,
                     const Footprint& footprint, int threads) {
    const Task task = checked("flat_morphology", height, out, footprint, threads);
    const auto copy = [&](std::size_t y, std::size_t x, std::size_t n, const float* row) {
        std::copy_n(row, n, out.data + y * task.columns + x);
    };
    const auto keep_unmeasured = [&](std::size_t y, std::size_t x, std::size_t n, const float* row) {
        const std::size_t at = y * task.columns + x;
        prefetch_below(task, y, n, height.data + at);
        prefetch_below(task, y, n, out.data + at);
        task.loops.take_measured(height.data + at, row, out.data + at, n);
    };
    switch (operation) {
        case Flat::erosion:
            return extremum(task, task.forth, 0, height.data, copy);
        case Flat::dilation:
            return extremum(task, task.back, -1, height.data, copy);
        case Flat::opening:
            return open(task, 0, height.data, keep_unmeasured);
        case Flat::closing:
            return open(task, -1, height.data, keep_unmeasured);
    }
}

void opening(HostView<const float, 2> height, HostView<float, 2> out, HostView<std::int8_t, 2> removed,
             const Footprint& footprint, const OpeningParams& params) {
    const Task task = checked("opening", height, out, footprint, params.threads);
    check::same_shape("opening", "height", height, "removed", removed);
    check::opening_params(params);
    LocalScale peak_scale(INFINITY);
    if (params.peaks) {
        peak_scale = remove_peaks(task, height.data, out.data, removed.data, params);
    } else {
        std::copy_n(height.data, height.size(), out.data);
        std::fill_n(removed.data, removed.size(), std::int8_t{0});
    }
    if (params.pits) remove_pits(task, height.data, out.data, removed.data, peak_scale, params);
}

}  // namespace lee
