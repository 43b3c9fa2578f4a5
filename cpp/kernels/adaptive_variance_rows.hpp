#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "common/aligned.hpp"
#include "common/footprint_runs.hpp"
#include "kernels/adaptive_variance_sums.hpp"
#include "kernels/simd/adaptive_variance.hpp"

namespace lee {

/// Rows y0 to y1 - 1 and columns x0 to x1 - 1.
struct Box {
    std::ptrdiff_t y0, y1, x0, x1;

    [[nodiscard]] std::size_t columns() const { return static_cast<std::size_t>(x1 - x0); }
    [[nodiscard]] std::size_t rows() const { return static_cast<std::size_t>(y1 - y0); }
    /// What a footprint can reach from here, within `other`.
    [[nodiscard]] Box reach(const FootprintRuns& runs, const Box& other) const {
        return {std::max(y0 + runs.dy_min, other.y0), std::min(y1 + runs.dy_max(), other.y1),
                std::max(x0 + runs.dx_min, other.x0), std::min(x1 + runs.dx_max, other.x1)};
    }
};

/// Pixels of a box of the image; data points at its first.
template <class Pixel>
struct Piece {
    const Pixel* data;
    std::size_t stride;
    Box box;

    [[nodiscard]] const Pixel* at(std::ptrdiff_t y, std::ptrdiff_t x) const {
        return data + static_cast<std::size_t>(y - box.y0) * stride + static_cast<std::size_t>(x - box.x0);
    }
};

/// Sums of values, of squares and of the number of present pixels over one footprint, row by row.
template <class Pixel, class Sum>
class WindowRows {
  public:
    WindowRows(const FootprintRuns& runs, std::size_t columns, bool squares,
               const simd::AdaptiveVarianceLoops& loops);

    /// Call take(y, sums, squares, counts) for every row of `out`, at most `columns` wide; of pixels less
    /// `offset`. The piece holds whatever the footprint reaches within the image.
    template <class Take>
    void run(const Piece<Pixel>& piece, const Box& out, const Box& image, double offset, const Take& take) {
        const Box reach = out.reach(runs_, image);
        const bool any_absent = has_absent(piece, reach);
        values_.restart(out.y0);
        squares_.restart(out.y0);
        present_.restart(out.y0);
        counted_ = false;
        for (std::ptrdiff_t y = out.y0 + runs_.dy_min; y < out.y0 + runs_.dy_max(); ++y) {
            load(piece, reach, out, y, offset, any_absent);
        }
        for (std::ptrdiff_t y = out.y0; y < out.y1; ++y) {
            load(piece, reach, out, y + runs_.dy_max(), offset, any_absent);
            values_.sums(y, sum_.get());
            if (with_squares_) squares_.sums(y, square_.get());
            if (any_absent) {
                present_.sums(y, count_.get());
            } else {
                count_all(y, out, image);
            }
            take(y, sum_.get(), square_.get(), count_.get());
        }
    }

  private:
    bool has_absent(const Piece<Pixel>& piece, const Box& reach);
    void load(const Piece<Pixel>& piece, const Box& reach, const Box& out, std::ptrdiff_t y, double offset,
              bool any_absent);
    void count_all(std::ptrdiff_t y, const Box& out, const Box& image);

    const FootprintRuns& runs_;
    const simd::AdaptiveVarianceLoops& loops_;
    bool with_squares_;
    bool counted_ = false;
    std::size_t inputs_;
    WindowSums<Sum> values_, squares_;
    WindowSums<std::uint32_t> present_;
    AlignedArray<Sum> sum_, square_;
    AlignedArray<std::uint32_t> count_, flags_;
};

}  // namespace lee
