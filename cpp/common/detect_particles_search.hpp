#pragma once

// The residuals of a fit of spots: companions not found before, and spots that are two or wide. The same on
// every backend.
#include "common/detect_particles_blend.hpp"
#include "common/detect_particles_cells.hpp"

namespace lee::particles {

/// Proposed change of a spot: none, a companion beside it, a pair in its place, a wider one, one merged with
/// a neighbour, or absorbed by that neighbour.
struct Proposal {
    enum class Kind : std::uint8_t { none, companion, pair, wide, merged, absorbed } kind;
    Spot first, second;
};

/// Smallest number of standard deviations of elongation worth a trial, squared.
inline constexpr float worth_a_trial = 6.0F;
/// Chi square by which two spots must fit better than a wide one, in squared deviations.
inline constexpr float two_not_wide = 9.0F;

LEE_BOTH Proposal split_of(const Residuals& image, const Spot& spot, float deviation, const Limits& limits,
                           float point) {
    Proposal out{Proposal::Kind::none, spot, spot};
    const Stretch stretch = stretch_of(image, spot);
    const float rounder = stretch.rounder > 0 ? stretch.rounder : 0.0F, noise = deviation * deviation;
    if (stretch.longer * stretch.longer + rounder * rounder < worth_a_trial * noise) return out;
    const Around here = around(image, &spot, 1, point);
    const float one = chi_square<1, false>(here, &spot, nullptr, nullptr);
    // A shape that differs from a Gaussian by this share leaves as much chi square behind.
    const Normal of = normal_of(image, spot);
    const float misfit = limits.mismatch * spot.peak * limits.mismatch * spot.peak * of.pp;
    const float needed = limits.companion * limits.companion * noise + misfit;
    const float far = 0.7F * point;
    Spot two[2] = {{spot.y + far * stretch.cos, spot.x + far * stretch.sin, 0.55F * spot.peak, point},
                   {spot.y - far * stretch.cos, spot.x - far * stretch.sin, 0.55F * spot.peak, point}};
    const float both = fit_together<2, false>(here, two, point, 15);
    bool sound = one - both > needed && squared_distance(two[0], two[1]) > 0.25F * point * point;
    for (const Spot& part : two) {
        sound = sound && squared_distance(part, spot) < 4.0F * point * point &&
                part.peak * part.peak * of.pp > 4.0F * noise;
    }
    Spot wide[1] = {spot};
    const float wider = fit_together<1, true>(here, wide, point, 10);
    if (sound && wider - both > two_not_wide * noise) {
        out.kind = Proposal::Kind::pair;
        out.first = two[0], out.second = two[1];
    } else if (one - wider > needed && wide[0].width > spot.width &&
               squared_distance(wide[0], spot) < 4.0F * point * point) {
        out.kind = Proposal::Kind::wide;
        out.first = wide[0];
    }
    return out;
}

/// The brightest maximum of the residuals within three widths of a spot, nearer to it than to any other.
LEE_BOTH Proposal companion_of(const Residuals& image, const Grid& grid, const Cell* cells, int index,
                               const Spot& spot, float deviation, const Limits& limits, float point) {
    Proposal out{Proposal::Kind::none, spot, spot};
    const int reach = pixels(3.0F * point), filter = reach;
    float shape[2 * max_reach + 1];
    for (int k = -filter; k <= filter; ++k) {
        const float u = static_cast<float>(k) / point;
        shape[k + filter] = exp_of(-0.5F * u * u);
    }
    float brightest = 0.0F;
    for_each_near(grid, cells, index, [&](const Emitter& other) {
        if (squared_distance(other.spot, spot) < 36.0F * point * point && other.spot.peak > brightest) {
            brightest = other.spot.peak;
        }
    });
    const Window at = window_at(image, spot.y, spot.x, reach);
    const int left = at.x0 - filter > 0 ? at.x0 - filter : 0;
    const int right = at.x0 + at.width + filter < image.columns ? at.x0 + at.width + filter : image.columns;
    float best = limits.companion * deviation;
    for (int y = at.y0; y < at.y0 + at.height; ++y) {
        // The filter down the columns, then along the row.
        float down[4 * max_reach + 2], squares[4 * max_reach + 2];
        for (int i = 0; i < right - left; ++i) down[i] = squares[i] = 0.0F;
        const int top = y - filter > 0 ? y - filter : 0;
        const int bottom = y + filter < image.rows ? y + filter : image.rows - 1;
        for (int v = top; v <= bottom; ++v) {
            const std::size_t row =
                static_cast<std::size_t>(v) * image.pitch + static_cast<std::size_t>(left);
            const float *weight = image.weight + row, *residual = image.left + row;
            const float g = shape[v - y + filter], gg = g * g;
            for (int i = 0; i < right - left; ++i) {
                down[i] += g * weight[i] * residual[i];
                squares[i] += gg * weight[i];
            }
        }
        for (int x = at.x0; x < at.x0 + at.width; ++x) {
            const Spot here{static_cast<float>(y), static_cast<float>(x), 0.0F, point};
            const float apart = squared_distance(here, spot);
            if (apart > 9.0F * point * point) continue;
            const int from = x - filter > 0 ? x - filter : 0;
            const int to = x + filter < image.columns ? x + filter : image.columns - 1;
            float numerator = 0.0F, information = 0.0F;
            for (int u = from; u <= to; ++u) {
                const float g = shape[u - x + filter];
                numerator += g * down[u - left];
                information += g * g * squares[u - left];
            }
            const bool seen =
                image.weight[static_cast<std::size_t>(y) * image.pitch + static_cast<std::size_t>(x)] > 0;
            if (!seen || !(numerator > best * __builtin_sqrtf(information))) continue;
            if (numerator < limits.mismatch * brightest * information) continue;
            bool nearest_is_own = true;
            for_each_near(grid, cells, index, [&](const Emitter& other) {
                if (same(other.spot, spot)) return;
                const float other_apart = squared_distance(here, other.spot);
                if (other_apart < apart || (other_apart == apart && before(other.spot, spot)))
                    nearest_is_own = false;
            });
            if (!nearest_is_own) continue;
            best = numerator / __builtin_sqrtf(information);
            out.kind = Proposal::Kind::companion;
            out.second = {here.y, here.x, numerator / information, point};
        }
    }
    return out;
}

/// The spot nearest to another, within `far_px`; false where there is none.
LEE_BOTH bool nearest_to(const Grid& grid, const Cell* cells, const Spot& spot, float far_px, Spot& found) {
    float best = far_px * far_px;
    bool any = false;
    for_each_near(grid, cells, grid.at(spot.y, spot.x), [&](const Emitter& other) {
        if (same(other.spot, spot)) return;
        const float apart = squared_distance(other.spot, spot);
        if (apart > best || (apart == best && any && !before(other.spot, found))) return;
        best = apart, found = other.spot, any = true;
    });
    return any;
}

/// Whether a spot and its nearest, if each is the other's, are as well explained by one.
LEE_BOTH Proposal merger_of(const Residuals& image, const Grid& grid, const Cell* cells, const Spot& spot,
                            const Deviation& deviation, const Limits& limits, float point) {
    Proposal out{Proposal::Kind::none, spot, spot};
    const float far = 2.5F * point;
    Spot other{}, back{};
    if (!nearest_to(grid, cells, spot, far, other) || !nearest_to(grid, cells, other, far, back)) return out;
    if (!same(back, spot)) return out;
    // Called for both spots, each in its turn; both calls must give the same result.
    const bool is_first = before(spot, other);
    const Spot own[2] = {is_first ? spot : other, is_first ? other : spot};
    const Spot& brighter = own[0].peak >= own[1].peak ? own[0] : own[1];
    const Around here = around(image, own, 2, point);
    const float two = chi_square<2, false>(here, own, nullptr, nullptr);
    const float sum = own[0].peak + own[1].peak;
    Spot one[1] = {{(own[0].y * own[0].peak + own[1].y * own[1].peak) / sum,
                    (own[0].x * own[0].peak + own[1].x * own[1].peak) / sum, sum, brighter.width}};
    const float together = fit_together<1, false>(here, one, point, 15);
    const float noise = deviation(brighter.y, brighter.x);
    const Normal of = normal_of(image, brighter);
    const float misfit = limits.mismatch * brighter.peak * limits.mismatch * brighter.peak * of.pp;
    if (together - two > limits.companion * limits.companion * noise * noise + misfit) return out;
    out.kind = is_first ? Proposal::Kind::merged : Proposal::Kind::absorbed;
    out.first = one[0];
    return out;
}

LEE_BOTH bool merge_cell(const Residuals& image, const Grid& grid, const Cell* cells, int index,
                         const Deviation& deviation, const Limits& limits, float point, Proposal* out) {
    bool any = false;
    for (int k = 0; k < cells[index].count; ++k) {
        out[k] = merger_of(image, grid, cells, cells[index].emitters[k].spot, deviation, limits, point);
        any = any || out[k].kind != Proposal::Kind::none;
    }
    return any;
}

/// Proposed change of one spot of a cell.
LEE_BOTH Proposal proposal_of(const Residuals& image, const Grid& grid, const Cell* cells, int index,
                              const Emitter& one, const Deviation& deviation, const Limits& limits,
                              float point) {
    if (one.settled) return {Proposal::Kind::none, one.spot, one.spot};
    const float noise = deviation(one.spot.y, one.spot.x);
    const Proposal split = split_of(image, one.spot, noise, limits, point);
    if (split.kind != Proposal::Kind::none) return split;
    return companion_of(image, grid, cells, index, one.spot, noise, limits, point);
}

/// Proposed changes of the spots of a cell, (cell_spots); true where there is any.
LEE_BOTH bool propose_cell(const Residuals& image, const Grid& grid, const Cell* cells, int index,
                           const Deviation& deviation, const Limits& limits, float point, Proposal* out) {
    bool any = false;
    for (int k = 0; k < cells[index].count; ++k) {
        out[k] = proposal_of(image, grid, cells, index, cells[index].emitters[k], deviation, limits, point);
        any = any || out[k].kind != Proposal::Kind::none;
    }
    return any;
}

LEE_BOTH void add(Cell& cell, const Spot& spot) {
    cell.emitters[cell.count++] = {spot, 0.0F, Duty::draw, false};
}

/// Put proposals into a cell's list; they are drawn at the next commit.
LEE_BOTH void apply_cell(Cell& cell, const Proposal* proposals, int& lost) {
    const int count = cell.count;
    lost = 0;
    for (int k = 0; k < count; ++k) {
        const Proposal& what = proposals[k];
        using Kind = Proposal::Kind;
        const int more = what.kind == Kind::none || what.kind == Kind::absorbed ? 0
                         : what.kind == Kind::pair                              ? 2
                                                                                : 1;
        if (what.kind == Kind::none) cell.emitters[k].settled = true;
        // A spot is replaced only where what replaces it can be kept.
        if (cell.count + more > cell_spots) {
            ++lost;
            continue;
        }
        if (what.kind != Kind::none && what.kind != Kind::companion) cell.emitters[k].duty = Duty::erase;
        if (what.kind == Kind::companion) add(cell, what.second);
        if (what.kind == Kind::pair || what.kind == Kind::wide || what.kind == Kind::merged)
            add(cell, what.first);
        if (what.kind == Kind::pair) add(cell, what.second);
    }
}

}  // namespace lee::particles
