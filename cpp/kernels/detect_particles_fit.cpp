// Spots fitted to the maxima of the filtered difference, neighbours together, until the residual is noise.
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include "common/detect_particles_errors.hpp"
#include "common/detect_particles_limits.hpp"
#include "common/detect_particles_search.hpp"
#include "common/parallel.hpp"
#include "kernels/detect_particles_state.hpp"

namespace lee::particles {
namespace {

class Spots {
  public:
    Spots(State& state, double sigma_px, const Limits& limits)
        : state_(state),
          point_(static_cast<float>(sigma_px)),
          limits_(limits),
          deviation_(state.deviation()),
          image_{state.left.row(0), state.weight.row(0), state.left.pitch(), static_cast<int>(state.rows),
                 static_cast<int>(state.columns)} {
        grid_ = grid_of(state.rows, state.columns, point_);
        cells_.resize(static_cast<std::size_t>(grid_.size()));
        gathered_.resize(cells_.size());
    }

    void begin(const std::vector<Candidate>& candidates) {
        for (const auto& [y, x] : candidates) {
            const Spot place{static_cast<float>(y), static_cast<float>(x), 1.0F, point_};
            // The filter's ratio over the square root of its information is the peak.
            const float information = normal_of(image_, place).pp;
            if (!(information > 0)) continue;
            const float peak = state_.snr.row(y)[x] / std::sqrt(information);
            Cell& home = cell(grid_.at(place.y, place.x));
            if (home.count < cell_spots) {
                add(home, {place.y, place.x, peak, point_});
            } else {
                ++state_.found.left_out;
            }
        }
        sweep(drawn(), rough_sweeps);
        gather();
        // The background of what the spots leave: their light has been in it.
        flatten_anew(state_, static_cast<double>(point_));
        sweep(used());
        settle();
    }

    void search() {
        proposals_.resize(cells_.size());
        for (int pass = 0; pass < max_passes; ++pass) {
            for (int round = 0; round < max_rounds; ++round) {
                if (!change(state_.loops.propose)) break;
            }
            // Spots split early may be one again now that their neighbours are known.
            if (!change(state_.loops.merge)) return;
        }
    }

    void report() {
        std::vector<std::vector<Particle>> found(cells_.size());
        for_each(used(), [&](int index) {
            for (int k = 0; k < cell(index).count; ++k) {
                const Particle one = particles::report(image_, grid_, cells_.data(), index,
                                                       cell(index).emitters[k], deviation_, point_);
                if (is_on_measured(image_, one)) found[static_cast<std::size_t>(index)].push_back(one);
            }
        });
        for (const auto& part : found) {
            state_.found.particles.insert(state_.found.particles.end(), part.begin(), part.end());
        }
        sort_by_place(state_.found.particles);
        state_.found.count = state_.found.particles.size();
    }

  private:
    Cell& cell(int index) { return cells_[static_cast<std::size_t>(index)]; }

    [[nodiscard]] std::vector<int> used() const {
        std::vector<int> cells;
        for (int index = 0; index < grid_.size(); ++index) {
            if (cells_[static_cast<std::size_t>(index)].count > 0) cells.push_back(index);
        }
        return cells;
    }

    // Cells are processed in small batches: most hold a spot or two.
    template <class Work>
    void for_each(const std::vector<int>& cells, const Work& work) {
        constexpr std::size_t batch = 16;
        parallel_for((cells.size() + batch - 1) / batch, state_.params.threads, [&](std::size_t k, int) {
            for (std::size_t i = k * batch; i < std::min(cells.size(), (k + 1) * batch); ++i) work(cells[i]);
        });
    }

    /// Cells two apart at once, so that none touches another's pixels.
    template <class Work>
    void by_colours(const std::vector<int>& cells, const Work& work) {
        std::array<std::vector<int>, 4> colours;
        for (const int index : cells) {
            const int colour = index / grid_.columns % 2 * 2 + index % grid_.columns % 2;
            colours[static_cast<std::size_t>(colour)].push_back(index);
        }
        for (const auto& some : colours) for_each(some, work);
    }

    /// Cells that hold spots, at and around those marked.
    [[nodiscard]] std::vector<int> around(const std::vector<int>& cells,
                                          const std::vector<char>& marked) const {
        std::vector<char> near(cells_.size());
        std::vector<int> found;
        for (const int index : cells) {
            if (!marked[static_cast<std::size_t>(index)]) continue;
            const int cy = index / grid_.columns, cx = index % grid_.columns;
            for (int y = std::max(cy - 1, 0); y <= std::min(cy + 1, grid_.rows - 1); ++y) {
                for (int x = std::max(cx - 1, 0); x <= std::min(cx + 1, grid_.columns - 1); ++x) {
                    const auto other = static_cast<std::size_t>(y * grid_.columns + x);
                    if (near[other] || cells_[other].count == 0) continue;
                    near[other] = 1;
                    found.push_back(static_cast<int>(other));
                }
            }
        }
        return found;
    }

