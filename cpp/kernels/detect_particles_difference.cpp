// The difference of two frames, one of them moved over the other, and their smoothed brightness.
#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "common/detect_particles_pixel.hpp"
#include "common/detect_particles_shift.hpp"
#include "common/parallel.hpp"
#include "kernels/detect_particles_state.hpp"

namespace lee::particles {
namespace {

using Loops = simd::DetectParticlesLoops;
using Index = std::ptrdiff_t;

constexpr std::size_t strip_rows = 64;
constexpr Index reach = 2;  // of the smoothing
constexpr float smoothing[] = {smooth_far, smooth_near, smooth_middle, smooth_near, smooth_far};

std::size_t load(const Loops& loops, const std::uint8_t* in, float limit, float* out, std::size_t n) {
    return loops.load_8(in, limit, out, n);
}
std::size_t load(const Loops& loops, const std::uint16_t* in, float limit, float* out, std::size_t n) {
    return loops.load_16(in, limit, out, n);
}
std::size_t load(const Loops& loops, const float* in, float limit, float* out, std::size_t n) {
    return loops.load_float(in, limit, out, n);
}

void repeat_edges(float* row, std::size_t n, std::size_t margin) {
    std::fill_n(row - margin, margin, row[0]);
    std::fill_n(row + n, margin, row[n - 1]);
}

/// Replace NaN by the nearest known value to the left, or else to the right, or 0.
void fill_masked(float* row, std::size_t n) {
    const auto known = std::find_if(row, row + n, [](float value) { return value == value; });
    float last = known == row + n ? 0.0F : *known;
    for (std::size_t i = 0; i < n; ++i) {
        if (row[i] == row[i]) {
            last = row[i];
        } else {
            row[i] = last;
        }
    }
}

/// Rows of an image moved by a shift, with NaN filled; and which pixels come from NaN or from outside the
/// image.
template <class Pixel>
class Moved {
  public:
    Moved(const Loops& loops, HostView<const Pixel, 2> image, const std::array<double, 2>& shift, float limit,
          Index first, Index last)
        : loops_(loops), image_(image), y_(shift[0]), x_(shift[1]), limit_(limit) {
        const auto [rows, columns] = image.shape;
        margin_ = static_cast<std::size_t>(std::abs(x_.first)) + shift_taps;
        padded_ = aligned_array<float>(columns + 2 * margin_);
        from_ = source(first + y_.first);
        const Index to = source(last + y_.first + y_.taps - 1) + 1;
        along_ = aligned_array<float>(static_cast<std::size_t>(to - from_) * columns);
        masks_.resize(static_cast<std::size_t>(to - from_));
        std::vector<std::uint8_t> masks(columns);
        for (Index row = from_; row < to; ++row) {
            float* values = padded_.get() + margin_;
            load(loops_, image_.data + static_cast<std::size_t>(row) * columns, limit_, values, columns);
            if (loops_.count_nan(values, columns) > 0) {
                const Pixel* pixels = image_.data + static_cast<std::size_t>(row) * columns;
                for (std::size_t i = 0; i < columns; ++i) {
                    const bool high = static_cast<float>(pixels[i]) >= limit_;
                    masks[i] = values[i] == values[i] ? not_masked : high ? mask_saturated : mask_missing;
                }
                auto& moved = masks_[static_cast<std::size_t>(row - from_)];
                moved.resize(columns);
                for (std::size_t i = 0; i < columns; ++i) {
                    const auto [low, high] = x_.nearest(static_cast<Index>(i), static_cast<Index>(columns));
                    moved[i] =
                        std::max(masks[static_cast<std::size_t>(low)], masks[static_cast<std::size_t>(high)]);
                }
                fill_masked(values, columns);
            }
            repeat_edges(values, columns, margin_);
            loops_.weigh_along(values + x_.first, x_.weights.data(), static_cast<std::size_t>(x_.taps),
                               along(row), columns);
        }
    }

    /// Row y, (W,).
    void row(Index y, float* out) const {
        const float* rows[shift_taps];
        for (int k = 0; k < y_.taps; ++k) rows[k] = along(source(y + y_.first + k));
        loops_.weigh_rows(rows, y_.weights.data(), static_cast<std::size_t>(y_.taps), out, image_.shape[1]);
    }

    /// NaN where row y comes from NaN or from outside the image. Returns how many pixels are masked as
    /// saturated.
    std::size_t mask(Index y, float* out) const {
        const auto columns = static_cast<Index>(image_.shape[1]), rows = static_cast<Index>(image_.shape[0]);
        const float nan = std::numeric_limits<float>::quiet_NaN();
        const auto [begin, end] = x_.inside(columns);
        const bool outside = !y_.covers(y, rows);
        std::fill(out, out + (outside ? columns : begin), nan);
        if (outside) return 0;
        std::fill(out + end, out + columns, nan);
        const auto [low, high] = y_.nearest(y, rows);
        std::size_t saturated = 0;
        for (const Index source_row : {low, high}) {
            const auto& masks = masks_[static_cast<std::size_t>(source_row - from_)];
            for (std::size_t i = 0; i < masks.size(); ++i) {
                if (masks[i] == not_masked || out[i] != out[i]) continue;
                out[i] = nan;
                if (masks[i] == mask_saturated) ++saturated;
            }
        }
        return saturated;
    }

