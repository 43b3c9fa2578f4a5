#pragma once

// Sums over a footprint at the pixels of a tile, by one block.

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "common/adaptive_variance_pixel.hpp"
#include "common/floats.hpp"
#include "common/footprint_runs.hpp"
#include "cuda/runtime.cuh"

namespace lee::variance {

// A block's output tile, three rows of it to a thread, and the widest part of a footprint that it sees at
// once: what they reach is kept in shared memory, in which 64 KB are there on every device.
inline constexpr int threads_x = 32, threads_y = 8;
inline constexpr int rows_a_thread = 3;
inline constexpr int tile_x = threads_x, tile_y = rows_a_thread * threads_y;
inline constexpr int widest_piece = 33;
inline constexpr int max_columns = tile_x + widest_piece - 1, max_rows = tile_y + widest_piece - 1;
// Odd: threads that go along neighbouring rows do not wait for each other's banks.
inline constexpr int pitch = max_columns + 1;
inline constexpr int cells = pitch * max_rows;
// A row is summed up in so many segments side by side, each by a thread.
inline constexpr int segments = 4, rows_side_by_side = threads_x * threads_y / segments;
inline constexpr int segment = (max_columns + segments - 1) / segments;
static_assert(max_rows <= rows_side_by_side && pitch % 2 == 1);
static_assert(cells <= UINT16_MAX && max_columns <= UINT8_MAX);

/// A part of a footprint: its corner relative to the pixel, its extents, how many pixels of it are set, and
/// the place of its runs in the list.
struct Piece {
    int dy, dx, rows, columns, area, first, last;
};

/// Where a run's sum is read from the sums along rows: at `to` less at `from`, relative to the pixel's.
struct Ends {
    std::uint16_t from, to;
};

struct Pieces {
    const Piece* pieces;
    int count;
    const Ends* ends;
};

struct Extent {
    int rows, columns;

    [[nodiscard]] LEE_BOTH std::size_t pixels() const {
        return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
    }
    [[nodiscard]] LEE_BOTH std::size_t at(int y, int x) const {
        return static_cast<std::size_t>(y) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(x);
    }
};

/// A footprint's pieces in the device's memory.
class PlacedFootprint {
  public:
    PlacedFootprint(const char* operation, const FootprintRuns& footprint, cudaStream_t stream);

    [[nodiscard]] Pieces pieces() const {
        return {pieces_.get(), static_cast<int>(pieces_.size()), ends_.get()};
    }

  private:
    cuda::Array<Piece> pieces_;
    cuda::Array<Ends> ends_;
};

/// Over the footprints of a thread's pixels (y + i * threads_y, x).
template <class Sum>
struct Sums {
    Sum value[rows_a_thread], square[rows_a_thread];
    std::uint32_t count[rows_a_thread];
};

template <class Sum, bool squares>
inline constexpr std::size_t tile_bytes = std::size_t{cells} * (sizeof(Sum) * (squares ? 2 : 1) + 1);

template <class Pixel>
__device__ bool is_present(Pixel pixel) {
    if constexpr (std::is_same_v<Pixel, float>) return finite(pixel);
    return true;
}

template <class Sum, class Pixel>
__device__ Sum exceeds(Pixel pixel, double offset) {
    if constexpr (std::is_same_v<Pixel, float>) return static_cast<Sum>(pixel) - offset;
    return static_cast<Sum>(pixel);
}

/// Add up what pixels exceed `offset` by, and its square, over the pixels that are there. Sum is
/// std::uint32_t, of 8 bits, or double. Called by all threads of a block with tile_bytes of shared memory.
template <class Sum, bool squares, class Pixel>
__device__ Sums<Sum> add_up(const Pieces& footprint, const Pixel* plane, double offset, Extent image) {
    Sum* const value = cuda::dynamic_shared<Sum>();
    Sum* const square = value + (squares ? cells : 0);
    auto* const present = reinterpret_cast<std::uint8_t*>(square + cells);
    const int lane = static_cast<int>(threadIdx.x), row = static_cast<int>(threadIdx.y);
    const int number = row * threads_x + lane;
    // In the sums along rows: its row, and the columns it adds up.
    const int own = number % rows_side_by_side * pitch, from = number / rows_side_by_side * segment;
    Sums<Sum> sums{};
    for (int p = 0; p < footprint.count; ++p) {
        const Piece piece = footprint.pieces[p];
        const int top = static_cast<int>(blockIdx.y) * tile_y + piece.dy,
                  left = static_cast<int>(blockIdx.x) * tile_x + piece.dx;
        const int rows = tile_y + piece.rows - 1, columns = tile_x + piece.columns - 1;
        if (top >= image.rows || top + rows <= 0 || left >= image.columns || left + columns <= 0) continue;
        __syncthreads();
        int absent = 0;
        for (int r = row; r < rows; r += threads_y) {
            for (int c = lane; c < columns; c += threads_x) {
                const int y = top + r, x = left + c, at = r * pitch + c + 1;
                Pixel pixel{};
                bool here = y >= 0 && y < image.rows && x >= 0 && x < image.columns;
                if (here) {
                    pixel = plane[image.at(y, x)];
                    here = is_present(pixel);
                }
                value[at] = here ? exceeds<Sum>(pixel, offset) : Sum{0};
                present[at] = here ? 1 : 0;
                absent |= here ? 0 : 1;
            }
        }
        const bool any_absent = __syncthreads_or(absent) != 0;
        const bool works = number % rows_side_by_side < rows && from < columns;
        const int to = min(from + segment, columns);
        Sum sum = 0, of_squares = 0;
        std::uint32_t seen = 0;
        for (int at = own + from + 1; works && at <= own + to; ++at) {
            const Sum pixel = value[at];
            value[at] = sum += pixel;
            if (squares) square[at] = of_squares += pixel * pixel;
            if (any_absent) present[at] = static_cast<std::uint8_t>(seen += present[at]);
        }
        __syncthreads();
        sum = of_squares = 0, seen = 0;
        for (int at = own + segment; works && at <= own + from; at += segment) {
            sum += value[at];
            if (squares) of_squares += square[at];
            if (any_absent) seen += present[at];
        }
        __syncthreads();
        for (int at = own + from + 1; works && from > 0 && at <= own + to; ++at) {
            value[at] += sum;
            if (squares) square[at] += of_squares;
            if (any_absent) present[at] = static_cast<std::uint8_t>(present[at] + seen);
        }
        if (works && from == 0) value[own] = square[own] = 0, present[own] = 0;
        __syncthreads();
        for (int k = piece.first; k < piece.last; ++k) {
            const Ends ends = footprint.ends[k];
#pragma unroll
            for (int i = 0; i < rows_a_thread; ++i) {
                const int at = (row + i * threads_y) * pitch + lane;
                sums.value[i] += value[at + ends.to] - value[at + ends.from];
                if (squares) sums.square[i] += square[at + ends.to] - square[at + ends.from];
                if (any_absent) {
                    sums.count[i] +=
                        static_cast<std::uint32_t>(present[at + ends.to] - present[at + ends.from]);
                }
            }
        }
#pragma unroll
        for (int i = 0; i < rows_a_thread; ++i)
            sums.count[i] += any_absent ? 0U : static_cast<unsigned>(piece.area);
    }
    return sums;
}

}  // namespace lee::variance
