#include "lee/adaptive_variance.hpp"

#include <cmath>
#include <memory>
#include <vector>

#include "common/adaptive_variance_windows.hpp"
#include "common/check.hpp"
#include "common/parallel.hpp"
#include "kernels/adaptive_variance_noise.hpp"
#include "kernels/adaptive_variance_rows.hpp"

namespace lee {
namespace {

using variance::operation;

struct Task {
    const AdaptiveVarianceParams& params;
    Box image;
    variance::Windows windows;
    float noise = 0.0F;
    // A tile's rows of sums stay in the nearest cache, and the rows above and below it cost little.
    std::ptrdiff_t tile_rows = 64, tile_columns = 256;
    const simd::AdaptiveVarianceLoops& loops = LEE_BEST_ISA(adaptive_variance_loops);

    [[nodiscard]] bool detail() const { return params.detail_px != 0; }
    [[nodiscard]] std::size_t footprints() const { return windows.footprints.size(); }

    // The largest focus over z must exceed this for footprint k to be chosen.
    [[nodiscard]] double limit(std::size_t k) const {
        const variance::Limit limit = variance::limit_for(windows.areas[k], params);
        return variance::limit_of(noise, limit.own, limit.excess);
    }
};

template <class Pixel>
Task checked(HostView<const Pixel, 3> stack, HostView<float, 3> focus, HostView<std::uint8_t, 2> window,
             std::span<const Footprint> footprints, const AdaptiveVarianceParams& params) {
    variance::check_all(stack, focus, window, footprints.size(), params);
    check::threads(operation, params.threads);
    const auto [planes, rows, columns] = stack.shape;
    Task task{.params = params,
              .image = {0, static_cast<std::ptrdiff_t>(rows), 0, static_cast<std::ptrdiff_t>(columns)},
              .windows = variance::windows_of(footprints, params.detail_px, rows, columns)};
    for (const FootprintRuns& runs : task.windows.footprints) {
        task.tile_rows = std::max(task.tile_rows, 4 * static_cast<std::ptrdiff_t>(runs.row_of.size()));
        task.tile_columns = std::max(task.tile_columns, 4 * (runs.dx_max - runs.dx_min));
    }
    return task;
}

// Focus over one footprint, tile by tile; memory of one worker.
template <class Pixel, class Sum>
class Tiles {
  public:
    Tiles(const Task& task, std::size_t k)
        : task_(task),
          runs_(task.windows.footprints[k]),
          columns_(static_cast<std::size_t>(task.tile_columns)) {
        const auto wide = columns_ + static_cast<std::size_t>(runs_.dx_max - runs_.dx_min);
        const auto high = static_cast<std::size_t>(task.tile_rows) + runs_.row_of.size();
        if (task.detail()) {
            local_ =
                std::make_unique<WindowRows<Pixel, double>>(task.windows.square, wide, false, task.loops);
            pooled_ = std::make_unique<WindowRows<float, double>>(runs_, columns_, false, task.loops);
            energy_ = aligned_array<float>(wide * high);
        } else {
            rows_ = std::make_unique<WindowRows<Pixel, Sum>>(runs_, columns_, true, task.loops);
        }
    }

    // take(y, store) where store(float* focus) writes the row's focus.
    template <class Take>
    void run(const Piece<Pixel>& plane, const Box& tile, double offset, const Take& take) {
        if (task_.detail()) return run_detail(plane, tile, offset, take);
        const auto& loops = task_.loops;
        rows_->run(plane, tile, task_.image, offset,
                   [&](std::ptrdiff_t y, const Sum* sum, const Sum* square, const std::uint32_t* count) {
                       take(y, [&](float* focus) {
                           if constexpr (std::is_same_v<Sum, double>) {
                               loops.variance_real(sum, square, count, offset, focus, tile.columns());
                           } else {
                               loops.variance_whole(sum, square, count, focus, tile.columns());
                           }
                       });
                   });
    }

