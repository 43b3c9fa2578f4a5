// Frames as they arrive: checked, gathered into groups, averaged, their drift compensated.
#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>

#include "common/check.hpp"
#include "common/parallel.hpp"
#include "common/refocuser_pixel.hpp"
#include "kernels/refocuser_state.hpp"

namespace lee {

template <class Frame>
void Refocuser::State::push(HostView<const Frame, 2> frame, double z_um, double drift_y_px,
                            double drift_x_px) {
    const std::array<double, 2> drift{drift_y_px, drift_x_px};
    groups.check(frame.shape, sizeof(Frame), {&z_um, 1}, {&drift, 1});
    if (groups.full(z_um)) end_group();
    const bool first = groups.first();
    groups.add(sizeof(Frame), !std::is_same_v<Frame, float>, z_um, drift);
    add(frame, first);
}

template void Refocuser::State::push(HostView<const std::uint8_t, 2>, double, double, double);
template void Refocuser::State::push(HostView<const std::uint16_t, 2>, double, double, double);
template void Refocuser::State::push(HostView<const float, 2>, double, double, double);

template <class Frame>
void Refocuser::State::add(HostView<const Frame, 2> frame, bool first) {
    const std::size_t n = extent.columns;
    const auto [shift_y, shift_x] = groups.shift();
    auto into = [&](auto& sums, auto accumulate) {
        for (auto& group : sums) group.resize(extent.rows * n);
        auto& current = sums[groups.count() % ScanGroups::sums];
        const auto last_row = static_cast<std::ptrdiff_t>(extent.rows) - 1;
        const auto width = static_cast<std::ptrdiff_t>(n);
        // Columns [from, to) are inside the shifted frame; outside, its edge is repeated.
        const std::ptrdiff_t from = std::clamp<std::ptrdiff_t>(-shift_x, 0, width);
        const std::ptrdiff_t to = std::clamp<std::ptrdiff_t>(width - shift_x, from, width);
        parallel_for(blocks(extent.rows, tile_rows), params.threads,
                     [&, shift_y = shift_y, shift_x = shift_x](std::size_t band, int) {
                         const std::size_t end = std::min(extent.rows, (band + 1) * tile_rows);
                         for (std::size_t y = band * tile_rows; y < end; ++y) {
                             const auto source = std::clamp<std::ptrdiff_t>(
                                 static_cast<std::ptrdiff_t>(y) + shift_y, 0, last_row);
                             const Frame* row = frame.data + static_cast<std::size_t>(source) * n;
                             auto* sum = current.data() + y * n;
                             const bool more = !first;
                             for (std::ptrdiff_t x = 0; x < from; ++x) accumulate(row, sum + x, 1, more);
                             if (to > from)
                                 accumulate(row + from + shift_x, sum + from,
                                            static_cast<std::size_t>(to - from), more);
                             for (std::ptrdiff_t x = to; x < width; ++x)
                                 accumulate(row + width - 1, sum + x, 1, more);
                         }
                     });
    };
    if constexpr (sizeof(Frame) == 1) {
        into(sum_u8, loops.accumulate_u8);
    } else if constexpr (std::is_same_v<Frame, float>) {
        into(sum_f32, loops.accumulate_f32);
    } else {
        into(sum_f32, loops.accumulate_u16);
    }
}

void Refocuser::State::end_group() {
    groups.end();
    if (groups.count() == 1) dark = dark_level();
    // A group's energy needs the detail after it, so it is taken one group late.
    take_energy(groups.count() - 1);
}

float Refocuser::State::dark_level() const {
    std::vector<float> row(extent.columns);
    double sum = 0.0;
    for (std::size_t y = 0; y < extent.rows; ++y) {
        mean_row(0, y * extent.columns, extent.columns, row.data());
        for (const float value : row)
            sum += std::isfinite(value) ? std::abs(static_cast<double>(value)) : 0.0;
    }
    const double brightness_of_all = sum / static_cast<double>(extent.rows * extent.columns);
    return static_cast<float>(focus::dark_level(brightness_of_all, groups.whole_counts()));
}

void Refocuser::State::close() {
    if (groups.closed()) return;
    if (!groups.first()) end_group();
    groups.close();
    if (groups.count() == 0) return;
    take_energy(groups.count());
    flush();
}

/// Mean of the newest group in a window that may reach beyond the image (edges repeated), its drift
/// compensated.
void Refocuser::State::find_mean(std::ptrdiff_t top, std::ptrdiff_t left, Extent seen, Scratch& own) {
    own.mean.resize(seen.rows * seen.columns);
    if (!groups.between_pixels()) {
        mean_rows(top, left, seen, own.mean.data());
        return;
    }
    const auto& [weights_y, weights_x] = groups.weights();
    const Extent whole{seen.rows + 5, seen.columns + 5};
    own.whole.resize(whole.rows * whole.columns);
    own.resampled.resize(whole.rows * seen.columns);
    mean_rows(top - 2, left - 2, whole, own.whole.data());
    for (std::size_t r = 0; r < whole.rows; ++r) {
        loops.resample_along(own.whole.data() + r * whole.columns, weights_x.data(),
                             own.resampled.data() + r * seen.columns, seen.columns);
    }
    std::array<const float*, 6> rows;
    for (std::size_t r = 0; r < seen.rows; ++r) {
        for (std::size_t k = 0; k < rows.size(); ++k) rows[k] = own.resampled.data() + (r + k) * seen.columns;
        loops.resample_rows(rows.data(), weights_y.data(), own.mean.data() + r * seen.columns, seen.columns);
    }
}

void Refocuser::State::mean_rows(std::ptrdiff_t top, std::ptrdiff_t left, Extent seen, float* out) const {
    const auto columns = static_cast<std::ptrdiff_t>(seen.columns),
               width = static_cast<std::ptrdiff_t>(extent.columns);
    const std::ptrdiff_t from = std::clamp<std::ptrdiff_t>(-left, 0, columns - 1);
    const std::ptrdiff_t to = std::clamp<std::ptrdiff_t>(width - left, from + 1, columns);
    for (std::size_t r = 0; r < seen.rows; ++r) {
        const auto y = static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(
            top + static_cast<std::ptrdiff_t>(r), 0, static_cast<std::ptrdiff_t>(extent.rows) - 1));
        float* row = out + r * seen.columns;
        mean_row(groups.count() - 1, y * extent.columns + static_cast<std::size_t>(left + from),
                 static_cast<std::size_t>(to - from), row + from);
        std::fill(row, row + from, row[from]);
        std::fill(row + to, row + columns, row[to - 1]);
    }
}

void Refocuser::State::mean_row(std::size_t group, std::size_t offset, std::size_t count, float* out) const {
    const std::size_t slot = group % ScanGroups::sums;
    const float scale = groups.mean_scale(group);
    if (sum_f32[0].empty()) {
        loops.mean_u16(sum_u8[slot].data() + offset, out, count, scale);
    } else {
        loops.mean_f32(sum_f32[slot].data() + offset, out, count, scale);
    }
}

}  // namespace lee
