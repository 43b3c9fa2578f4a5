#include "lee/refocuser.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "common/check.hpp"
#include "common/focus_fit.hpp"
#include "common/parallel.hpp"
#include "kernels/simd/refocuser.hpp"

namespace lee {
namespace {

constexpr std::size_t most_levels = 4;
constexpr std::size_t tile_rows = 64;
constexpr std::size_t tile_columns = 256;  // with its halo a tile's scratch stays in the second cache
constexpr std::size_t most_frames_a_group = 256;  // their 8-bit sum fits 16 bits
constexpr double groups_a_depth = 4.0;  // finer gains nothing, coarser leaves too few samples on the focus curve
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

std::size_t blocks(std::size_t extent, std::size_t block) {
    return (extent + block - 1) / block;
}

struct Extent {
    std::size_t rows, columns;
};

/// Focus curves at one window size: the last groups of them, and the maxima so far.
struct Level {
    Level(Extent e, Extent margin, bool with_counts)
        : extent(e), energy_columns(e.columns + 2 * margin.columns) {
        const std::size_t n = e.rows * e.columns;
        for (auto& group : ring) group.assign(n, 0);
        floor.assign(n, std::numeric_limits<std::uint16_t>::max());
        for (std::size_t k = 0; k < 2; ++k) {
            z_um[k].assign(n, nan);
            peak[k].assign(n, 0);
            width[k].assign(n, 0);
            if (with_counts) counts[k].assign(n, 0.0F);
        }
        if (!with_counts) energy.assign((e.rows + 2 * margin.rows) * energy_columns, 0.0F);
    }

    [[nodiscard]] simd::PeakRow peaks_at(std::size_t offset) {
        const bool kept = !counts[0].empty();
        return {.z_um = {z_um[0].data() + offset, z_um[1].data() + offset},
                .peak = {peak[0].data() + offset, peak[1].data() + offset},
                .width = {width[0].data() + offset, width[1].data() + offset},
                .counts = {kept ? counts[0].data() + offset : nullptr, kept ? counts[1].data() + offset : nullptr}};
    }

    [[nodiscard]] std::size_t bytes() const {
        const std::size_t n = extent.rows * extent.columns;
        return n * (sizeof(std::uint16_t) * (ring.size() + 1 + 4) + sizeof(float) * 2) +
               sizeof(float) * (energy.size() + counts[0].size() + counts[1].size());
    }

    Extent extent;
    std::array<std::vector<std::uint16_t>, simd::ring_groups> ring;
    std::vector<std::uint16_t> floor;
    std::array<std::vector<float>, 2> z_um;
    std::array<std::vector<std::uint16_t>, 2> peak, width;
    std::array<std::vector<float>, 2> counts;  // finest level only
    std::size_t energy_columns;
    std::vector<float> energy;  // this group's, in a margin of zeros; coarser levels only
};

/// What one worker needs to take a tile or a band through.
struct Scratch {
    std::vector<float> mean, mean_sums, energy, energy_sums;
    std::vector<std::uint16_t> no_floor;
};

}  // namespace

struct Refocuser::State {
    State(Extent e, const RefocuserParams& p)
        : extent(e),
          params(p),
          loops(LEE_BEST_ISA(refocuser_loops)),
          margin{p.window_y_px / 2, p.window_x_px / 2},
          workers(worker_count(std::numeric_limits<std::size_t>::max(), p.threads)),
          scratch(static_cast<std::size_t>(workers)) {
        levels.emplace_back(e, margin, true);
        for (std::size_t k = 1; k < most_levels; ++k) {
            const Extent half{levels.back().extent.rows / 2, levels.back().extent.columns / 2};
            if (half.rows < p.window_y_px || half.columns < p.window_x_px) break;
            levels.emplace_back(half, margin, false);
        }
        for (auto& group : counts_ring) group.assign(e.rows * e.columns, 0.0F);
    }

    template <class Frame>
    void push(HostView<const Frame, 2> frame, double z_um, int shift_y, int shift_x);
    template <class Frame>
    void add(HostView<const Frame, 2> frame, int shift_y, int shift_x);
    void end_group();
    void finest(std::size_t tile, Scratch& own, bool last);
    void coarser(Level& level, Level* next, std::size_t band, Scratch& own, bool last);
    void pool_and_track(Level& level, const float* energy_sums, std::size_t sums_columns, std::size_t first_row,
                        std::size_t rows, std::size_t first_column, std::size_t columns, Scratch& own, bool last);
    void advance(bool last);