  private:
    [[nodiscard]] Index source(Index y) const {
        return std::clamp<Index>(y, 0, static_cast<Index>(image_.shape[0]) - 1);
    }
    [[nodiscard]] float* along(Index row) const {
        return along_.get() + static_cast<std::size_t>(row - from_) * image_.shape[1];
    }

    const Loops& loops_;
    HostView<const Pixel, 2> image_;
    Shift y_, x_;
    float limit_;
    Index from_ = 0;
    std::size_t margin_ = 0;
    AlignedArray<float> padded_, along_;
    std::vector<std::vector<std::uint8_t>> masks_;
};

/// Smooth rows [first - reach, last + reach) along both axes into rows [first, last) of `out`.
template <class Row>
void smooth(const Loops& loops, const Row& row_of, Index first, Index last, Index rows, std::size_t columns,
            const Padded& out) {
    const auto count = static_cast<std::size_t>(last - first + 2 * reach);
    const auto kept = aligned_array<float>(count * columns);
    const auto row_at = [&](Index y) {
        return kept.get() + static_cast<std::size_t>(y - (first - reach)) * columns;
    };
    // Outside the image its first and last row are repeated, which count once.
    const Index begin = std::max<Index>(first - reach, 0), end = std::min(last + reach, rows);
    for (Index y = begin; y < end; ++y) row_of(y, row_at(y));
    for (Index y = first - reach; y < begin; ++y) std::copy_n(row_at(begin), columns, row_at(y));
    for (Index y = end; y < last + reach; ++y) std::copy_n(row_at(end - 1), columns, row_at(y));
    constexpr std::size_t margin = 8;
    const auto down = aligned_array<float>(columns + 2 * margin);
    for (Index y = first; y < last; ++y) {
        const float* five[5];
        for (std::size_t k = 0; k < 5; ++k)
            five[k] = kept.get() + (static_cast<std::size_t>(y - first) + k) * columns;
        loops.weigh_rows(five, smoothing, 5, down.get() + margin, columns);
        repeat_edges(down.get() + margin, columns, margin);
        float* smoothed_row = out.row(static_cast<std::size_t>(y));
        loops.weigh_along(down.get() + margin - reach, smoothing, 5, smoothed_row, columns);
        repeat_edges(smoothed_row, columns, 1);
        const std::size_t with_edges = columns + 2;
        if (y == 0) std::copy_n(smoothed_row - 1, with_edges, out.row_before(0) - 1);
        if (y == rows - 1)
            std::copy_n(smoothed_row - 1, with_edges, out.row_after(static_cast<std::size_t>(y)) - 1);
    }
}

}  // namespace

template <class Pixel>
void take_difference(State& state, HostView<const Pixel, 2> before, HostView<const Pixel, 2> after,
                     HostView<const float, 2> axial) {
    const auto& loops = state.loops;
    const std::size_t rows = state.rows, n = state.columns;
    const auto limit = static_cast<float>(state.params.saturation);
    state.left = Padded(rows, n);
    state.reference = Padded(rows, n);
    state.brightness = Padded(rows, n);
    if (axial.size() > 0) state.axial = Padded(rows, n);
    std::mutex mutex;
    parallel_for((rows + strip_rows - 1) / strip_rows, state.params.threads, [&](std::size_t strip, int) {
        const auto first = static_cast<Index>(strip * strip_rows);
        const auto last = static_cast<Index>(std::min(rows, (strip + 1) * strip_rows));
        const Moved<Pixel> moved(loops, before, state.params.shift_px, limit, first - reach,
                                 last + reach - 1);
        const auto a = aligned_array<float>(n), b = aligned_array<float>(n);
        std::size_t saturated = 0, missing = 0;
        const auto take = [&](Index y, float* reference) {
            const auto row = static_cast<std::size_t>(y);
            std::size_t masked = load(loops, after.data + row * n, limit, a.get(), n);
            moved.row(y, b.get());
            const bool own = y >= first && y < last;
            float* difference = own ? state.left.row(row) : nullptr;
            if (state.params.disappearing) {
                if (own) loops.differ(b.get(), a.get(), difference, n);
                if (loops.count_nan(a.get(), n) > 0) fill_masked(a.get(), n);
                std::copy_n(a.get(), n, reference);
            } else {
                if (own) loops.differ(a.get(), b.get(), difference, n);
                std::copy_n(b.get(), n, reference);
            }
            if (!own) return;
            std::copy_n(reference, n, state.reference.row(row));
            masked += moved.mask(y, difference);
            saturated += masked;
            missing += loops.count_nan(difference, n) - masked;
        };
        smooth(loops, take, first, last, static_cast<Index>(rows), n, state.brightness);
        if (state.axial) {
            const Moved<float> change(loops, axial, state.params.shift_px,
                                      std::numeric_limits<float>::infinity(), first - reach,
                                      last + reach - 1);
            smooth(
                loops, [&](Index y, float* row) { change.row(y, row); }, first, last,
                static_cast<Index>(rows), n, state.axial);
        }
        const std::lock_guard lock(mutex);
        state.found.saturated += saturated;
        state.found.not_measured += missing;
    });
}

template void take_difference(State&, HostView<const std::uint8_t, 2>, HostView<const std::uint8_t, 2>,
                              HostView<const float, 2>);
template void take_difference(State&, HostView<const std::uint16_t, 2>, HostView<const std::uint16_t, 2>,
                              HostView<const float, 2>);
template void take_difference(State&, HostView<const float, 2>, HostView<const float, 2>,
                              HostView<const float, 2>);

}  // namespace lee::particles
