#include "kernels/adaptive_variance_rows.hpp"

namespace lee {
namespace {

template <class Pixel, class Sum>
void convert(const simd::AdaptiveVarianceLoops& loops, const Pixel* pixel, double offset, Sum* value,
             Sum* square, std::size_t n) {
    if constexpr (std::is_same_v<Pixel, float>) {
        loops.load_float(pixel, offset, value, square, n);
    } else if constexpr (std::is_same_v<Pixel, std::uint16_t>) {
        loops.load_16(pixel, value, square, n);
    } else if constexpr (std::is_same_v<Sum, double>) {
        loops.load_8_real(pixel, value, square, n);
    } else {
        loops.load_8(pixel, value, square, n);
    }
}

template <class Sum>
const simd::SumLoops<Sum>& sum_loops(const simd::AdaptiveVarianceLoops& loops) {
    if constexpr (std::is_same_v<Sum, double>) {
        return loops.real;
    } else {
        return loops.whole;
    }
}

template <class T>
void clear_outside(T* row, std::size_t begin, std::size_t end, std::size_t n) {
    std::fill(row, row + begin, T{0});
    std::fill(row + end, row + n, T{0});
}

}  // namespace

template <class Pixel, class Sum>
WindowRows<Pixel, Sum>::WindowRows(const FootprintRuns& runs, std::size_t columns, bool squares,
                                   const simd::AdaptiveVarianceLoops& loops)
    : runs_(runs),
      loops_(loops),
      with_squares_(squares),
      values_(runs, columns, sum_loops<Sum>(loops)),
      squares_(runs, squares ? columns : 1, sum_loops<Sum>(loops)),
      present_(runs, std::is_same_v<Pixel, float> ? columns : 1, loops.whole),
      sum_(aligned_array<Sum>(columns)),
      square_(aligned_array<Sum>(columns)),
      count_(aligned_array<std::uint32_t>(columns)),
      flags_(aligned_array<std::uint32_t>(values_.input_columns())) {
    inputs_ = values_.input_columns();
}

template <class Pixel, class Sum>
bool WindowRows<Pixel, Sum>::has_absent(const Piece<Pixel>& piece, const Box& reach) {
    if constexpr (std::is_same_v<Pixel, float>) {
        if (reach.x0 >= reach.x1) return false;
        for (std::ptrdiff_t y = reach.y0; y < reach.y1; ++y) {
            if (!loops_.presence(piece.at(y, reach.x0), flags_.get(), reach.columns())) return true;
        }
    }
    return false;
}

template <class Pixel, class Sum>
void WindowRows<Pixel, Sum>::load(const Piece<Pixel>& piece, const Box& reach, const Box& out,
                                  std::ptrdiff_t y, double offset, bool any_absent) {
    Sum* value = values_.row(y);
    Sum* square = with_squares_ ? squares_.row(y) : nullptr;
    std::size_t begin = 0, end = 0;
    if (y >= reach.y0 && y < reach.y1 && reach.x0 < reach.x1) {
        begin = static_cast<std::size_t>(reach.x0 - (out.x0 + runs_.dx_min));
        end = begin + reach.columns();
        const Pixel* pixel = piece.at(y, reach.x0);
        convert(loops_, pixel, offset, value + begin, with_squares_ ? square + begin : nullptr, end - begin);
        if constexpr (std::is_same_v<Pixel, float>) {
            if (any_absent) (void)loops_.presence(pixel, present_.row(y) + begin, end - begin);
        }
    }
    clear_outside(value, begin, end, inputs_);
    if (with_squares_) clear_outside(square, begin, end, inputs_);
    if (any_absent) clear_outside(present_.row(y), begin, end, inputs_);
}

template <class Pixel, class Sum>
void WindowRows<Pixel, Sum>::count_all(std::ptrdiff_t y, const Box& out, const Box& image) {
    const bool whole = y + runs_.dy_min >= image.y0 && y + runs_.dy_max() < image.y1;
    if (whole && counted_) return;
    counted_ = whole;
    std::fill_n(count_.get(), out.columns(), 0U);
    for (std::size_t step = 0; step < runs_.row_of.size(); ++step) {
        const std::ptrdiff_t row = y + runs_.dy_min + static_cast<std::ptrdiff_t>(step);
        if (runs_.row_of[step] < 0 || row < image.y0 || row >= image.y1) continue;
        for (const Run& run : runs_.rows[static_cast<std::size_t>(runs_.row_of[step])]) {
            for (std::ptrdiff_t x = out.x0; x < out.x1; ++x) {
                const std::ptrdiff_t from = std::max(x + run.dx, image.x0);
                const std::ptrdiff_t to = std::min(x + run.dx + run.length, image.x1);
                count_[static_cast<std::size_t>(x - out.x0)] +=
                    static_cast<std::uint32_t>(std::max(to - from, std::ptrdiff_t{0}));
            }
        }
    }
}

template class WindowRows<std::uint8_t, std::uint32_t>;
template class WindowRows<std::uint8_t, double>;
template class WindowRows<std::uint16_t, double>;
template class WindowRows<float, double>;

}  // namespace lee