    Extent extent;
    RefocuserParams params;
    const simd::RefocuserLoops& loops;
    Extent margin;
    int workers;
    std::vector<Scratch> scratch;
    std::vector<Level> levels;
    std::array<std::vector<float>, 3> counts_ring;

    std::vector<std::uint16_t> sum_u8;  // of 8-bit frames
    std::vector<float> sum_f32;         // of others
    std::size_t in_group = 0;
    double first_z = 0.0, sum_z = 0.0, last_z = 0.0;
    int direction = 0;
    std::size_t frames = 0;
    std::size_t groups = 0;
    std::array<double, simd::ring_groups> group_z{};
    bool closed = false;
};

template <class Frame>
void Refocuser::State::push(HostView<const Frame, 2> frame, double z_um, int shift_y, int shift_x) {
    constexpr const char* name = "refocuser";
    check::that(!closed, name, "the scan has been closed; start a new refocuser for the next one");
    const std::array<std::size_t, 2> shape{extent.rows, extent.columns};
    if (frame.shape != shape) {
        throw ShapeError("refocuser: frame is " + check::text(frame.shape) + " but the refocuser was made for " +
                         check::text(shape));
    }
    check::that(std::isfinite(z_um), name, "z_um is not finite; give the height the frame focuses on");
    if (frames > 0) {
        const int now = z_um > last_z ? 1 : z_um < last_z ? -1 : 0;
        check::that(now != 0 && (direction == 0 || now == direction), name,
                    "z_um goes from " + std::to_string(last_z) + " to " + std::to_string(z_um) +
                        "; it must rise or fall from frame to frame throughout a scan");
        direction = now;
    }
    constexpr bool bytes = sizeof(Frame) == 1;
    auto& other = bytes ? static_cast<const bool&>(!sum_f32.empty()) : static_cast<const bool&>(!sum_u8.empty());
    check::that(!other, name, "frames of 8 bits and others cannot be mixed in one scan");

    const double group_um = params.depth_of_field_um / groups_a_depth;
    const bool full = std::abs(z_um - first_z) > group_um * (1.0 - 1e-6) || in_group == most_frames_a_group;
    if (in_group > 0 && full) end_group();
    if (in_group == 0) first_z = z_um, sum_z = 0.0;
    add(frame, shift_y, shift_x);
    sum_z += z_um;
    last_z = z_um;
    ++in_group;
    ++frames;
}

template <class Frame>
void Refocuser::State::add(HostView<const Frame, 2> frame, int shift_y, int shift_x) {
    const std::size_t n = extent.columns;
    auto into = [&](auto& sums, auto accumulate) {
        sums.resize(extent.rows * n);
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
                auto* sum = sums.data() + y * n;
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
    group_z[groups % simd::ring_groups] = sum_z / static_cast<double>(in_group);
    ++groups;
    advance(false);
    in_group = 0;
}

/// Take the group just ended through all levels; with `last`, only look for maxima in the group before the last.
void Refocuser::State::advance(bool last) {
    const std::size_t tiles = blocks(extent.rows, tile_rows) * blocks(extent.columns, tile_columns);
    parallel_for(tiles, params.threads, [&](std::size_t tile, int worker) {
        finest(tile, scratch[static_cast<std::size_t>(worker)], last);
    });
    for (std::size_t k = 1; k < levels.size(); ++k) {
        Level* next = k + 1 < levels.size() ? &levels[k + 1] : nullptr;
        parallel_for(blocks(levels[k].extent.rows, tile_rows), params.threads, [&](std::size_t band, int worker) {
            coarser(levels[k], next, band, scratch[static_cast<std::size_t>(worker)], last);
        });
    }
}

/// One tile of the full image: mean of the group, its detail, and from that the finest focus curve.
void Refocuser::State::finest(std::size_t tile, Scratch& own, bool last) {
    const std::size_t tiles_across = blocks(extent.columns, tile_columns);
    const std::size_t y0 = tile / tiles_across * tile_rows;
    const std::size_t x0 = tile % tiles_across * tile_columns;
    const std::size_t rows = std::min(tile_rows, extent.rows - y0);
    const std::size_t columns = std::min(tile_columns, extent.columns - x0);
    if (last) {
        pool_and_track(levels[0], nullptr, 0, y0, rows, x0, columns, own, true);
        return;
    }
    const std::size_t taps = params.detail_px, reach = taps / 2;
    const Extent energy{rows + 2 * margin.rows, columns + 2 * margin.columns};
    const Extent seen{energy.rows + 2 * reach, energy.columns + 2 * reach};
    own.mean.resize(seen.rows * seen.columns);
    own.mean_sums.resize(seen.rows * energy.columns);
    own.energy.resize(energy.rows * energy.columns);
    own.energy_sums.resize(energy.rows * columns);

    const float scale = 1.0F / static_cast<float>(in_group);
    const auto left = static_cast<std::ptrdiff_t>(x0) - static_cast<std::ptrdiff_t>(margin.columns + reach);
    const auto top = static_cast<std::ptrdiff_t>(y0) - static_cast<std::ptrdiff_t>(margin.rows + reach);
    const auto width = static_cast<std::ptrdiff_t>(extent.columns);
    const std::ptrdiff_t from = std::clamp<std::ptrdiff_t>(-left, 0, static_cast<std::ptrdiff_t>(seen.columns));
    const std::ptrdiff_t to = std::clamp<std::ptrdiff_t>(width - left, from, static_cast<std::ptrdiff_t>(seen.columns));
    for (std::size_t r = 0; r < seen.rows; ++r) {
        const auto y = static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(
            top + static_cast<std::ptrdiff_t>(r), 0, static_cast<std::ptrdiff_t>(extent.rows) - 1));
        float* row = own.mean.data() + r * seen.columns;
        const std::size_t at = y * extent.columns + static_cast<std::size_t>(left + from);
        const auto count = static_cast<std::size_t>(to - from);
        if (sum_f32.empty()) {
            loops.mean_u16(sum_u8.data() + at, row + from, count, scale);
        } else {
            loops.mean_f32(sum_f32.data() + at, row + from, count, scale);
        }
        std::fill(row, row + from, row[from]);
        std::fill(row + to, row + seen.columns, row[to - 1]);
        loops.sum_along(row, taps, own.mean_sums.data() + r * energy.columns, energy.columns);
    }
    auto& kept = counts_ring[(groups - 1) % counts_ring.size()];
    for (std::size_t r = 0; r < rows; ++r) {
        const float* row = own.mean.data() + (r + margin.rows + reach) * seen.columns + margin.columns + reach;
        std::copy(row, row + columns, kept.data() + (y0 + r) * extent.columns + x0);
    }
    std::array<const float*, 64> sums;
    for (std::size_t r = 0; r < energy.rows; ++r) {
        for (std::size_t tap = 0; tap < taps; ++tap) sums[tap] = own.mean_sums.data() + (r + tap) * energy.columns;
        float* row = own.energy.data() + r * energy.columns;
        loops.detail(own.mean.data() + (r + reach) * seen.columns + reach, sums.data(), taps,
                     1.0F / static_cast<float>(taps * taps), row, energy.columns);
        loops.sum_along(row, params.window_x_px, own.energy_sums.data() + r * columns, columns);
    }
    if (levels.size() > 1) {
        Level& next = levels[1];
        const std::size_t across = std::min(columns / 2, next.extent.columns - std::min(next.extent.columns, x0 / 2));
        for (std::size_t r = 0; r + 1 < rows && (y0 + r) / 2 < next.extent.rows; r += 2) {
            const float* upper = own.energy.data() + (r + margin.rows) * energy.columns + margin.columns;
            loops.halve(upper, upper + energy.columns,
                        next.energy.data() + ((y0 + r) / 2 + margin.rows) * next.energy_columns + x0 / 2 + margin.columns,
                        across);
        }
    }
    pool_and_track(levels[0], own.energy_sums.data(), columns, y0, rows, x0, columns, own, false);
}

/// A band of rows of a coarser level, whose energy the level before it has filled in.
void Refocuser::State::coarser(Level& level, Level* next, std::size_t band, Scratch& own, bool last) {
    const std::size_t y0 = band * tile_rows;
    const std::size_t rows = std::min(tile_rows, level.extent.rows - y0);
    const std::size_t columns = level.extent.columns;
    if (!last) {
        own.energy_sums.resize((rows + 2 * margin.rows) * columns);
        for (std::size_t r = 0; r < rows + 2 * margin.rows; ++r) {
            loops.sum_along(level.energy.data() + (y0 + r) * level.energy_columns, params.window_x_px,
                            own.energy_sums.data() + r * columns, columns);
        }
        for (std::size_t r = 0; next != nullptr && r + 1 < rows && (y0 + r) / 2 < next->extent.rows; r += 2) {
            const float* upper = level.energy.data() + (y0 + r + margin.rows) * level.energy_columns + margin.columns;
            loops.halve(upper, upper + level.energy_columns,
                        next->energy.data() + ((y0 + r) / 2 + margin.rows) * next->energy_columns + margin.columns,
                        next->extent.columns);
        }
    }
    pool_and_track(level, own.energy_sums.data(), columns, y0, rows, 0, columns, own, last);
}

void Refocuser::State::pool_and_track(Level& level, const float* energy_sums, std::size_t sums_columns,
                                      std::size_t first_row, std::size_t rows, std::size_t first_column,
                                      std::size_t columns, Scratch& own, bool last) {
    const std::size_t newest = groups - 1;
    const std::size_t middle = newest - 2;
    const bool look = groups > 3;  // the first group has nothing before it, so it is no maximum
    const float scale = 1.0F / static_cast<float>(params.window_y_px * params.window_x_px);
    std::array<float, simd::ring_groups> u{};
    float z_middle = 0.0F;
    if (look) {
        const double z = group_z[middle % simd::ring_groups];
        z_middle = static_cast<float>(z);
        for (std::size_t k = 0; k < u.size(); ++k) {
            // Groups before the first hold no focus; any height will do for them.
            if (middle + k >= 2) u[k] = static_cast<float>(group_z[(middle + k - 2) % simd::ring_groups] - z);
        }
    }
    own.no_floor.assign(columns, std::numeric_limits<std::uint16_t>::max());
    std::array<const float*, 64> sums;
    for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t offset = (first_row + r) * level.extent.columns + first_column;
        std::uint16_t* now = level.ring[newest % simd::ring_groups].data() + offset;
        if (last) {
            std::fill(now, now + columns, std::uint16_t{0});
        } else {
            for (std::size_t tap = 0; tap < params.window_y_px; ++tap) sums[tap] = energy_sums + (r + tap) * sums_columns;
            loops.pool(sums.data(), params.window_y_px, scale, now, columns);
        }
        if (!look) {
            std::uint16_t* least = level.floor.data() + offset;
            for (std::size_t x = 0; x < columns && !last; ++x) least[x] = std::min(least[x], now[x]);
            continue;
        }
        std::array<const std::uint16_t*, simd::ring_groups> ring;
        for (std::size_t k = 0; k < ring.size(); ++k) {
            ring[k] = level.ring[(newest + 1 + k) % simd::ring_groups].data() + offset;
        }
        const float* counts = level.counts[0].empty() ? nullptr : counts_ring[middle % counts_ring.size()].data() + offset;
        loops.track(ring.data(), u.data(), z_middle, counts, last ? own.no_floor.data() : level.floor.data() + offset,
                    level.peaks_at(offset), columns);
    }
}