  private:
    template <class Take>
    void run_detail(const Piece<Pixel>& plane, const Box& tile, double offset, const Take& take) {
        const Box reach = tile.reach(runs_, task_.image);
        if (reach.x0 < reach.x1 && reach.y0 < reach.y1) {
            local_->run(plane, reach, task_.image, offset,
                        [&](std::ptrdiff_t y, const double* sum, const double*, const std::uint32_t* count) {
                            detail(plane.at(y, reach.x0), sum, count, offset,
                                   energy_.get() + static_cast<std::size_t>(y - reach.y0) * reach.columns(),
                                   reach.columns());
                        });
        }
        const Piece<float> energies{.data = energy_.get(), .stride = reach.columns(), .box = reach};
        pooled_->run(energies, tile, task_.image, 0.0,
                     [&](std::ptrdiff_t y, const double* sum, const double*, const std::uint32_t* count) {
                         take(y,
                              [&](float* focus) { task_.loops.average(sum, count, focus, tile.columns()); });
                     });
    }

    void detail(const Pixel* pixel, const double* sum, const std::uint32_t* count, double offset,
                float* energy, std::size_t n) {
        if constexpr (std::is_same_v<Pixel, std::uint8_t>) {
            task_.loops.detail_8(pixel, sum, count, offset, energy, n);
        } else if constexpr (std::is_same_v<Pixel, std::uint16_t>) {
            task_.loops.detail_16(pixel, sum, count, offset, energy, n);
        } else {
            task_.loops.detail_float(pixel, sum, count, offset, energy, n);
        }
    }

    const Task& task_;
    const FootprintRuns& runs_;
    std::size_t columns_;
    std::unique_ptr<WindowRows<Pixel, Sum>> rows_;
    std::unique_ptr<WindowRows<Pixel, double>> local_;
    std::unique_ptr<WindowRows<float, double>> pooled_;
    AlignedArray<float> energy_;
};

// A level near the plane's, so that squares of float frames lose little; of a constant plane it is the
// constant.
template <class Pixel>
double offset_of(const Pixel* plane, std::size_t rows, std::size_t columns) {
    if constexpr (!std::is_same_v<Pixel, float>) return 0.0;
    double sum = 0.0;
    std::size_t count = 0;
    for (std::size_t y = 0; y < rows; y += 8) {
        for (std::size_t x = 0; x < columns; ++x) {
            const auto value = static_cast<float>(plane[y * columns + x]);
            if (std::isfinite(value)) sum += static_cast<double>(value), ++count;
        }
    }
    return count == 0 ? 0.0 : static_cast<double>(static_cast<float>(sum / static_cast<double>(count)));
}

template <class Pixel, class Sum>
class Run {
  public:
    Run(const Task& task, HostView<const Pixel, 3> stack, HostView<float, 3> focus,
        HostView<std::uint8_t, 2> window)
        : task_(task), stack_(stack), focus_(focus), window_(window), offsets_(stack.shape[0]) {
        across_ = (task.image.x1 + task.tile_columns - 1) / task.tile_columns;
        tiles_ = static_cast<std::size_t>(across_ * ((task.image.y1 + task.tile_rows - 1) / task.tile_rows));
    }

    void all() {
        const std::size_t planes = stack_.shape[0];
        const int threads = task_.params.threads;
        parallel_for(planes, threads, [&](std::size_t z, int) {
            offsets_[z] = offset_of(stack_.data + z * plane_size(), stack_.shape[1], stack_.shape[2]);
        });
        const bool single = task_.footprints() == 1;
        // One footprint: planes are independent.
        const std::size_t jobs = single ? tiles_ * planes : tiles_;
        std::vector<std::vector<std::unique_ptr<Tiles<Pixel, Sum>>>> of_worker(
            static_cast<std::size_t>(worker_count(jobs, threads)));
        parallel_for(jobs, threads, [&](std::size_t job, int worker) {
            auto& made = of_worker[static_cast<std::size_t>(worker)];
            made.resize(task_.footprints());
            const auto tiles = [&](std::size_t k) -> Tiles<Pixel, Sum>& {
                if (!made[k]) made[k] = std::make_unique<Tiles<Pixel, Sum>>(task_, k);
                return *made[k];
            };
            const Box tile = tile_at(job % tiles_);
            if (single) {
                one_window(tiles(0), tile, job / tiles_);
            } else {
                choose_windows(tiles, tile);
            }
        });
    }

  private:
    [[nodiscard]] std::size_t plane_size() const { return stack_.shape[1] * stack_.shape[2]; }

    [[nodiscard]] Box tile_at(std::size_t index) const {
        const std::ptrdiff_t y = static_cast<std::ptrdiff_t>(index) / across_ * task_.tile_rows;
        const std::ptrdiff_t x = static_cast<std::ptrdiff_t>(index) % across_ * task_.tile_columns;
        return {y, std::min(y + task_.tile_rows, task_.image.y1), x,
                std::min(x + task_.tile_columns, task_.image.x1)};
    }

