#pragma once

// Least keys over a footprint of any shape, a tile in shared memory at a time.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "common/footprint_runs.hpp"
#include "common/opening_pixel.hpp"
#include "cuda/runtime.cuh"

namespace lee {
namespace {

// A block's output tile, and the keys of a piece of the footprint that it needs. Each thread keeps the minima
// of tile_y / threads_y rows and two columns in registers, so that a pair of offsets serves sixteen pixels.
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

__device__ inline std::size_t offset_of(int y, int x, Extent image) {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(image.columns) +
           static_cast<std::size_t>(x);
}

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

}  // namespace
}  // namespace lee