Refocuser::Refocuser(std::size_t height, std::size_t width, const RefocuserParams& params) {
    constexpr const char* name = "refocuser";
    if (height == 0 || width == 0) {
        throw ShapeError("refocuser: the frame shape is " + check::text(std::array{height, width}) +
                         "; both must be at least 1");
    }
    const auto odd = [&](std::size_t value, const char* what) {
        check::that(value % 2 == 1 && value >= 3 && value <= 63, name,
                    std::string(what) + " is " + std::to_string(value) + "; give an odd number from 3 to 63");
    };
    odd(params.window_y_px, "window_y_px");
    odd(params.window_x_px, "window_x_px");
    odd(params.detail_px, "detail_px");
    check::that(params.depth_of_field_um > 0.0 && std::isfinite(params.depth_of_field_um), name,
                "depth_of_field_um is " + std::to_string(params.depth_of_field_um) + "; give a length above 0");
    state_ = std::make_unique<State>(Extent{height, width}, params);
}

Refocuser::~Refocuser() = default;
Refocuser::Refocuser(Refocuser&&) noexcept = default;
Refocuser& Refocuser::operator=(Refocuser&&) noexcept = default;

void Refocuser::push(HostView<const std::uint8_t, 2> frame, double z_um, int shift_y, int shift_x) {
    state_->push(frame, z_um, shift_y, shift_x);
}
void Refocuser::push(HostView<const std::uint16_t, 2> frame, double z_um, int shift_y, int shift_x) {
    state_->push(frame, z_um, shift_y, shift_x);
}
void Refocuser::push(HostView<const float, 2> frame, double z_um, int shift_y, int shift_x) {
    state_->push(frame, z_um, shift_y, shift_x);
}

