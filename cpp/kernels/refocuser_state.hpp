#pragma once

// The state of a refocuser during a scan, and how the next group of frames changes it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/refocuser_groups.hpp"
#include "common/refocuser_pixel.hpp"
#include "common/refocuser_record.hpp"
#include "kernels/simd/refocuser.hpp"
#include "lee/refocuser.hpp"

namespace lee {

// With its halo a tile's scratch stays in the second cache.
using focus::tile_columns, focus::tile_rows;

inline std::size_t blocks(std::size_t extent, std::size_t block) {
    return (extent + block - 1) / block;
}

struct Extent {
    std::size_t rows, columns;
};

/// Entries of the tensor that focus is pooled from: the products of the detail's gradient with itself.
constexpr std::size_t tensor_entries = 3;

/// Focus curves at one window size: the last groups of them, and the maxima so far.
struct FocusLevel {
    FocusLevel(Extent extent, Extent margin, bool finest);

    [[nodiscard]] simd::PeakRow peaks_at(std::size_t offset);
    [[nodiscard]] std::size_t bytes() const;

    Extent extent;
    std::array<std::vector<std::uint16_t>, ScanGroups::ring> ring;
    std::array<std::vector<float>, 2> z_um;
    std::array<std::vector<std::uint16_t>, 2> peak, width;
    std::array<std::vector<float>, 2> counts;  // finest level only
    std::size_t energy_columns;
    std::size_t energy_size;    // of one entry of the tensor
    std::vector<float> energy;  // coarser levels only: this group's tensor, entry by entry, a margin of zeros
};

/// What the cells showed in one group of frames, coded.
struct CellRow {
    double z_um = 0.0;
    std::vector<std::uint16_t> brightness, focus;
};

struct Refocuser::State {
    State(Extent extent, const RefocuserParams& params);

    template <class Frame>
    void push(HostView<const Frame, 2> frame, double z_um, double drift_y_px, double drift_x_px);
    void close();

    /// Noise of the focus measure, counts: its value where nothing is in focus.
    [[nodiscard]] float noise() const;

    Extent extent;
    RefocuserParams params;
    std::vector<FocusLevel> levels;
    Extent cells{};
    Record<CellRow> record;
    std::vector<float> saturated;  // largest share of saturated pixels in a cell
    double saturation = std::numeric_limits<double>::infinity();
    ScanGroups groups;

    std::array<std::vector<std::uint16_t>, ScanGroups::sums> sum_u8;  // of 8-bit frames
    std::array<std::vector<float>, ScanGroups::sums> sum_f32;         // of others
    std::array<std::vector<std::uint16_t>, ScanGroups::details> detail;

  private:
    /// Scratch memory of one worker, for a tile or a band.
    struct Scratch {
        std::vector<float> whole, resampled, mean, mean_sums, values, now, around, slopes, energy,
            energy_sums, counts, cells, saturated;
        std::vector<std::uint16_t> after;
    };
    /// A part of a level, in its own pixels.
    struct Window {
        std::size_t row, rows, column, columns;
    };

    template <class Frame>
    void add(HostView<const Frame, 2> frame, bool first);
    void end_group();
    [[nodiscard]] float dark_level() const;
    void take_energy(std::size_t group);
    void start_counts(const Window& tile);
    void take_tile(std::size_t tile, std::size_t group, Scratch& own);
    void take_band(FocusLevel& level, FocusLevel* next, std::size_t band, std::size_t group, Scratch& own);
    void find_detail(const Window& tile, Scratch& own);
    void find_mean(std::ptrdiff_t top, std::ptrdiff_t left, Extent seen, Scratch& own);
    void mean_rows(std::ptrdiff_t top, std::ptrdiff_t left, Extent seen, float* out) const;
    void mean_row(std::size_t group, std::size_t offset, std::size_t count, float* out) const;
    void record_brightness(const Window& tile, std::size_t group, Scratch& own);
    void record_focus(std::size_t group);
    void find_energy(const Window& tile, std::size_t index, std::size_t group, Scratch& own);
    void halve(const float* energy, std::size_t energy_columns, std::size_t energy_size, const Window& from,
               FocusLevel& to) const;
    void pool(FocusLevel& level, const Window& window, std::size_t group, Scratch& own);
    void track(FocusLevel& level, const Window& window, std::size_t newest, Scratch& own);
    void flush();

    const simd::RefocuserLoops& loops;
    Extent margin;         // of the energy around a window
    Extent detail_margin;  // of the detail around that
    std::vector<Scratch> scratch;
    std::vector<double> tile_noise;  // the minimum of any group
    float dark = 1.0F;  // counts; keeps the variance of dark pixels from being divided by nothing
};

}  // namespace lee
