#include "kernels/adaptive_variance_sums.hpp"

#include <algorithm>

namespace lee {
namespace {

// Fewer equal rows are cheaper to add one by one than to keep summed.
constexpr std::ptrdiff_t rows_of_a_band = 4;

std::size_t rounded_up(std::size_t elements) {
    return (elements + simd::slack - 1) / simd::slack * simd::slack;
}

}  // namespace

template <class Sum>
WindowSums<Sum>::WindowSums(const FootprintRuns& runs, std::size_t columns, const simd::SumLoops<Sum>& loops)
    : loops_(loops),
      columns_(columns),
      span_(static_cast<std::size_t>(runs.dx_max - runs.dx_min)),
      margin_(span_ + 1),
      stride_(rounded_up(margin_ + columns + span_ + simd::slack)),
      dy_min_(runs.dy_min),
      dy_max_(runs.dy_max()),
      ring_(dy_max_ - dy_min_ + 2) {
    find_taps(runs);
    plus_.resize(taps_.size());
    minus_.resize(taps_.size());
    const std::size_t lines = static_cast<std::size_t>(ring_) + bands_.size() + 1;
    memory_ = aligned_array<Sum>(lines * stride_);
    std::fill_n(memory_.get(), lines * stride_, Sum{0});
    differences_ = memory_.get() + (lines - 1) * stride_;
}

template <class Sum>
void WindowSums<Sum>::find_taps(const FootprintRuns& runs) {
    const auto height = static_cast<std::ptrdiff_t>(runs.row_of.size());
    for (std::ptrdiff_t begin = 0, end = 0; begin < height; begin = end) {
        const int kind = runs.row_of[static_cast<std::size_t>(begin)];
        for (end = begin; end < height && runs.row_of[static_cast<std::size_t>(end)] == kind;) ++end;
        if (kind < 0) continue;
        const bool banded = end - begin >= rows_of_a_band;
        if (banded) bands_.push_back({dy_min_ + begin, dy_min_ + end - 1});
        for (std::ptrdiff_t step = begin; step < (banded ? begin + 1 : end); ++step) {
            for (const Run& run : runs.rows[static_cast<std::size_t>(kind)]) {
                // An output row begins `span` pixels early, where the footprint first touches the input.
                const auto left = static_cast<std::size_t>(run.dx - runs.dx_min);
                taps_.push_back(
                    {.line = banded ? static_cast<std::ptrdiff_t>(bands_.size()) - 1 : dy_min_ + step,
                     .of_band = banded,
                     .plus = margin_ - span_ + left + static_cast<std::size_t>(run.length) - 1,
                     .minus = margin_ - span_ + left - 1});
            }
        }
    }
}

template <class Sum>
Sum* WindowSums<Sum>::line(std::ptrdiff_t y) const {
    return memory_.get() + static_cast<std::size_t>((y - first_ - dy_min_) % ring_) * stride_;
}

template <class Sum>
Sum* WindowSums<Sum>::band(std::size_t index) const {
    return memory_.get() + (static_cast<std::size_t>(ring_) + index) * stride_;
}

template <class Sum>
void WindowSums<Sum>::restart(std::ptrdiff_t first) {
    first_ = first;
    fresh_ = true;
}

template <class Sum>
Sum* WindowSums<Sum>::row(std::ptrdiff_t y) {
    return line(y) + margin_;
}

template <class Sum>
void WindowSums<Sum>::advance_bands(std::ptrdiff_t y) {
    for (std::size_t k = 0; k < bands_.size(); ++k) {
        const Band& rows = bands_[k];
        if (!fresh_) {
            loops_.slide(line(y + rows.dy_last) + margin_, line(y + rows.dy_first - 1) + margin_,
                         band(k) + margin_, input_columns());
            continue;
        }
        Sum* sums = band(k) + margin_;
        std::fill_n(sums, input_columns(), Sum{0});
        for (std::ptrdiff_t dy = rows.dy_first; dy <= rows.dy_last; ++dy) {
            const Sum* from = line(y + dy) + margin_;
            for (std::size_t i = 0; i < input_columns(); ++i) sums[i] += from[i];
        }
    }
    fresh_ = false;
}

template <class Sum>
void WindowSums<Sum>::sums(std::ptrdiff_t y, Sum* out) {
    advance_bands(y);
    for (std::size_t k = 0; k < taps_.size(); ++k) {
        const Tap& tap = taps_[k];
        const Sum* from = tap.of_band ? band(static_cast<std::size_t>(tap.line)) : line(y + tap.line);
        plus_[k] = from + tap.plus;
        minus_[k] = from + tap.minus;
    }
    loops_.edges(plus_.data(), minus_.data(), taps_.size(), differences_, columns_ + span_);
    loops_.prefix(differences_, span_, out, columns_);
}

template class WindowSums<std::uint32_t>;
template class WindowSums<double>;

}  // namespace lee
