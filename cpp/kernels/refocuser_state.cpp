#include "kernels/refocuser_state.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>

#include "common/check.hpp"
#include "common/parallel.hpp"

namespace lee {
namespace {

constexpr const char* name = "refocuser";
constexpr std::size_t most_levels = 4;
constexpr std::size_t tile_rows = 64;
constexpr std::size_t tile_columns = 256;         // with its halo a tile's scratch stays in the second cache
constexpr std::size_t most_frames_a_group = 256;  // their 8-bit sum fits 16 bits
// Four to five groups over the half width: finer gains nothing, coarser leaves too few samples on the focus curve.
constexpr double groups_a_depth = 4.4;
constexpr double most_spacing_a_depth = 0.4;  // farther apart, a neighbour's detail is no longer the same detail
constexpr std::size_t noise_rows = 16;        // every so many rows are looked at for noise
constexpr double least_shift_px = 0.02;       // less is not worth resampling for
constexpr double most_drift_px = 1e6;
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

std::size_t blocks(std::size_t extent, std::size_t block) {
    return (extent + block - 1) / block;
}

/// Weights of the six pixels around a point `shift` to the right of the third (Lanczos, three lobes): they keep the fine
/// texture that focus is measured on, which linear interpolation would blur.
std::array<float, 6> lanczos(double shift) {
    constexpr double pi = 3.14159265358979323846;
    std::array<double, 6> exact{};
    double sum = 0.0;
    for (std::size_t k = 0; k < exact.size(); ++k) {
        const double x = pi * (static_cast<double>(k) - 2.0 - shift);
        exact[k] = std::abs(x) < 1e-9 ? 1.0 : std::abs(x) >= 3.0 * pi ? 0.0 : 3.0 * std::sin(x) * std::sin(x / 3.0) / (x * x);
        sum += exact[k];
    }
    std::array<float, 6> weights{};
    for (std::size_t k = 0; k < exact.size(); ++k) weights[k] = static_cast<float>(exact[k] / sum);
    return weights;
}

}  // namespace

FocusLevel::FocusLevel(Extent e, Extent margin, bool finest)
    : extent(e), energy_columns(e.columns + 2 * margin.columns) {
    const std::size_t n = e.rows * e.columns;
    for (auto& group : ring) group.assign(n, 0);
    for (std::size_t k = 0; k < 2; ++k) {
        z_um[k].assign(n, nan);
        peak[k].assign(n, 0);
        width[k].assign(n, 0);
        if (finest) counts[k].assign(n, 0.0F);
    }
    if (!finest) energy.assign((e.rows + 2 * margin.rows) * energy_columns, 0.0F);
}

simd::PeakRow FocusLevel::peaks_at(std::size_t offset) {
    const bool kept = !counts[0].empty();
    return {.z_um = {z_um[0].data() + offset, z_um[1].data() + offset},
            .peak = {peak[0].data() + offset, peak[1].data() + offset},
            .width = {width[0].data() + offset, width[1].data() + offset},
            .counts = {kept ? counts[0].data() + offset : nullptr, kept ? counts[1].data() + offset : nullptr}};
}

std::size_t FocusLevel::bytes() const {
    const std::size_t n = extent.rows * extent.columns;
    return n * (sizeof(std::uint16_t) * (ring.size() + 4) + sizeof(float) * 2) +
           sizeof(float) * (energy.size() + counts[0].size() + counts[1].size());
}

Refocuser::State::State(Extent e, const RefocuserParams& p)
    : extent(e),
      params(p),
      loops(LEE_BEST_ISA(refocuser_loops)),
      margin{p.window_y_px / 2, p.window_x_px / 2},
      scratch(static_cast<std::size_t>(worker_count(std::numeric_limits<std::size_t>::max(), p.threads))) {
    levels.emplace_back(e, margin, true);
    for (std::size_t k = 1; k < most_levels; ++k) {
        const Extent half{levels.back().extent.rows / 2, levels.back().extent.columns / 2};
        if (half.rows < p.window_y_px || half.columns < p.window_x_px) break;
        levels.emplace_back(half, margin, false);
    }
    for (auto& group : detail) group.assign(e.rows * e.columns, 0);
    brightness.extent = {blocks(e.rows, Brightness::cell_px), blocks(e.columns, Brightness::cell_px)};
    const std::size_t cells = brightness.extent.rows * brightness.extent.columns;
    brightness.least.assign(cells, std::numeric_limits<float>::infinity());
    brightness.most.assign(cells, -std::numeric_limits<float>::infinity());
    brightness.saturated.assign(cells, 0.0F);
    tile_noise.assign(blocks(e.rows, tile_rows) * blocks(e.columns, tile_columns),
                      std::numeric_limits<double>::infinity());
}

template <class Frame>
void Refocuser::State::push(HostView<const Frame, 2> frame, double z_um, double drift_y_px,
                            double drift_x_px) {
    check::that(!closed, name, "the scan has been closed; start a new refocuser for the next one");
    const std::array<std::size_t, 2> shape{extent.rows, extent.columns};
    if (frame.shape != shape) {
        throw ShapeError("refocuser: frame is " + check::text(frame.shape) + " but the refocuser was made for " +
                         check::text(shape));
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
        shift_y = static_cast<int>(std::lround(drift_y_px)), shift_x = static_cast<int>(std::lround(drift_x_px));
        sum_drift_y = sum_drift_x = 0.0;
    }
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
                const auto source = std::clamp<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(y) + shift_y, 0, last_row);
                const Frame* row = frame.data + static_cast<std::size_t>(source) * n;
                auto* sum = current.data() + y * n;
                const bool more = in_group > 0;
                for (std::ptrdiff_t x = 0; x < from; ++x) accumulate(row, sum + x, 1, more);
                if (to > from) accumulate(row + from + shift_x, sum + from, static_cast<std::size_t>(to - from), more);
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
    const double y = sum_drift_y / static_cast<double>(in_group), x = sum_drift_x / static_cast<double>(in_group);
    between_pixels = std::max(std::abs(y), std::abs(x)) > least_shift_px;
    weights_y = lanczos(y), weights_x = lanczos(x);
    in_group = 0;
    // A group's energy needs the detail after it, so it is taken one group late.
    take_energy(groups - 1);
}

