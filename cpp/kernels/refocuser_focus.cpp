// From the mean of a group to its focus, tile by tile: detail, energy, and the energy pooled over windows.
#include <algorithm>
#include <cmath>

#include "common/parallel.hpp"
#include "common/refocuser_pixel.hpp"
#include "kernels/refocuser_state.hpp"

namespace lee {
namespace {

using focus::noise_rows;

/// Variance of the detail that three groups in a row do not share along a straight line.
struct Noise {
    bool one_sided, alone;  // one neighbour counts for both; alone: the group has no neighbour
    double sum = 0.0, samples = 0.0;

    void add(const std::uint16_t* past, const std::uint16_t* now, const std::uint16_t* next, std::size_t n) {
        for (std::size_t x = 0; x < n; ++x) {
            const float bend = focus::bend_of(past[x], now[x], next[x], alone);
            sum += static_cast<double>(bend * bend);
        }
        samples += static_cast<double>(n);
    }

    [[nodiscard]] double variance() const { return sum / samples / focus::bend_noise(one_sided, alone); }
};

}  // namespace

/// Compute the detail of group `newest`, if it has ended, and the energy of the group before it.
void Refocuser::State::take_energy(std::size_t newest) {
    if (newest < groups.count()) {
        const std::size_t n = saturated.size();
        record.begin(newest, [&] {
            return CellRow{groups.z_um(newest), std::vector<std::uint16_t>(n, 0),
                           std::vector<std::uint16_t>(n, 0)};
        });
    }
    parallel_for(tile_noise.size(), params.threads, [&](std::size_t tile, int worker) {
        take_tile(tile, newest, scratch[static_cast<std::size_t>(worker)]);
    });
    for (std::size_t k = 1; k < levels.size() && newest > 0; ++k) {
        FocusLevel* next = k + 1 < levels.size() ? &levels[k + 1] : nullptr;
        parallel_for(
            blocks(levels[k].extent.rows, tile_rows), params.threads, [&](std::size_t band, int worker) {
                take_band(levels[k], next, band, newest - 1, scratch[static_cast<std::size_t>(worker)]);
            });
    }
    if (newest > 0 && record.keeps(newest - 1)) record_focus(newest - 1);
}

/// Focus of the cells, whose tensor is that of the level's pixels before it is pooled.
void Refocuser::State::record_focus(std::size_t group) {
    if (saturated.empty()) return;
    const FocusLevel& level = levels[focus::cell_level];
    std::vector<std::uint16_t>& out = record.row(group).focus;
    for (std::size_t y = 0; y < cells.rows; ++y) {
        const float* xx = level.energy.data() + (y + margin.rows) * level.energy_columns + margin.columns;
        const float *yy = xx + level.energy_size, *xy = yy + level.energy_size;
        for (std::size_t x = 0; x < cells.columns; ++x) {
            out[y * cells.columns + x] = focus::encode(focus::tensor_focus(xx[x], yy[x], xy[x]));
        }
    }
}

void Refocuser::State::take_tile(std::size_t tile, std::size_t newest, Scratch& own) {
    const std::size_t across = blocks(extent.columns, tile_columns);
    const std::size_t y = tile / across * tile_rows, x = tile % across * tile_columns;
    const Window window{.row = y,
                        .rows = std::min(tile_rows, extent.rows - y),
                        .column = x,
                        .columns = std::min(tile_columns, extent.columns - x)};
    if (newest < groups.count()) {
        find_detail(window, own);
        record_brightness(window, newest, own);
        if (newest == 0) start_counts(window);
    }
    if (newest == 0) return;
    find_energy(window, tile, newest - 1, own);
    const std::size_t columns = window.columns + 2 * margin.columns;
    const std::size_t rows = window.rows + 2 * margin.rows;
    own.energy_sums.resize(tensor_entries * rows * window.columns);
    for (std::size_t r = 0; r < tensor_entries * rows; ++r) {
        loops.sum_along(own.energy.data() + r * columns, params.window_x_px,
                        own.energy_sums.data() + r * window.columns, window.columns);
    }
    if (levels.size() > 1) {
        halve(own.energy.data() + margin.rows * columns + margin.columns, columns, rows * columns, window,
              levels[1]);
    }
    pool(levels[0], window, newest - 1, own);
    track(levels[0], window, newest - 1, own);
}

/// Where nothing is ever in focus, the image is that of the first group.
void Refocuser::State::start_counts(const Window& tile) {
    for (std::size_t r = 0; r < tile.rows; ++r) {
        const std::size_t offset = (tile.row + r) * extent.columns + tile.column;
        for (auto& counts : levels[0].counts) mean_row(0, offset, tile.columns, counts.data() + offset);
    }
}

void Refocuser::State::take_band(FocusLevel& level, FocusLevel* next, std::size_t band, std::size_t group,
                                 Scratch& own) {
    const std::size_t y = band * tile_rows;
    const Window window{.row = y,
                        .rows = std::min(tile_rows, level.extent.rows - y),
                        .column = 0,
                        .columns = level.extent.columns};
    const std::size_t rows = window.rows + 2 * margin.rows;
    own.energy_sums.resize(tensor_entries * rows * window.columns);
    for (std::size_t entry = 0; entry < tensor_entries; ++entry) {
        for (std::size_t r = 0; r < rows; ++r) {
            loops.sum_along(level.energy.data() + entry * level.energy_size + (y + r) * level.energy_columns,
                            params.window_x_px, own.energy_sums.data() + (entry * rows + r) * window.columns,
                            window.columns);
        }
    }
    if (next != nullptr) {
        halve(level.energy.data() + (y + margin.rows) * level.energy_columns + margin.columns,
              level.energy_columns, level.energy_size, window, *next);
    }
    pool(level, window, group, own);
    track(level, window, group, own);
}

/// Mean of the newest group in and around a tile (edges repeated), and from it the detail: into `own.after`
/// with a margin, zero outside the image, and into the ring without one.
void Refocuser::State::find_detail(const Window& tile, Scratch& own) {
    const std::size_t taps = params.detail_px, reach = taps / 2;
    const Extent wide{tile.rows + 2 * detail_margin.rows, tile.columns + 2 * detail_margin.columns};
    const Extent seen{wide.rows + 2 * reach, wide.columns + 2 * reach};
    own.mean_sums.resize(seen.rows * wide.columns);
    own.values.resize(wide.columns);
    own.after.assign(wide.rows * wide.columns, 0);

    const auto signed_of = [](std::size_t value) { return static_cast<std::ptrdiff_t>(value); };
    const std::ptrdiff_t left = signed_of(tile.column) - signed_of(detail_margin.columns + reach);
    const std::ptrdiff_t top = signed_of(tile.row) - signed_of(detail_margin.rows + reach);
    find_mean(top, left, seen, own);
    for (std::size_t r = 0; r < seen.rows; ++r) {
        loops.sum_along(own.mean.data() + r * seen.columns, taps, own.mean_sums.data() + r * wide.columns,
                        wide.columns);
    }
    std::array<const float*, 64> sums;
    auto& ring = detail[(groups.count() - 1) % ScanGroups::details];
    const std::size_t inner_from = tile.column == 0 ? detail_margin.columns : 0;
    const std::size_t inner_to = std::min(wide.columns, extent.columns + detail_margin.columns - tile.column);
    for (std::size_t r = 0; r < wide.rows; ++r) {
        const std::ptrdiff_t y = signed_of(tile.row + r) - signed_of(detail_margin.rows);
        if (y < 0 || y >= signed_of(extent.rows)) continue;
        for (std::size_t tap = 0; tap < taps; ++tap)
            sums[tap] = own.mean_sums.data() + (r + tap) * wide.columns;
        loops.detail(own.mean.data() + (r + reach) * seen.columns + reach, sums.data(), taps,
                     1.0F / static_cast<float>(taps * taps), dark, own.values.data(), wide.columns);
        std::uint16_t* codes = own.after.data() + r * wide.columns;
        loops.encode(own.values.data() + inner_from, codes + inner_from, inner_to - inner_from);
        if (r >= detail_margin.rows && r < detail_margin.rows + tile.rows) {
            std::copy_n(codes + detail_margin.columns, tile.columns,
                        ring.data() + static_cast<std::size_t>(y) * extent.columns + tile.column);
        }
    }
}

void Refocuser::State::record_brightness(const Window& tile, std::size_t group, Scratch& own) {
    constexpr std::size_t cell = focus::cell_px;
    const std::size_t reach = params.detail_px / 2;
    const std::size_t seen = tile.columns + 2 * (detail_margin.columns + reach);
    const bool kept = record.keeps(group);
    for (std::size_t y = tile.row / cell; y < std::min(cells.rows, (tile.row + tile.rows) / cell); ++y) {
        own.cells.assign(tile.columns, 0.0F);
        own.saturated.assign(tile.columns, 0.0F);
        for (std::size_t k = 0; k < cell; ++k) {
            const std::size_t row = y * cell + k - tile.row + detail_margin.rows + reach;
            loops.add(own.mean.data() + row * seen + detail_margin.columns + reach,
                      static_cast<float>(saturation), own.cells.data(), own.saturated.data(), tile.columns);
        }
        for (std::size_t x = tile.column / cell;
             x < std::min(cells.columns, (tile.column + tile.columns) / cell); ++x) {
            float sum = 0.0F, full = 0.0F;
            for (std::size_t k = 0; k < cell; ++k) {
                sum += own.cells[x * cell - tile.column + k];
                full += own.saturated[x * cell - tile.column + k];
            }
            constexpr auto pixels = static_cast<float>(cell * cell);
            const std::size_t at = y * cells.columns + x;
            if (kept) record.row(group).brightness[at] = focus::encode(sum / pixels);
            saturated[at] = std::max(saturated[at], full / pixels);
        }
    }
}

/// Tensor of a group's detail in and around a tile, zero outside the image: its gradient times the mean
/// gradient of the details before and after it. Noise differs from group to group and averages out; what
/// moves from group to group does too.
void Refocuser::State::find_energy(const Window& tile, std::size_t index, std::size_t group, Scratch& own) {
    const Extent wide{tile.rows + 2 * margin.rows, tile.columns + 2 * margin.columns};
    const Extent wider{wide.rows + 2, wide.columns + 2};
    const bool with_before = groups.near_before(group);
    const bool with_after = groups.near_after(group);
    const auto& middle = detail[group % ScanGroups::details];
    const auto& before = detail[(group + ScanGroups::details - 1) % ScanGroups::details];
    own.now.assign(wider.rows * wider.columns, 0.0F);
    own.around.assign(wider.rows * wider.columns, 0.0F);
    const std::size_t x0 = tile.column - std::min(tile.column, detail_margin.columns);
    const std::size_t x1 = std::min(extent.columns, tile.column + tile.columns + detail_margin.columns);
    const std::size_t first = x0 + detail_margin.columns - tile.column;
    // Such rows that the tile itself holds one, however few it has.
    const std::size_t noise_row = (detail_margin.rows + std::min(noise_rows, tile.rows) / 2) % noise_rows;
    Noise noise{.one_sided = with_before != with_after, .alone = !with_before && !with_after};
    for (std::size_t r = 0; r < wider.rows; ++r) {
        if (tile.row + r < detail_margin.rows || tile.row + r - detail_margin.rows >= extent.rows) continue;
        const std::size_t at = (tile.row + r - detail_margin.rows) * extent.columns + x0;
        const std::uint16_t* now = middle.data() + at;
        const std::uint16_t* after = own.after.data() + r * wider.columns + first;
        const std::uint16_t* past = with_before ? before.data() + at : with_after ? after : now;
        const std::uint16_t* next = with_after ? after : past;
        loops.decode(now, own.now.data() + r * wider.columns + first, x1 - x0);
        loops.decode_mean(past, next, own.around.data() + r * wider.columns + first, x1 - x0);
        if (r % noise_rows == noise_row) noise.add(past, now, next, x1 - x0);
    }
    tile_noise[index] = std::min(tile_noise[index], noise.variance());

    own.energy.assign(tensor_entries * wide.rows * wide.columns, 0.0F);
    own.slopes.resize(4 * wide.columns);
    float *ax = own.slopes.data(), *ay = ax + wide.columns, *bx = ay + wide.columns, *by = bx + wide.columns;
    const std::size_t inner_from = tile.column < margin.columns ? margin.columns - tile.column : 0;
    const std::size_t inner =
        std::min(wide.columns, extent.columns + margin.columns - tile.column) - inner_from;
    for (std::size_t r = 0; r < wide.rows; ++r) {
        if (tile.row + r < margin.rows || tile.row + r - margin.rows >= extent.rows) continue;
        const float* now = own.now.data() + r * wider.columns + inner_from;
        const float* around = own.around.data() + r * wider.columns + inner_from;
        loops.gradient(now, now + wider.columns, now + 2 * wider.columns, ax, ay, inner);
        loops.gradient(around, around + wider.columns, around + 2 * wider.columns, bx, by, inner);
        float* xx = own.energy.data() + r * wide.columns + inner_from;
        float* yy = xx + wide.rows * wide.columns;
        loops.tensor(ax, ay, bx, by, xx, yy, yy + wide.rows * wide.columns, inner);
    }
}

}  // namespace lee