    /// Move every spot to the list of the cell it is in now.
    void gather() {
        bool astray = false;
        for (int index = 0; index < grid_.size() && !astray; ++index) {
            for (int k = 0; k < cell(index).count; ++k) {
                const Spot& spot = cell(index).emitters[k].spot;
                astray = astray || grid_.at(spot.y, spot.x) != index;
            }
        }
        if (!astray) return;
        for (int index = 0; index < grid_.size(); ++index) {
            int lost = 0;
            gather_cell(grid_, cells_.data(), index, gathered_[static_cast<std::size_t>(index)], lost);
            state_.found.left_out += static_cast<std::size_t>(lost);
        }
        std::swap(cells_, gathered_);
    }

    /// Draw new spots; the cells that hold spots at or beside them.
    std::vector<int> drawn() {
        const std::vector<int> all = used();
        std::vector<char> changed(cells_.size());
        by_colours(all, [&](int index) {
            changed[static_cast<std::size_t>(index)] = state_.loops.commit(image_, cell(index), point_);
        });
        std::vector<int> beside = around(all, changed);
        // Spots beside a new one are examined again.
        for (const int index : beside) {
            for (int k = 0; k < cell(index).count; ++k) cell(index).emitters[k].settled = false;
        }
        return beside;
    }

    /// Draw new spots, fit all, and discard those that prove too weak, until nothing changes.
    void settle() {
        for (int pruning = 0; pruning < max_prunings; ++pruning) {
            sweep(drawn());
            gather();
            if (!prune()) return;
        }
        by_colours(used(), [&](int index) { state_.loops.commit(image_, cell(index), point_); });
    }

    void sweep(std::vector<int> cells, int most = max_sweeps) {
        std::vector<char> moved(cells_.size());
        for (int k = 0; k < most && !cells.empty(); ++k) {
            by_colours(cells, [&](int index) {
                moved[static_cast<std::size_t>(index)] =
                    state_.loops.sweep(image_, grid_, cell(index), index, point_, sweep_tolerance);
            });
            std::vector<int> next = around(cells, moved);
            for (const int index : cells) moved[static_cast<std::size_t>(index)] = 0;
            cells = std::move(next);
        }
    }

    bool prune() {
        const std::vector<int> all = used();
        std::vector<std::uint32_t> weak(cells_.size()), pruned(cells_.size());
        for_each(all, [&](int index) { state_.loops.measure(image_, cell(index), deviation_, limits_); });
        for_each(all, [&](int index) {
            for (int k = 0; k < cell(index).count; ++k) {
                if (is_weak(grid_, cells_.data(), index, cell(index).emitters[k], limits_, point_)) {
                    weak[static_cast<std::size_t>(index)] |= 1U << k;
                }
            }
        });
        for_each(all, [&](int index) {
            prune_cell(grid_, cells_.data(), weak.data(), index, pruned[static_cast<std::size_t>(index)],
                       point_);
        });
        bool any = false;
        for (const int index : all) {
            for (int k = 0; k < cell(index).count; ++k) {
                if ((pruned[static_cast<std::size_t>(index)] >> k & 1U) == 0) continue;
                cell(index).emitters[k].duty = Duty::erase;
                any = true;
            }
        }
        return any;
    }

    template <class Choose>
    bool change(const Choose& choose) {
        const std::vector<int> all = used();
        std::atomic<bool> any{false};
        for_each(all, [&](int index) {
            Proposal* own = proposals_[static_cast<std::size_t>(index)].data();
            if (choose(image_, grid_, cells_.data(), index, deviation_, limits_, point_, own)) any = true;
        });
        for (const int index : all) {
            int lost = 0;
            apply_cell(cell(index), proposals_[static_cast<std::size_t>(index)].data(), lost);
            state_.found.left_out += static_cast<std::size_t>(lost);
        }
        if (!any) return false;
        gather();
        settle();
        return true;
    }

    State& state_;
    float point_;
    Limits limits_;
    Deviation deviation_;
    Residuals image_;
    Grid grid_{};
    std::vector<Cell> cells_, gathered_;
    std::vector<std::array<Proposal, cell_spots>> proposals_;
};

}  // namespace

void fit_spots(State& state, double sigma_px, const Limits& limits) {
    Spots spots(state, sigma_px, limits);
    spots.begin(maxima(state, limits.alone - below_threshold));
    spots.search();
    spots.report();
}

}  // namespace lee::particles