void Refocuser::close() {
    State& s = *state_;
    if (s.closed) return;
    if (s.in_group > 0) s.end_group();
    s.closed = true;
    if (s.groups < 3) return;
    const double step = s.group_z[(s.groups - 1) % simd::ring_groups] - s.group_z[(s.groups - 2) % simd::ring_groups];
    s.group_z[s.groups % simd::ring_groups] = s.group_z[(s.groups - 1) % simd::ring_groups] + step;
    ++s.groups;
    s.advance(true);
}

void Refocuser::preview(HostView<float, 2> height_um) const {
    const Level& level = state_->levels[std::min<std::size_t>(1, state_->levels.size() - 1)];
    const std::array<std::size_t, 2> shape{state_->extent.rows, state_->extent.columns};
    if (height_um.shape != shape) {
        throw ShapeError("refocuser: height_um is " + check::text(height_um.shape) + " but frames are " +
                         check::text(shape));
    }
    const std::size_t factor = &level == state_->levels.data() ? 1 : 2;
    for (std::size_t y = 0; y < shape[0]; ++y) {
        const std::size_t row = std::min(y / factor, level.extent.rows - 1) * level.extent.columns;
        for (std::size_t x = 0; x < shape[1]; ++x) {
            height_um(y, x) = level.z_um[0][row + std::min(x / factor, level.extent.columns - 1)];
        }
    }
}

