// The state of a refocuser, and the search of focus curves for maxima.
#include "kernels/refocuser_state.hpp"

#include <algorithm>
#include <cmath>

#include "common/parallel.hpp"

namespace lee {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

}  // namespace

FocusLevel::FocusLevel(Extent e, Extent margin, bool finest)
    : extent(e),
      energy_columns(e.columns + 2 * margin.columns),
      energy_size((e.rows + 2 * margin.rows) * energy_columns) {
    const std::size_t n = e.rows * e.columns;
    for (auto& group : ring) group.assign(n, 0);
    for (std::size_t k = 0; k < 2; ++k) {
        z_um[k].assign(n, nan);
        peak[k].assign(n, 0);
        width[k].assign(n, 0);
        if (finest) counts[k].assign(n, 0.0F);
    }
    if (!finest) energy.assign(tensor_entries * energy_size, 0.0F);
}

simd::PeakRow FocusLevel::peaks_at(std::size_t offset) {
    const bool kept = !counts[0].empty();
    return {
        .z_um = {z_um[0].data() + offset, z_um[1].data() + offset},
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
      groups(e.rows, e.columns, p.depth_of_field_um),
      loops(LEE_BEST_ISA(refocuser_loops)),
      margin{p.window_y_px / 2, p.window_x_px / 2},
      detail_margin{margin.rows + 1, margin.columns + 1},
      scratch(static_cast<std::size_t>(worker_count(std::numeric_limits<std::size_t>::max(), p.threads))) {
    levels.emplace_back(e, margin, true);
    for (std::size_t k = 1; k < focus::max_levels; ++k) {
        const Extent half{levels.back().extent.rows / 2, levels.back().extent.columns / 2};
        if (half.rows < p.window_y_px || half.columns < p.window_x_px) break;
        levels.emplace_back(half, margin, false);
    }
    for (auto& group : detail) group.assign(e.rows * e.columns, 0);
    if (levels.size() > focus::cell_level) cells = levels[focus::cell_level].extent;
    saturated.assign(cells.rows * cells.columns, 0.0F);
    tile_noise.assign(blocks(e.rows, tile_rows) * blocks(e.columns, tile_columns),
                      std::numeric_limits<double>::infinity());
}

float Refocuser::State::noise() const {
    std::vector<double> sorted;
    for (const double value : tile_noise) {
        if (std::isfinite(value)) sorted.push_back(value);
    }
    if (sorted.empty()) return nan;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2),
                     sorted.end());
    return static_cast<float>(focus::slope_noise * sorted[sorted.size() / 2]);
}

/// Means of 2 by 2 pixels of a window's tensor, into the next coarser level.
void Refocuser::State::halve(const float* energy, std::size_t energy_columns, std::size_t energy_size,
                             const Window& from, FocusLevel& to) const {
    const std::size_t x = from.column / 2;
    if (x >= to.extent.columns) return;
    const std::size_t columns = std::min(from.columns / 2, to.extent.columns - x);
    for (std::size_t r = 0; r + 1 < from.rows && (from.row + r) / 2 < to.extent.rows; r += 2) {
        const std::size_t at = ((from.row + r) / 2 + margin.rows) * to.energy_columns + x + margin.columns;
        for (std::size_t entry = 0; entry < tensor_entries; ++entry) {
            const float* upper = energy + entry * energy_size + r * energy_columns;
            loops.halve(upper, upper + energy_columns, to.energy.data() + entry * to.energy_size + at,
                        columns);
        }
    }
}

void Refocuser::State::pool(FocusLevel& level, const Window& window, std::size_t group, Scratch& own) {
    const float scale = 1.0F / static_cast<float>(params.window_y_px * params.window_x_px);
    const std::size_t size = (window.rows + 2 * margin.rows) * window.columns;
    std::array<std::array<const float*, 64>, tensor_entries> sums;
    for (std::size_t r = 0; r < window.rows; ++r) {
        for (std::size_t entry = 0; entry < tensor_entries; ++entry) {
            for (std::size_t tap = 0; tap < params.window_y_px; ++tap) {
                sums[entry][tap] = own.energy_sums.data() + entry * size + (r + tap) * window.columns;
            }
        }
        const std::size_t offset = (window.row + r) * level.extent.columns + window.column;
        loops.pool(sums[0].data(), sums[1].data(), sums[2].data(), params.window_y_px, scale,
                   level.ring[group % ScanGroups::ring].data() + offset, window.columns);
    }
}

/// Look for maxima two groups before the newest focus in the ring.
void Refocuser::State::track(FocusLevel& level, const Window& window, std::size_t newest, Scratch& own) {
    if (newest < 3) return;  // the first group has nothing before it, so it is no maximum
    const std::size_t middle = newest - 2;
    const std::array<float, ScanGroups::ring> u = groups.heights_around(middle);
    const bool with_counts = !level.counts[0].empty();
    own.counts.resize(window.columns);
    for (std::size_t r = 0; r < window.rows; ++r) {
        const std::size_t offset = (window.row + r) * level.extent.columns + window.column;
        std::array<const std::uint16_t*, ScanGroups::ring> ring;
        for (std::size_t k = 0; k < ring.size(); ++k) {
            ring[k] = level.ring[(newest + 1 + k) % ScanGroups::ring].data() + offset;
        }
        if (with_counts) mean_row(middle, offset, window.columns, own.counts.data());
        loops.track(ring.data(), u.data(), static_cast<float>(groups.z_um(middle)),
                    with_counts ? own.counts.data() : nullptr, level.peaks_at(offset), window.columns);
    }
}

/// After the last group: the group before it can still be a maximum. A group without focus takes the place
/// of the next.
void Refocuser::State::flush() {
    const std::size_t newest = groups.count();
    if (newest < 3) return;
    groups.continue_heights();
    for (FocusLevel& level : levels) {
        auto& empty = level.ring[newest % ScanGroups::ring];
        std::fill(empty.begin(), empty.end(), std::uint16_t{0});
        parallel_for(blocks(level.extent.rows, tile_rows), params.threads, [&](std::size_t band, int worker) {
            const std::size_t y = band * tile_rows;
            const Window window{.row = y,
                                .rows = std::min(tile_rows, level.extent.rows - y),
                                .column = 0,
                                .columns = level.extent.columns};
            track(level, window, newest, scratch[static_cast<std::size_t>(worker)]);
        });
    }
}

}  // namespace lee
