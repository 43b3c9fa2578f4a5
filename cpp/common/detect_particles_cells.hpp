#pragma once

// Spots listed by cell of the image, and the steps of the search for one cell: neighbours' spots are read
// from the cells around. Cells two apart never touch the same pixels, so all cells with both indices even,
// and so on, can be processed at once; the result does not depend on the order.
#include "common/detect_particles_pixel.hpp"
#include "common/detect_particles_spot.hpp"

namespace lee::particles {

/// Spots a cell can hold.
inline constexpr int cell_spots = 24;

/// Action on a spot at the next `commit_cell`.
enum class Duty : std::uint8_t { none, draw, erase };

struct Emitter {
    Spot spot;
    float snr;
    Duty duty;
    bool settled;  ///< examined, with no change around it since
};

struct Cell {
    int count;
    Emitter emitters[cell_spots];
};

struct Grid {
    int rows, columns;
    float side_px;
    [[nodiscard]] LEE_BOTH int size() const { return rows * columns; }
    [[nodiscard]] LEE_BOTH int at(float y, float x) const {
        const int cy = static_cast<int>(y / side_px), cx = static_cast<int>(x / side_px);
        return (cy < 0      ? 0
                : cy < rows ? cy
                            : rows - 1) *
                   columns +
               (cx < 0         ? 0
                : cx < columns ? cx
                               : columns - 1);
    }
};

/// Side of a cell: the reach of fitting and drawing, and some room for a spot to move, so that cells two
/// apart do not touch.
LEE_BOTH float cell_side(float point) {
    return __builtin_ceilf((drawn_widest + fitted * widest + 3.0F) * point) + 3.0F;
}

/// Detection thresholds, in standard deviations of the filter's output.
struct Limits {
    float alone;      ///< of a single spot
    float companion;  ///< of one beside such a spot, or of splitting it
    float mismatch;   ///< share of a bright spot that its true shape may differ from a Gaussian
    float one_pixel;  ///< chi square that a spot must explain beyond one pixel of it, in squared deviations
};

/// Call see(emitter, is_own) for all spots in a cell and those around it.
template <class See>
LEE_BOTH void for_each_near(const Grid& grid, const Cell* cells, int cell, const See& see) {
    const int cy = cell / grid.columns, cx = cell % grid.columns;
    for (int y = cy > 0 ? cy - 1 : 0; y <= (cy + 1 < grid.rows ? cy + 1 : cy); ++y) {
        for (int x = cx > 0 ? cx - 1 : 0; x <= (cx + 1 < grid.columns ? cx + 1 : cx); ++x) {
            const Cell& other = cells[y * grid.columns + x];
            for (int k = 0; k < other.count; ++k) {
                if (other.emitters[k].duty != Duty::erase) see(other.emitters[k]);
            }
        }
    }
}

LEE_BOTH float squared_distance(const Spot& a, const Spot& b) {
    return (a.y - b.y) * (a.y - b.y) + (a.x - b.x) * (a.x - b.x);
}

/// An order of spots that does not depend on their place in memory.
LEE_BOTH bool before(const Spot& a, const Spot& b) {
    return a.y < b.y || (a.y == b.y && a.x < b.x);
}

LEE_BOTH bool same(const Spot& a, const Spot& b) {
    return a.y == b.y && a.x == b.x && a.peak == b.peak;
}

/// Draw new spots into the residuals and erase removed ones; true where anything changed.
LEE_BOTH bool commit_cell(const Residuals& image, Cell& cell, float point) {
    bool changed = false;
    int kept = 0;
    for (int k = 0; k < cell.count; ++k) {
        Emitter one = cell.emitters[k];
        if (one.duty == Duty::draw) draw(image, one.spot, -1.0F, point);
        if (one.duty == Duty::erase) draw(image, one.spot, 1.0F, point);
        changed = changed || one.duty != Duty::none;
        if (one.duty == Duty::erase) continue;
        one.duty = Duty::none;
        cell.emitters[kept++] = one;
    }
    cell.count = kept;
    return changed;
}

/// The place of a cell; its spots stay there, or near.
struct Home {
    float y0, x0, side, roam;

