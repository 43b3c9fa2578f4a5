#include "kernels/curvature_fit.hpp"

#include <algorithm>
#include <cmath>

namespace lee {
namespace {

constexpr std::size_t narrow = simd::curvature_narrow;
constexpr std::size_t lanes = 8;

struct Groups {
    std::size_t terms;
    std::size_t factor;
};

Groups groups_of(const CurvatureTask& task) {
    return {static_cast<std::size_t>(curvature_fit::terms(task.order)), simd::curvature_factor(task.order)};
}

// A narrow strip and the columns within a radius of it, from `first - radius` on; 0 and not measured outside
// the image.
struct Segment {
    Segment(const CurvatureTask& task_, std::size_t first_)
        : task(task_),
          first(first_),
          values(aligned_array<double>(narrow + 2 * task.radius)),
          seen(aligned_array<double>(narrow + 2 * task.radius)) {}

    // `y` counts from `radius` rows above the image.
    bool load(const HostView<const float, 2>& from, std::size_t y, double offset, bool squares) const {
        const std::size_t n = narrow + 2 * task.radius;
        std::fill_n(values.get(), n, 0.0);
        std::fill_n(seen.get(), n, 0.0);
        if (y < task.radius || y >= task.rows + task.radius) return false;
        const std::size_t begin = first < task.radius ? task.radius - first : 0;
        const std::size_t end = std::min(n, task.columns + task.radius - first);
        const float* row = from.data + (y - task.radius) * task.columns + (first + begin - task.radius);
        task.loops.measured(row, offset, squares, values.get() + begin, seen.get() + begin, end - begin);
        return true;
    }

    const CurvatureTask& task;
    std::size_t first;
    AlignedArray<double> values;
    AlignedArray<double> seen;
};

// The fits of a narrow strip of centres, one row after the other.
class Fits {
  public:
    Fits(const CurvatureTask& task, std::size_t first_row, std::size_t last_row, std::size_t first_column,
         float offset, bool complete)
        : task_(task),
          groups_(groups_of(task)),
          first_row_(first_row),
          complete_(complete),
          value_maps_(static_cast<std::size_t>(task.order) + 1),
          stride_((value_maps_ + (complete ? 0 : 2 * static_cast<std::size_t>(task.order) + 1)) * narrow),
          moments_(aligned_array<double>((last_row - first_row + 1 + 2 * task.radius) * stride_)),
          mask_(
              aligned_array<double>(static_cast<std::size_t>(curvature_fit::terms(2 * task.order)) * narrow)),
          coefficients_(aligned_array<double>(groups_.terms * narrow)),
          factor_(aligned_array<double>(groups_.factor * narrow / lanes)) {
        const Segment segment(task, first_column);
        const std::size_t count = last_row - first_row + 1 + 2 * task.radius;
        for (std::size_t k = 0; k < count; ++k) {
            double* into = moments_.get() + k * stride_;
            if (!segment.load(task.height, first_row + k, static_cast<double>(offset), false)) {
                std::fill_n(into, stride_, 0.0);
                continue;
            }
            task.loops.moments_along(segment.values.get(), task.powers.get(), task.radius, task.order, into);
            if (complete) continue;
            task.loops.moments_along(segment.seen.get(), task.powers.get(), task.radius, 2 * task.order,
                                     into + value_maps_ * narrow);
        }
    }

    void row(std::size_t y) {
        const double* rows = moments_.get() + (y - first_row_) * stride_;
        task_.loops.moments_across(rows, stride_, task_.powers.get(), task_.radius, task_.order,
                                   coefficients_.get());
        if (!complete_) {
            task_.loops.moments_across(rows + value_maps_ * narrow, stride_, task_.powers.get(), task_.radius,
                                       2 * task_.order, mask_.get());
            task_.loops.factorise(task_.order, mask_.get(), factor_.get());
        }
        task_.loops.solve(task_.order, factors(), coefficients_.get());
    }

    // The fits of eight centres, one a lane.
    void gather(const std::size_t* which, bool with_factor, double* coefficients, double* factor) const {
        for (std::size_t k = 0; k < groups_.terms; ++k) {
            for (std::size_t i = 0; i < lanes; ++i) {
                coefficients[k * lanes + i] = coefficients_[k * narrow + which[i]];
            }
        }
        if (!with_factor) return;
        if (which[0] % lanes == 0 && which[lanes - 1] == which[0] + lanes - 1) {
            std::copy_n(factors() + which[0] / lanes * groups_.factor, groups_.factor, factor);
            return;
        }
        for (std::size_t i = 0; i < lanes; ++i) {
            const double* from = factors() + which[i] / lanes * groups_.factor + which[i] % lanes;
            for (std::size_t k = 0; k < groups_.factor; k += lanes) factor[k + i] = from[k];
        }
    }

  private:
    [[nodiscard]] const double* factors() const { return complete_ ? task_.factor.get() : factor_.get(); }