std::size_t Refocuser::frames() const noexcept {
    return state_->frames;
}

std::size_t Refocuser::levels() const noexcept {
    return state_->levels.size();
}

double Refocuser::state_bytes_per_pixel() const noexcept {
    const State& s = *state_;
    std::size_t bytes = sizeof(std::uint16_t) * s.sum_u8.size() + sizeof(float) * s.sum_f32.size();
    for (const auto& group : s.counts_ring) bytes += sizeof(float) * group.size();
    for (const Level& level : s.levels) bytes += level.bytes();
    return static_cast<double>(bytes) / static_cast<double>(s.extent.rows * s.extent.columns);
}

std::size_t Refocuser::level_height(std::size_t level) const {
    return state_->levels.at(level).extent.rows;
}

std::size_t Refocuser::level_width(std::size_t level) const {
    return state_->levels.at(level).extent.columns;
}

void Refocuser::peaks(std::size_t level, const FocusPeaks& out) const {
    const Level& from = state_->levels.at(level);
    const std::size_t n = from.extent.rows * from.extent.columns;
    const std::array<std::size_t, 3> shape{2, from.extent.rows, from.extent.columns};
    for (const auto& view : {out.z_um, out.peak, out.width_um}) {
        if (view.shape != shape) {
            throw ShapeError("refocuser: an array for the peaks is " + check::text(view.shape) + ", not " +
                             check::text(shape));
        }
    }
    for (std::size_t k = 0; k < 2; ++k) {
        for (std::size_t i = 0; i < n; ++i) {
            const float curvature = focus::decode(from.width[k][i]);
            out.z_um.data[k * n + i] = from.z_um[k][i];
            out.peak.data[k * n + i] = focus::decode(from.peak[k][i]);
            out.width_um.data[k * n + i] = curvature > 0.0F ? 1.0F / std::sqrt(curvature) : nan;
        }
    }
}

void Refocuser::counts(HostView<float, 3> out) const {
    const Level& from = state_->levels.front();
    const std::size_t n = from.extent.rows * from.extent.columns;
    const std::array<std::size_t, 3> shape{2, from.extent.rows, from.extent.columns};
    if (out.shape != shape) {
        throw ShapeError("refocuser: the array for counts is " + check::text(out.shape) + ", not " + check::text(shape));
    }
    for (std::size_t k = 0; k < 2; ++k) std::copy(from.counts[k].begin(), from.counts[k].end(), out.data + k * n);
}

void Refocuser::floor(std::size_t level, HostView<float, 2> out) const {
    const Level& from = state_->levels.at(level);
    const std::array<std::size_t, 2> shape{from.extent.rows, from.extent.columns};
    if (out.shape != shape) {
        throw ShapeError("refocuser: the array for the floor is " + check::text(out.shape) + ", not " +
                         check::text(shape));
    }
    for (std::size_t i = 0; i < from.floor.size(); ++i) out.data[i] = focus::decode(from.floor[i]);
}

}  // namespace lee
