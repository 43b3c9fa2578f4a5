#pragma once

#include <cstddef>
#include <vector>

#include "lee/footprint.hpp"

namespace lee {

/// Pixels dx, dx + 1, ..., dx + length - 1 of a row, relative to the centre.
struct Run {
    std::ptrdiff_t dx;
    std::ptrdiff_t length;
    bool operator==(const Run&) const = default;
};

/// A footprint as rows of horizontal runs, relative to its centre; rows of equal runs are kept once.
struct FootprintRuns {
    std::vector<std::vector<Run>> rows;  ///< the distinct rows
    std::vector<int> row_of;  ///< for dy = dy_min, dy_min + 1, ...: index into rows, -1 where empty
    std::ptrdiff_t dy_min = 0;
    std::ptrdiff_t dx_min = 0;
    std::ptrdiff_t dx_max = 0;

    [[nodiscard]] std::ptrdiff_t dy_max() const {
        return dy_min + static_cast<std::ptrdiff_t>(row_of.size()) - 1;
    }
};

/// Runs of a footprint as far as they can reach within a (height, width) image.
///
/// reflect  mirror it through its centre
/// throws   ShapeError or std::invalid_argument where it is empty, or its centre outside; the message opens
///          with `operation`
FootprintRuns footprint_runs(const char* operation, const Footprint& footprint, std::size_t height,
                             std::size_t width, bool reflect);

}  // namespace lee