    const CurvatureTask& task_;
    Groups groups_;
    std::size_t first_row_;
    bool complete_;
    std::size_t value_maps_;
    std::size_t stride_;
    AlignedArray<double> moments_;
    AlignedArray<double> mask_;
    AlignedArray<double> coefficients_;
    AlignedArray<double> factor_;
};

void fit_strip(const CurvatureTask& task, const Rectangle& where, float offset, bool complete,
               const TakeDerivatives& take) {
    const Groups groups = groups_of(task);
    const std::size_t first_column = task.centre(where.x0, task.columns);
    Fits fits(task, task.centre(where.y0, task.rows), task.centre(where.y1 - 1, task.rows), first_column,
              offset, complete);
    const auto coefficients = aligned_array<double>(groups.terms * lanes);
    const auto factor = aligned_array<double>(groups.factor);
    constexpr std::size_t covariances = curvature_of::covariances;
    alignas(vector_bytes) double place[2 * lanes];
    alignas(vector_bytes) double derivatives[5 * lanes];
    alignas(vector_bytes) double gain[lanes];
    alignas(vector_bytes) double covariance[covariances * lanes];
    float out[5 * narrow];
    float out_covariance[covariances * narrow];
    const bool uncertain = !complete || task.covariance_wanted;
    std::size_t fitted = task.rows;
    for (std::size_t y = where.y0; y < where.y1; ++y) {
        const std::size_t cy = task.centre(y, task.rows);
        if (cy != fitted) fits.row(fitted = cy);
        const float* heights = task.height.data + y * task.columns;
        for (std::size_t x = where.x0; x < where.x1; x += lanes) {
            std::size_t which[lanes];
            bool measured[lanes];
            bool any = false;
            for (std::size_t i = 0; i < lanes; ++i) {
                const std::size_t at = std::min(x + i, where.x1 - 1);
                const std::size_t cx = task.centre(at, task.columns);
                which[i] = cx - first_column;
                place[i] = (static_cast<double>(at) - static_cast<double>(cx)) / task.unit_px;
                place[lanes + i] = (static_cast<double>(y) - static_cast<double>(cy)) / task.unit_px;
                measured[i] = std::isfinite(heights[at]);
                any = any || measured[i];
                gain[i] = 0.0;
            }
            if (any) {
                fits.gather(which, uncertain, coefficients.get(), factor.get());
                task.loops.evaluate(task.order, coefficients.get(), place, derivatives);
                if (uncertain) {
                    task.loops.uncertain(task.order, factor.get(), place, task.excess, gain,
                                         task.covariance_wanted ? covariance : nullptr);
                }
            }
            const std::size_t n = std::min(lanes, where.x1 - x);
            for (std::size_t i = 0; i < n; ++i) {
                const bool good = measured[i] && (complete || (gain[i] >= 0.0 && gain[i] <= task.noisiest));
                const std::size_t to = x - where.x0 + i;
                for (std::size_t k = 0; k < 5; ++k) {
                    out[k * narrow + to] =
                        good ? static_cast<float>(derivatives[k * lanes + i] * task.to_um[k]) : NAN;
                }
                for (std::size_t k = 0; task.covariance_wanted && k < covariances; ++k) {
                    out_covariance[k * narrow + to] =
                        good ? static_cast<float>(covariance[k * lanes + i] * task.covariance_to_um[k]) : NAN;
                }
            }
        }
        take(y, where.x0, where.x1 - where.x0, out, out_covariance, narrow);
    }
}

}  // namespace

void fit_derivatives(const CurvatureTask& task, const Rectangle& where, float offset, bool complete,
                     const TakeDerivatives& take) {
    for (std::size_t x = where.x0; x < where.x1; x += narrow) {
        fit_strip(task, {where.y0, where.y1, x, std::min(x + narrow, where.x1)}, offset, complete, take);
    }
}

void local_noise(const CurvatureTask& task, HostView<const float, 2> sigma, const Rectangle& where,
                 float* out, std::size_t stride) {
    constexpr std::size_t pair = 2 * narrow;
    const std::size_t count = where.y1 - where.y0 + 2 * task.radius;
    const auto moments = aligned_array<double>(count * pair);
    double sums[pair];
    for (std::size_t x = where.x0; x < where.x1; x += narrow) {
        const Segment segment(task, x);
        for (std::size_t k = 0; k < count; ++k) {
            double* into = moments.get() + k * pair;
            segment.load(sigma, where.y0 + k, 0.0, true);
            task.loops.moments_along(segment.values.get(), task.powers.get(), task.radius, 0, into);
            task.loops.moments_along(segment.seen.get(), task.powers.get(), task.radius, 0, into + narrow);
        }
        for (std::size_t y = where.y0; y < where.y1; ++y) {
            for (std::size_t half = 0; half < 2; ++half) {
                task.loops.moments_across(moments.get() + (y - where.y0) * pair + half * narrow, pair,
                                          task.powers.get(), task.radius, 0, sums + half * narrow);
            }
            float* row = out + (y - where.y0) * stride + (x - where.x0);
            for (std::size_t i = 0; i < std::min(narrow, where.x1 - x); ++i) {
                row[i] = static_cast<float>(sums[i] / sums[narrow + i]);
            }
        }
    }
}

}  // namespace lee