    [[nodiscard]] Piece<Pixel> plane(std::size_t z) const {
        return {.data = stack_.data + z * plane_size(), .stride = stack_.shape[2], .box = task_.image};
    }

    void one_window(Tiles<Pixel, Sum>& tiles, const Box& tile, std::size_t z) {
        tiles.run(plane(z), tile, offsets_[z],
                  [&](std::ptrdiff_t y, const auto& store) { store(&focus_(z, y, tile.x0)); });
        if (z != 0) return;
        for (std::ptrdiff_t y = tile.y0; y < tile.y1; ++y)
            std::fill_n(&window_(y, tile.x0), tile.columns(), 0);
    }

    template <class TilesOf>
    void choose_windows(const TilesOf& tiles_of, const Box& tile) {
        const std::size_t columns = tile.columns();
        std::vector<std::uint8_t> open(tile.rows() * columns, 1);
        std::vector<float> largest(open.size()), row(columns);
        for (std::size_t k = 0; k < task_.footprints(); ++k) {
            std::fill(largest.begin(), largest.end(), -1.0F);
            for (std::size_t z = 0; z < stack_.shape[0]; ++z) {
                tiles_of(k).run(plane(z), tile, offsets_[z], [&](std::ptrdiff_t y, const auto& store) {
                    const std::size_t at = static_cast<std::size_t>(y - tile.y0) * columns;
                    store(row.data());
                    task_.loops.keep_open(row.data(), open.data() + at, largest.data() + at,
                                          &focus_(z, y, tile.x0), columns);
                });
            }
            if (settle(tile, k, largest, open)) return;
        }
    }

    // Choose footprint k at pixels where it is large enough; true when all pixels have one.
    bool settle(const Box& tile, std::size_t k, const std::vector<float>& largest,
                std::vector<std::uint8_t>& open) {
        const double limit = k + 1 == task_.footprints() ? -INFINITY : task_.limit(k);
        bool all = true;
        for (std::size_t at = 0; at < open.size(); ++at) {
            if (open[at] == 0) continue;
            if (static_cast<double>(largest[at]) > limit) {
                open[at] = 0;
                const auto y = static_cast<std::size_t>(tile.y0) + at / tile.columns();
                window_(y, static_cast<std::size_t>(tile.x0) + at % tile.columns()) =
                    static_cast<std::uint8_t>(k);
            } else {
                all = false;
            }
        }
        return all;
    }

    const Task& task_;
    HostView<const Pixel, 3> stack_;
    HostView<float, 3> focus_;
    HostView<std::uint8_t, 2> window_;
    std::vector<double> offsets_;
    std::ptrdiff_t across_;
    std::size_t tiles_;
};

template <class Pixel>
float run(HostView<const Pixel, 3> stack, HostView<float, 3> focus, HostView<std::uint8_t, 2> window,
          std::span<const Footprint> footprints, const AdaptiveVarianceParams& params) {
    Task task = checked(stack, focus, window, footprints, params);
    task.noise = params.noise;
    if (footprints.size() > 1 && std::isnan(task.noise)) task.noise = noise_of(stack, params.threads);
    if constexpr (std::is_same_v<Pixel, std::uint8_t>) {
        if (task.windows.whole()) {
            Run<Pixel, std::uint32_t>(task, stack, focus, window).all();
            return task.noise;
        }
    }
    Run<Pixel, double>(task, stack, focus, window).all();
    return task.noise;
}

}  // namespace

float adaptive_variance(HostView<const std::uint8_t, 3> stack, HostView<float, 3> focus,
                        HostView<std::uint8_t, 2> window, std::span<const Footprint> footprints,
                        const AdaptiveVarianceParams& params) {
    return run(stack, focus, window, footprints, params);
}

float adaptive_variance(HostView<const std::uint16_t, 3> stack, HostView<float, 3> focus,
                        HostView<std::uint8_t, 2> window, std::span<const Footprint> footprints,
                        const AdaptiveVarianceParams& params) {
    return run(stack, focus, window, footprints, params);
}

float adaptive_variance(HostView<const float, 3> stack, HostView<float, 3> focus,
                        HostView<std::uint8_t, 2> window, std::span<const Footprint> footprints,
                        const AdaptiveVarianceParams& params) {
    return run(stack, focus, window, footprints, params);
}

}  // namespace lee