void Refocuser::State::close() {
    if (closed) return;
    if (in_group > 0) end_group();
    closed = true;
    if (groups == 0) return;
    take_energy(groups);
    flush();
}

/// Take in the detail of group `newest`, if it has ended, and the energy of the group before it.
void Refocuser::State::take_energy(std::size_t newest) {
    parallel_for(tile_noise.size(), params.threads, [&](std::size_t tile, int worker) {
        take_tile(tile, newest, scratch[static_cast<std::size_t>(worker)]);
    });
    for (std::size_t k = 1; k < levels.size() && newest > 0; ++k) {
        FocusLevel* next = k + 1 < levels.size() ? &levels[k + 1] : nullptr;
        parallel_for(blocks(levels[k].extent.rows, tile_rows), params.threads, [&](std::size_t band, int worker) {
            take_band(levels[k], next, band, newest - 1, scratch[static_cast<std::size_t>(worker)]);
        });
    }
}

void Refocuser::State::take_tile(std::size_t tile, std::size_t newest, Scratch& own) {
    const std::size_t across = blocks(extent.columns, tile_columns);
    const std::size_t y = tile / across * tile_rows, x = tile % across * tile_columns;
    const Window window{.row = y,
                        .rows = std::min(tile_rows, extent.rows - y),
                        .column = x,
                        .columns = std::min(tile_columns, extent.columns - x)};
    if (newest < groups) {
        find_detail(window, own);
        measure_brightness(window, own);
    }
    if (newest == 0) return;
    find_energy(window, tile, newest - 1, own);
    const std::size_t columns = window.columns + 2 * margin.columns;
    own.energy_sums.resize((window.rows + 2 * margin.rows) * window.columns);
    for (std::size_t r = 0; r < window.rows + 2 * margin.rows; ++r) {
        loops.sum_along(own.energy.data() + r * columns, params.window_x_px,
                        own.energy_sums.data() + r * window.columns, window.columns);
    }
    if (levels.size() > 1) {
        halve(own.energy.data() + margin.rows * columns + margin.columns, columns, window, levels[1]);
    }
    pool(levels[0], window, newest - 1, own);
    track(levels[0], window, newest - 1, own);
}

