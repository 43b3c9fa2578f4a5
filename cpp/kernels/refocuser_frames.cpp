// Frames in: checked, gathered into groups, averaged, and their drift taken back.
#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>

#include "common/check.hpp"
#include "common/parallel.hpp"
#include "kernels/refocuser_state.hpp"

namespace lee {
namespace {

constexpr const char* name = "refocuser";
constexpr std::size_t most_frames_a_group = 256;  // their 8-bit sum fits 16 bits
// Four to five groups over the half width: finer gains nothing, coarser leaves too few samples on the focus
// curve.
constexpr double groups_a_depth = 4.4;
constexpr double dark_share = 0.01;  // of the mean brightness: what dark places are normalised by, at least
constexpr double least_shift_px = 0.02;  // less is not worth resampling for
constexpr double most_drift_px = 1e6;

/// Weights of the six pixels around a point `shift` to the right of the third (Lanczos, three lobes): they
/// keep the fine texture that focus is measured on, which linear interpolation would blur.
std::array<float, 6> lanczos(double shift) {
    constexpr double pi = 3.14159265358979323846;
    std::array<double, 6> exact{};
    double sum = 0.0;
    for (std::size_t k = 0; k < exact.size(); ++k) {
        const double x = pi * (static_cast<double>(k) - 2.0 - shift);
        exact[k] = std::abs(x) < 1e-9        ? 1.0
                   : std::abs(x) >= 3.0 * pi ? 0.0
                                             : 3.0 * std::sin(x) * std::sin(x / 3.0) / (x * x);
        sum += exact[k];
    }
    std::array<float, 6> weights{};
    for (std::size_t k = 0; k < exact.size(); ++k) weights[k] = static_cast<float>(exact[k] / sum);
    return weights;
}

}  // namespace

template <class Frame>
void Refocuser::State::push(HostView<const Frame, 2> frame, double z_um, double drift_y_px,
                            double drift_x_px) {
    check::that(!closed, name, "the scan has been closed; start a new refocuser for the next one");
    const std::array<std::size_t, 2> shape{extent.rows, extent.columns};
    if (frame.shape != shape) {
        throw ShapeError("refocuser: frame is " + check::text(frame.shape) +
                         " but the refocuser was made for " + check::text(shape));
    }
    check::that(std::isfinite(z_um), name, "z_um is not finite; give the height the frame focuses on");
    check::that(std::abs(drift_y_px) < most_drift_px && std::abs(drift_x_px) < most_drift_px, name,
                "the drift is not finite, or beyond a million pixels");
    if (frames > 0) {
        const int now = z_um > last_z ? 1 : z_um < last_z ? -1 : 0;
        check::that(now != 0 && (direction == 0 || now == direction), name,
                    "z_um goes from " + std::to_string(last_z) + " to " + std::to_string(z_um) +
                        "; it must rise or fall from frame to frame throughout a scan");
        direction = now;
    }
    const bool mixed = sizeof(Frame) == 1 ? !sum_f32[0].empty() : !sum_u8[0].empty();
    check::that(!mixed, name, "frames of 8 bits and others cannot be mixed in one scan");

    const double group_um = params.depth_of_field_um / groups_a_depth;
    const bool full = std::abs(z_um - first_z) > group_um * (1.0 - 1e-6) || in_group == most_frames_a_group;
    if (in_group > 0 && full) end_group();
    if (in_group == 0) {
        first_z = z_um, sum_z = 0.0;
        shift_y = static_cast<int>(std::lround(drift_y_px)),
        shift_x = static_cast<int>(std::lround(drift_x_px));
        sum_drift_y = sum_drift_x = 0.0;
    }
    counts_are_whole = !std::is_same_v<Frame, float>;
    add(frame);
    sum_drift_y += drift_y_px - shift_y;
    sum_drift_x += drift_x_px - shift_x;
    sum_z += z_um;
    last_z = z_um;
    ++in_group;
    ++frames;
}

template void Refocuser::State::push(HostView<const std::uint8_t, 2>, double, double, double);
template void Refocuser::State::push(HostView<const std::uint16_t, 2>, double, double, double);
template void Refocuser::State::push(HostView<const float, 2>, double, double, double);

template <class Frame>
void Refocuser::State::add(HostView<const Frame, 2> frame) {
    const std::size_t n = extent.columns;
    auto into = [&](auto& sums, auto accumulate) {
        for (auto& group : sums) group.resize(extent.rows * n);
        auto& current = sums[groups % sum_groups];
        const auto last_row = static_cast<std::ptrdiff_t>(extent.rows) - 1;
        const auto width = static_cast<std::ptrdiff_t>(n);
        // Columns [from, to) lie inside the shifted frame; outside, its edge is repeated.
        const std::ptrdiff_t from = std::clamp<std::ptrdiff_t>(-shift_x, 0, width);
        const std::ptrdiff_t to = std::clamp<std::ptrdiff_t>(width - shift_x, from, width);
        parallel_for(blocks(extent.rows, tile_rows), params.threads, [&](std::size_t band, int) {
            const std::size_t end = std::min(extent.rows, (band + 1) * tile_rows);
            for (std::size_t y = band * tile_rows; y < end; ++y) {
                const auto source =
                    std::clamp<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(y) + shift_y, 0, last_row);
                const Frame* row = frame.data + static_cast<std::size_t>(source) * n;
                auto* sum = current.data() + y * n;
                const bool more = in_group > 0;
                for (std::ptrdiff_t x = 0; x < from; ++x) accumulate(row, sum + x, 1, more);
                if (to > from)
                    accumulate(row + from + shift_x, sum + from, static_cast<std::size_t>(to - from), more);
                for (std::ptrdiff_t x = to; x < width; ++x) accumulate(row + width - 1, sum + x, 1, more);
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
    group_z[groups % group_z.size()] = sum_z / static_cast<double>(in_group);
    group_frames[groups % sum_groups] = in_group;
    ++groups;
    const double y = sum_drift_y / static_cast<double>(in_group),
                 x = sum_drift_x / static_cast<double>(in_group);
    between_pixels = std::max(std::abs(y), std::abs(x)) > least_shift_px;
    weights_y = lanczos(y), weights_x = lanczos(x);
    in_group = 0;
    if (groups == 1) dark = dark_level();
    // A group's energy needs the detail after it, so it is taken one group late.
    take_energy(groups - 1);
}

float Refocuser::State::dark_level() const {
    std::vector<float> row(extent.columns);
    double sum = 0.0;
    for (std::size_t y = 0; y < extent.rows; ++y) {
        mean_row(0, y * extent.columns, extent.columns, row.data());
        for (const float value : row)
            sum += std::isfinite(value) ? std::abs(static_cast<double>(value)) : 0.0;
    }
    const double share = dark_share * sum / static_cast<double>(extent.rows * extent.columns);
    // Integer counts have a noise of about one in the dark.
    return static_cast<float>(std::max(share, counts_are_whole ? 1.0 : 1e-12));
}

void Refocuser::State::close() {
    if (closed) return;
    if (in_group > 0) end_group();
    closed = true;
    if (groups == 0) return;
    take_energy(groups);
    flush();
}

/// Mean of the newest group in a window that may reach beyond the image (edges repeated), its drift taken
/// back.
void Refocuser::State::find_mean(std::ptrdiff_t top, std::ptrdiff_t left, Extent seen, Scratch& own) {
    own.mean.resize(seen.rows * seen.columns);
    if (!between_pixels) {
        mean_rows(top, left, seen, own.mean.data());
        return;
    }
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
        mean_row(groups - 1, y * extent.columns + static_cast<std::size_t>(left + from),
                 static_cast<std::size_t>(to - from), row + from);
        std::fill(row, row + from, row[from]);
        std::fill(row + to, row + columns, row[to - 1]);
    }
}

void Refocuser::State::mean_row(std::size_t group, std::size_t offset, std::size_t count, float* out) const {
    const std::size_t slot = group % sum_groups;
    const float scale = 1.0F / static_cast<float>(group_frames[slot]);
    if (sum_f32[0].empty()) {
        loops.mean_u16(sum_u8[slot].data() + offset, out, count, scale);
    } else {
        loops.mean_f32(sum_f32[slot].data() + offset, out, count, scale);
    }
}

}  // namespace lee
