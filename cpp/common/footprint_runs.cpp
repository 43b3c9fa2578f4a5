#include "common/footprint_runs.hpp"

#include <algorithm>
#include <string>

#include "common/check.hpp"

namespace lee {
namespace {

std::vector<Run> runs_of_row(const Footprint& footprint, std::size_t row, std::ptrdiff_t reach,
                             bool reflect) {
    const auto width = static_cast<std::ptrdiff_t>(footprint.mask.shape[1]);
    const auto centre = static_cast<std::ptrdiff_t>(footprint.centre_x);
    std::vector<Run> runs;
    for (std::ptrdiff_t step = 0; step < width; ++step) {
        const std::ptrdiff_t column = reflect ? width - 1 - step : step;
        const std::ptrdiff_t dx = reflect ? centre - column : column - centre;
        if (footprint.mask(row, column) == 0 || dx < -reach || dx > reach) continue;
        if (!runs.empty() && runs.back().dx + runs.back().length == dx) {
            ++runs.back().length;
        } else {
            runs.push_back({.dx = dx, .length = 1});
        }
    }
    return runs;
}

}  // namespace

FootprintRuns footprint_runs(const char* operation, const Footprint& footprint, std::size_t height,
                             std::size_t width, bool reflect) {
    const auto& mask = footprint.mask;
    check::not_empty(operation, "the footprint", mask);
    if (footprint.centre_y >= mask.shape[0] || footprint.centre_x >= mask.shape[1]) {
        throw ShapeError(std::string(operation) + ": the footprint's centre (" +
                         std::to_string(footprint.centre_y) + ", " + std::to_string(footprint.centre_x) +
                         ") is outside its mask of shape " + check::text(mask.shape));
    }
    check::that(std::any_of(mask.data, mask.data + mask.size(), [](std::uint8_t set) { return set != 0; }),
                operation, "the footprint has no pixel");

    FootprintRuns out;
    const auto rows = static_cast<std::ptrdiff_t>(mask.shape[0]);
    const auto centre = static_cast<std::ptrdiff_t>(footprint.centre_y);
    const auto reach_y = static_cast<std::ptrdiff_t>(height) - 1;
    const auto reach_x = static_cast<std::ptrdiff_t>(width) - 1;
    bool first = true;
    for (std::ptrdiff_t step = 0; step < rows; ++step) {
        const std::ptrdiff_t row = reflect ? rows - 1 - step : step;
        const std::ptrdiff_t dy = reflect ? centre - row : row - centre;
        if (dy < -reach_y || dy > reach_y) continue;
        const auto runs = runs_of_row(footprint, static_cast<std::size_t>(row), reach_x, reflect);
        if (runs.empty() && first) continue;
        if (first) {
            out.dy_min = dy;
            out.dx_min = runs.front().dx;
            out.dx_max = runs.front().dx;
            first = false;
        }
        if (runs.empty()) {
            out.row_of.push_back(-1);
            continue;
        }
        out.dx_min = std::min(out.dx_min, runs.front().dx);
        out.dx_max = std::max(out.dx_max, runs.back().dx + runs.back().length - 1);
        const auto known = std::find(out.rows.begin(), out.rows.end(), runs);
        out.row_of.push_back(static_cast<int>(known - out.rows.begin()));
        if (known == out.rows.end()) out.rows.push_back(runs);
    }
    while (!out.row_of.empty() && out.row_of.back() < 0) out.row_of.pop_back();
    // Nothing within reach: one empty row, so that there is something to run over.
    if (out.row_of.empty()) out.row_of.push_back(-1);
    return out;
}

}  // namespace lee
