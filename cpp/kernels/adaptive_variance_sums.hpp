#pragma once

#include <cstddef>
#include <vector>

#include "common/aligned.hpp"
#include "common/footprint_runs.hpp"
#include "kernels/simd/adaptive_variance.hpp"

namespace lee {

/// Sums of one quantity over a footprint, for `columns` neighbouring pixels of one row after the other.
///
/// Where a footprint moves one pixel to the right, each of its runs gains a pixel and loses one. These gains
/// and losses are added up over its rows for all columns at once; one running sum along the row does the
/// rest. Neighbouring rows with equal runs are summed along y first, so that a rectangle costs the same
/// whatever its size. All state is a few rows of `columns` and the footprint's width: it stays in the nearest
/// cache.
template <class Sum>
class WindowSums {
  public:
    WindowSums(const FootprintRuns& runs, std::size_t columns, const simd::SumLoops<Sum>& loops);

    /// Begin above row `first`, with no row read yet.
    void restart(std::ptrdiff_t first);

    /// Elements of an input row: pixels dx_min to dx_max + columns - 1 from the first output pixel.
    [[nodiscard]] std::size_t input_columns() const noexcept { return columns_ + span_; }

    /// Where to write row y, rising by one with every call; the first is `first` + dy_min. What is not in the
    /// image must be written as 0.
    Sum* row(std::ptrdiff_t y);

    /// out[0 ... columns) for row y, when all rows up to y + dy_max are written.
    void sums(std::ptrdiff_t y, Sum* out);

  private:
    struct Tap {
        std::ptrdiff_t line;  // row relative to the output's, or band
        bool of_band;
        std::size_t plus, minus;  // elements from a line's beginning
    };
    struct Band {  // rows dy_first ... dy_last with equal runs, summed along y
        std::ptrdiff_t dy_first, dy_last;
    };

    void find_taps(const FootprintRuns& runs);
    void advance_bands(std::ptrdiff_t y);
    [[nodiscard]] Sum* line(std::ptrdiff_t y) const;
    [[nodiscard]] Sum* band(std::size_t index) const;

    const simd::SumLoops<Sum>& loops_;
    std::size_t columns_, span_;  // span: width of the footprint less one
    std::size_t margin_, stride_;
    std::ptrdiff_t dy_min_, dy_max_, ring_, first_ = 0;
    bool fresh_ = true;
    std::vector<Tap> taps_;
    std::vector<Band> bands_;
    std::vector<const Sum*> plus_, minus_;
    AlignedArray<Sum> memory_;  // ring of rows, bands, one row of differences
    Sum* differences_;
};

extern template class WindowSums<std::uint32_t>;
extern template class WindowSums<double>;

}  // namespace lee