void Refocuser::State::take_band(FocusLevel& level, FocusLevel* next, std::size_t band, std::size_t group,
                                 Scratch& own) {
    const std::size_t y = band * tile_rows;
    const Window window{.row = y,
                        .rows = std::min(tile_rows, level.extent.rows - y),
                        .column = 0,
                        .columns = level.extent.columns};
    own.energy_sums.resize((window.rows + 2 * margin.rows) * window.columns);
    for (std::size_t r = 0; r < window.rows + 2 * margin.rows; ++r) {
        loops.sum_along(level.energy.data() + (y + r) * level.energy_columns, params.window_x_px,
                        own.energy_sums.data() + r * window.columns, window.columns);
    }
    if (next != nullptr) {
        halve(level.energy.data() + (y + margin.rows) * level.energy_columns + margin.columns, level.energy_columns,
              window, *next);
    }
    pool(level, window, group, own);
    track(level, window, group, own);
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

/// Mean of the newest group in a window that may reach beyond the image (edges repeated), its drift taken back.
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
    const auto columns = static_cast<std::ptrdiff_t>(seen.columns), width = static_cast<std::ptrdiff_t>(extent.columns);
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

/// Mean of the newest group in and around a tile (edges repeated), and from it the detail: into `own.after` with a margin,
/// zero outside the image, and into the ring without one.
void Refocuser::State::find_detail(const Window& tile, Scratch& own) {
    const std::size_t taps = params.detail_px, reach = taps / 2;
    const Extent wide{tile.rows + 2 * margin.rows, tile.columns + 2 * margin.columns};
    const Extent seen{wide.rows + 2 * reach, wide.columns + 2 * reach};
    own.mean_sums.resize(seen.rows * wide.columns);
    own.values.resize(wide.columns);
    own.after.assign(wide.rows * wide.columns, 0);

    const auto signed_of = [](std::size_t value) { return static_cast<std::ptrdiff_t>(value); };
    const std::ptrdiff_t left = signed_of(tile.column) - signed_of(margin.columns + reach);
    const std::ptrdiff_t top = signed_of(tile.row) - signed_of(margin.rows + reach);
    find_mean(top, left, seen, own);
    for (std::size_t r = 0; r < seen.rows; ++r) {
        loops.sum_along(own.mean.data() + r * seen.columns, taps, own.mean_sums.data() + r * wide.columns, wide.columns);
    }
    std::array<const float*, 64> sums;
    auto& ring = detail[(groups - 1) % detail_groups];
    const std::size_t inner_from = tile.column == 0 ? margin.columns : 0;
    const std::size_t inner_to = std::min(wide.columns, extent.columns + margin.columns - tile.column);
    for (std::size_t r = 0; r < wide.rows; ++r) {
        const std::ptrdiff_t y = signed_of(tile.row + r) - signed_of(margin.rows);
        if (y < 0 || y >= signed_of(extent.rows)) continue;
        for (std::size_t tap = 0; tap < taps; ++tap) sums[tap] = own.mean_sums.data() + (r + tap) * wide.columns;
        loops.detail(own.mean.data() + (r + reach) * seen.columns + reach, sums.data(), taps,
                     1.0F / static_cast<float>(taps * taps), own.values.data(), wide.columns);
        std::uint16_t* codes = own.after.data() + r * wide.columns;
        loops.encode(own.values.data() + inner_from, codes + inner_from, inner_to - inner_from);
        if (r >= margin.rows && r < margin.rows + tile.rows) {
            std::copy_n(codes + margin.columns, tile.columns,
                        ring.data() + static_cast<std::size_t>(y) * extent.columns + tile.column);
        }
    }
}

void Refocuser::State::measure_brightness(const Window& tile, Scratch& own) {
    constexpr std::size_t cell = Brightness::cell_px;
    const std::size_t reach = params.detail_px / 2;
    const std::size_t seen = tile.columns + 2 * (margin.columns + reach);
    for (std::size_t r = 0; r < tile.rows; r += cell) {
        const std::size_t rows = std::min(cell, tile.rows - r);
        own.cells.assign(tile.columns, 0.0F);
        own.saturated.assign(tile.columns, 0.0F);
        for (std::size_t k = 0; k < rows; ++k) {
            loops.add(own.mean.data() + (r + k + margin.rows + reach) * seen + margin.columns + reach,
                      static_cast<float>(saturation), own.cells.data(), own.saturated.data(), tile.columns);
        }
        for (std::size_t x = 0; x < tile.columns; x += cell) {
            const std::size_t columns = std::min(cell, tile.columns - x);
            float sum = 0.0F, full = 0.0F;
            for (std::size_t k = 0; k < columns; ++k) sum += own.cells[x + k], full += own.saturated[x + k];
            const auto pixels = static_cast<float>(rows * columns);
            const float mean = sum / pixels;
            const std::size_t at = (tile.row + r) / cell * brightness.extent.columns + (tile.column + x) / cell;
            brightness.least[at] = std::min(brightness.least[at], mean);
            brightness.most[at] = std::max(brightness.most[at], mean);
            brightness.saturated[at] = std::max(brightness.saturated[at], full / pixels);
        }
    }
}

/// Energy of a group in and around a tile, zero outside the image: its detail times the mean of the details before and
/// after it. Noise differs from group to group and averages out; what moves from group to group does too.
void Refocuser::State::find_energy(const Window& tile, std::size_t index, std::size_t group, Scratch& own) {
    const Extent wide{tile.rows + 2 * margin.rows, tile.columns + 2 * margin.columns};
    own.energy.assign(wide.rows * wide.columns, 0.0F);
    const auto near = [&](std::size_t other) {
        const double gap = group_z[group % group_z.size()] - group_z[other % group_z.size()];
        return std::abs(gap) < most_spacing_a_depth * params.depth_of_field_um;
    };
    const bool with_before = group > 0 && near(group - 1);
    const bool with_after = group + 1 < groups && near(group + 1);
    const std::size_t x0 = tile.column - std::min(tile.column, margin.columns);
    const std::size_t x1 = std::min(extent.columns, tile.column + tile.columns + margin.columns);
    const std::size_t first = x0 + margin.columns - tile.column;
    const auto& middle = detail[group % detail_groups];
    const auto& before = detail[(group + detail_groups - 1) % detail_groups];
    double squares = 0.0, products = 0.0;
    for (std::size_t r = 0; r < wide.rows; ++r) {
        if (tile.row + r < margin.rows || tile.row + r - margin.rows >= extent.rows) continue;
        const std::size_t at = (tile.row + r - margin.rows) * extent.columns + x0;
        const std::uint16_t* now = middle.data() + at;
        const std::uint16_t* next = own.after.data() + r * wide.columns + first;
        const std::uint16_t* past = with_before ? before.data() + at : with_after ? next : now;
        float* energy = own.energy.data() + r * wide.columns + first;
        loops.energy(past, now, with_after ? next : past, energy, x1 - x0);
        if (r % noise_rows == noise_rows / 2 && (with_before || with_after)) {
            for (std::size_t x = 0; x < x1 - x0; ++x) {
                const float d = focus::decode(now[x]);
                squares += static_cast<double>(d * d);
                products += static_cast<double>(energy[x]);
            }
        }
    }
    const double samples = static_cast<double>(x1 - x0) * std::max(1.0, static_cast<double>(wide.rows / noise_rows));
    if (with_before || with_after) {
        tile_noise[index] = std::min(tile_noise[index], std::max(0.0, squares - products) / samples);
    }
}

float Refocuser::State::noise() const {
    std::vector<double> sorted;
    for (const double value : tile_noise) {
        if (std::isfinite(value)) sorted.push_back(value);
    }
    if (sorted.empty()) return nan;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
    return static_cast<float>(sorted[sorted.size() / 2]);
}

/// Means of 2 by 2 pixels of a window's energy, into the next coarser level.
void Refocuser::State::halve(const float* energy, std::size_t energy_columns, const Window& from,
                             FocusLevel& to) const {
    const std::size_t x = from.column / 2;
    if (x >= to.extent.columns) return;
    const std::size_t columns = std::min(from.columns / 2, to.extent.columns - x);
    for (std::size_t r = 0; r + 1 < from.rows && (from.row + r) / 2 < to.extent.rows; r += 2) {
        const float* upper = energy + r * energy_columns;
        const std::size_t row = (from.row + r) / 2 + margin.rows;
        loops.halve(upper, upper + energy_columns, to.energy.data() + row * to.energy_columns + x + margin.columns,
                    columns);
    }
}

void Refocuser::State::pool(FocusLevel& level, const Window& window, std::size_t group, Scratch& own) {
    const float scale = 1.0F / static_cast<float>(params.window_y_px * params.window_x_px);
    std::array<const float*, 64> sums;
    for (std::size_t r = 0; r < window.rows; ++r) {
        for (std::size_t tap = 0; tap < params.window_y_px; ++tap) {
            sums[tap] = own.energy_sums.data() + (r + tap) * window.columns;
        }
        const std::size_t offset = (window.row + r) * level.extent.columns + window.column;
        loops.pool(sums.data(), params.window_y_px, scale, level.ring[group % simd::ring_groups].data() + offset,
                   window.columns);
    }
}

/// Look for maxima two groups before the newest focus in the ring.
void Refocuser::State::track(FocusLevel& level, const Window& window, std::size_t newest, Scratch& own) {
    if (newest < 3) return;  // the first group has nothing before it, so it is no maximum
    const std::size_t middle = newest - 2;
    const double z = group_z[middle % group_z.size()];
    std::array<float, simd::ring_groups> u{};
    for (std::size_t k = 0; k < u.size(); ++k) {
        // Groups that do not exist hold no focus; any height will do for them.
        if (middle + k >= 2) u[k] = static_cast<float>(group_z[(middle + k - 2) % group_z.size()] - z);
    }
    const bool with_counts = !level.counts[0].empty();
    own.counts.resize(window.columns);
    for (std::size_t r = 0; r < window.rows; ++r) {
        const std::size_t offset = (window.row + r) * level.extent.columns + window.column;
        std::array<const std::uint16_t*, simd::ring_groups> ring;
        for (std::size_t k = 0; k < ring.size(); ++k) {
            ring[k] = level.ring[(newest + 1 + k) % simd::ring_groups].data() + offset;
        }
        if (with_counts) mean_row(middle, offset, window.columns, own.counts.data());
        loops.track(ring.data(), u.data(), static_cast<float>(z), with_counts ? own.counts.data() : nullptr,
                    level.peaks_at(offset), window.columns);
    }
}

/// After the last group: the group before it can still be a maximum. A group without focus stands in for the next.
void Refocuser::State::flush() {
    if (groups < 3) return;
    const std::size_t z_slots = group_z.size();
    group_z[groups % z_slots] = 2.0 * group_z[(groups - 1) % z_slots] - group_z[(groups - 2) % z_slots];
    for (FocusLevel& level : levels) {
        auto& empty = level.ring[groups % simd::ring_groups];
        std::fill(empty.begin(), empty.end(), std::uint16_t{0});
        parallel_for(blocks(level.extent.rows, tile_rows), params.threads, [&](std::size_t band, int worker) {
            const std::size_t y = band * tile_rows;
            const Window window{.row = y,
                                .rows = std::min(tile_rows, level.extent.rows - y),
                                .column = 0,
                                .columns = level.extent.columns};
            track(level, window, groups, scratch[static_cast<std::size_t>(worker)]);
        });
    }
}

}  // namespace lee