    LEE_BOTH Home(const Grid& grid, int index, float point)
        : y0(static_cast<float>(index / grid.columns) * grid.side_px),
          x0(static_cast<float>(index % grid.columns) * grid.side_px),
          side(grid.side_px),
          roam(1.4F * point) {}
    LEE_BOTH void keep(Spot& spot) const {
        spot.y = clamped(spot.y, y0 - roam, y0 + side + roam);
        spot.x = clamped(spot.x, x0 - roam, x0 + side + roam);
    }
};

/// Whether a spot has moved by more than `tolerance`.
LEE_BOTH bool has_moved(const Spot& spot, const Spot& next, float tolerance) {
    const float dy = next.y > spot.y ? next.y - spot.y : spot.y - next.y;
    const float dx = next.x > spot.x ? next.x - spot.x : spot.x - next.x;
    const float change = (next.peak > spot.peak ? next.peak - spot.peak : spot.peak - next.peak) / next.peak;
    return dy > tolerance || dx > tolerance || 0.5F * change > tolerance;
}

/// One step of every spot of a cell; true where any moved by more than `tolerance`.
LEE_BOTH bool sweep_cell(const Residuals& image, const Grid& grid, Cell& cell, int index, float point,
                         float tolerance) {
    bool moved = false;
    const Home home(grid, index, point);
    for (int k = 0; k < cell.count; ++k) {
        Spot& spot = cell.emitters[k].spot;
        Spot next = spot;
        if (!step(normal_of(image, spot), next)) continue;
        home.keep(next);
        redraw(image, spot, next, point);
        moved = moved || has_moved(spot, next, tolerance);
        spot = next;
    }
    return moved;
}

/// The spots in a cell now, from the lists of the cell and those around it; `lost`: those that did not fit.
LEE_BOTH void gather_cell(const Grid& grid, const Cell* kept, int index, Cell& out, int& lost) {
    out.count = 0;
    lost = 0;
    const int cy = index / grid.columns, cx = index % grid.columns;
    for (int y = cy > 0 ? cy - 1 : 0; y <= (cy + 1 < grid.rows ? cy + 1 : cy); ++y) {
        for (int x = cx > 0 ? cx - 1 : 0; x <= (cx + 1 < grid.columns ? cx + 1 : cx); ++x) {
            const Cell& other = kept[y * grid.columns + x];
            for (int k = 0; k < other.count; ++k) {
                const Emitter& one = other.emitters[k];
                if (grid.at(one.spot.y, one.spot.x) != index) continue;
                if (out.count < cell_spots) {
                    out.emitters[out.count++] = one;
                } else {
                    ++lost;
                }
            }
        }
    }
}

/// Variance of a spot's pixels over that which they are weighed by, which is taken from the brightness of
/// the frame without the particles. By chance that is darker where the difference is brighter, on average by
/// half of it: there the weights are too large. The light of a true spot has noise of its own, just as much.
LEE_BOTH float own_variance(const Spot& spot, float information, float slope) {
    const float square = spot.width * spot.width;
    // Mean over the spot of what smoothing leaves of it, and mean weight of its pixels.
    const float seen = square / (1.5F * square + 1.0F);
    const float weight = information / (3.14159265F * square);
    return 1.0F + 0.5F * slope * spot.peak * seen * weight;
}

/// Signal-to-noise ratio of a spot, with its neighbours subtracted; 0 where a single pixel explains it as
/// well: a cosmic ray, or a pixel that blinks.
LEE_BOTH float snr_of(const Residuals& image, const Spot& spot, const Deviation& deviation,
                      const Limits& limits) {
    const float information = normal_of(image, spot).pp;
    const float noise = deviation(spot.y, spot.x) *
                        __builtin_sqrtf(own_variance(spot, information, deviation.slope_at(spot.y, spot.x)));
    const float explained = spot.peak * spot.peak * information;
    const bool is_pixel = of_one_pixel(image, spot) + limits.one_pixel * noise * noise > explained;
    return is_pixel ? 0.0F : __builtin_sqrtf(explained) / noise;
}

LEE_BOTH void measure_cell(const Residuals& image, Cell& cell, const Deviation& deviation,
                           const Limits& limits) {
    for (int k = 0; k < cell.count; ++k)
        cell.emitters[k].snr = snr_of(image, cell.emitters[k].spot, deviation, limits);
}

/// Whether a spot is too faint, or too near a brighter one to be resolved.
LEE_BOTH bool is_weak(const Grid& grid, const Cell* cells, int index, const Emitter& one,
                      const Limits& limits, float point) {
    bool beside = false, merged = false;
    for_each_near(grid, cells, index, [&](const Emitter& other) {
        if (same(one.spot, other.spot)) return;
        const float apart = squared_distance(one.spot, other.spot);
        beside = beside || (apart < 16.0F * point * point && other.snr >= limits.alone);
        const bool brighter = other.spot.peak > one.spot.peak ||
                              (other.spot.peak == one.spot.peak && before(other.spot, one.spot));
        merged = merged || (apart < 0.25F * point * point && brighter);
    });
    return merged || one.snr < (beside ? limits.companion : limits.alone);
}

/// Choose the spots to discard from a cell: of weak spots near each other the weakest, as the others may then
/// gain. `pruned`, `weak`: a bit for each spot; `weak` of all cells, from is_weak.
LEE_BOTH void prune_cell(const Grid& grid, const Cell* cells, const std::uint32_t* weak, int index,
                         std::uint32_t& pruned, float point) {
    pruned = 0;
    const int cy = index / grid.columns, cx = index % grid.columns;
    const Cell& cell = cells[index];
    for (int k = 0; k < cell.count; ++k) {
        if ((weak[index] >> k & 1U) == 0) continue;
        const Emitter& one = cell.emitters[k];
        bool weakest = true;
        for (int y = cy > 0 ? cy - 1 : 0; y <= (cy + 1 < grid.rows ? cy + 1 : cy); ++y) {
            for (int x = cx > 0 ? cx - 1 : 0; x <= (cx + 1 < grid.columns ? cx + 1 : cx); ++x) {
                const int near = y * grid.columns + x;
                for (int j = 0; j < cells[near].count; ++j) {
                    const Emitter& other = cells[near].emitters[j];
                    if ((weak[near] >> j & 1U) == 0 || (near == index && j == k)) continue;
                    if (squared_distance(one.spot, other.spot) > 9.0F * point * point) continue;
                    weakest = weakest &&
                              (one.snr < other.snr || (one.snr == other.snr && before(one.spot, other.spot)));
                }
            }
        }
        if (weakest) pruned |= 1U << k;
    }
}

}  // namespace lee::particles
