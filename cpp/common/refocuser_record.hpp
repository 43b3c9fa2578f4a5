#pragma once

// What cells of a scan showed over time, kept for occlusions to be found in, the same on every backend.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/both.hpp"
#include "common/refocuser_pixel.hpp"

namespace lee {

/// One row for every group of a scan; of a long one for every second, fourth ... group, so that no more than
/// `capacity` are kept.
template <class Row>
class Record {
  public:
    static constexpr std::size_t capacity = 128;

    [[nodiscard]] bool keeps(std::size_t group) const { return group % stride_ == 0; }
    /// Make room for a group, which follows the last one, if it is to be kept.
    template <class Make>
    void begin(std::size_t group, const Make& make) {
        if (group / stride_ == capacity) {
            for (std::size_t k = 1; k < capacity / 2; ++k) rows_[k] = std::move(rows_[2 * k]);
            rows_.resize(capacity / 2);
            stride_ *= 2;
        }
        if (keeps(group)) rows_.push_back(make());
    }
    /// Of a group that is kept.
    [[nodiscard]] Row& row(std::size_t group) { return rows_[group / stride_]; }
    [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }

  private:
    std::vector<Row> rows_;
    std::size_t stride_ = 1;
};

/// Heights of rows in rising order, and what to search them by.
struct RecordHeights {
    explicit RecordHeights(const std::vector<double>& z_um) : order(z_um.size()) {
        for (std::size_t k = 0; k < order.size(); ++k) order[k] = k;
        std::sort(order.begin(), order.end(),
                  [&](std::size_t a, std::size_t b) { return z_um[a] < z_um[b]; });
        for (std::size_t k = 1; k < order.size(); ++k) {
            borders.push_back(static_cast<float>(0.5 * (z_um[order[k - 1]] + z_um[order[k]])));
        }
    }
    std::vector<std::size_t> order;  // rows, from the lowest
    std::vector<float> borders;      // half way between neighbours
};

namespace focus {

/// Place of a height among `count` rising borders: how many lie below it.
LEE_BOTH std::size_t place_among(const float* borders, std::size_t count, float z) {
    std::size_t low = 0, high = count;
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (borders[middle] < z) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/// Cell, along one axis, of a pixel of a level.
LEE_BOTH std::size_t cell_of(std::size_t at, std::size_t level, std::size_t cells) {
    const std::size_t cell = (at << level) / cell_px;
    return cell < cells ? cell : cells - 1;
}

/// Take the maxima of a pixel that are rejected out of its two; the other moves up.
template <class Peaks>
LEE_BOTH void take_out(const Peaks& peaks, std::size_t at, bool first, bool second) {
    if (first && !second && finite(peaks.z_um[1][at])) {
        peaks.z_um[0][at] = peaks.z_um[1][at];
        peaks.peak[0][at] = peaks.peak[1][at];
        peaks.width[0][at] = peaks.width[1][at];
        if (peaks.counts[0] != nullptr) peaks.counts[0][at] = peaks.counts[1][at];
        second = true, first = false;
    }
    for (int k = 0; k < 2; ++k) {
        if (k == 0 ? !first : !second) continue;
        peaks.z_um[k][at] = __builtin_nanf("");
        peaks.peak[k][at] = 0;
        peaks.width[k][at] = 0;
    }
}

}  // namespace focus
}  // namespace lee
