// Spots fitted to the maxima of the filtered difference, neighbours together, until the residual is noise.
#include <algorithm>

#include "common/detect_particles_limits.hpp"
#include "cuda/detect_particles_sweep.cuh"

namespace lee::particles::on_device {
namespace {

constexpr unsigned cell_threads = 32;
/// The host checks after so many sweeps whether any spot still moves; further sweeps would change nothing.
constexpr int sweeps_at_once = 5;
static_assert(max_sweeps % sweeps_at_once == 0);

__device__ inline int own_cell() {
    return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}

/// Cells two apart, which touch none of the others' pixels.
struct Colour {
    int y, x, columns, count;

    Colour(const Grid& grid, int which)
        : y(which / 2),
          x(which % 2),
          columns((grid.columns - x + 1) / 2),
          count((grid.rows - y + 1) / 2 * columns) {}
    __device__ int at(const Grid& grid, int k) const {
        return (y + k / columns * 2) * grid.columns + x + k % columns * 2;
    }
};

__global__ void __launch_bounds__(threads) mark_maxima(Field field, float threshold, std::uint8_t* marks) {
    const Place place(field.image);
    if (place.is_inside) marks[place.at] = field.is_maximum(place, threshold) ? 1 : 0;
}

/// A spot at every maximum of a cell, by rows, then columns.
__global__ void __launch_bounds__(cell_threads)
    begin_cells(Scene scene, const float* snr, const std::uint8_t* marks, Cell* cells, std::uint32_t* lost) {
    const int index = own_cell();
    if (index >= scene.grid.size()) return;
    const Grid& grid = scene.grid;
    const Residuals& image = scene.image;
    Cell& cell = cells[index];
    cell.count = 0;
    const auto from = [&](int k) {
        return max(static_cast<int>(static_cast<float>(k) * grid.side_px) - 1, 0);
    };
    const auto to = [&](int k, int n) {
        return min(static_cast<int>(static_cast<float>(k + 1) * grid.side_px) + 2, n);
    };
    const int cy = index / grid.columns, cx = index % grid.columns;
    for (int y = from(cy); y < to(cy, image.rows); ++y) {
        for (int x = from(cx); x < to(cx, image.columns); ++x) {
            const std::size_t at = static_cast<std::size_t>(y) * image.pitch + static_cast<std::size_t>(x);
            if (marks[at] == 0) continue;
            const Spot place{static_cast<float>(y), static_cast<float>(x), 1.0F, scene.point};
            if (grid.at(place.y, place.x) != index) continue;
            // The filter's ratio over the square root of its information is the peak.
            const float information = normal_of(image, place).pp;
            if (!(information > 0)) continue;
            if (cell.count < cell_spots) {
                add(cell, {place.y, place.x, snr[at] / __builtin_sqrtf(information), scene.point});
            } else {
                atomicAdd(lost, 1U);
            }
        }
    }
}

__global__ void __launch_bounds__(cell_threads)
    commit_cells(Scene scene, Colour colour, Cell* cells, std::uint8_t* changed) {
    const int k = own_cell();
    if (k >= colour.count) return;
    const int index = colour.at(scene.grid, k);
    changed[index] = commit_cell(scene.image, cells[index], scene.point) ? 1 : 0;
}

/// A warp a cell.
__global__ void __launch_bounds__(lanes)
    sweep_cells(Scene scene, Colour colour, Cell* cells, const std::uint8_t* active, std::uint8_t* moved) {
    const int index = colour.at(scene.grid, static_cast<int>(blockIdx.x));
    const bool any = active[index] != 0 && sweep_together(scene, cells[index], index);
    if (threadIdx.x == 0) moved[index] = any ? 1 : 0;
}

/// Cells that hold spots, at and around those marked. `anew`: spots there are examined again.
__global__ void __launch_bounds__(threads) spread(Grid grid, Cell* cells, const std::uint8_t* marked,
                                                  bool anew, std::uint8_t* active, std::uint32_t* any) {
    const int index = own_cell();
    if (index >= grid.size()) return;
    bool near = false;
    const int cy = index / grid.columns, cx = index % grid.columns;
    for (int y = max(cy - 1, 0); y <= min(cy + 1, grid.rows - 1); ++y) {
        for (int x = max(cx - 1, 0); x <= min(cx + 1, grid.columns - 1); ++x)
            near = near || marked[y * grid.columns + x] != 0;
    }
    Cell& cell = cells[index];
    near = near && cell.count > 0;
    active[index] = near ? 1 : 0;
    if (!near) return;
    *any = 1;
    for (int k = 0; k < cell.count && anew; ++k) cell.emitters[k].settled = false;
}

/// Move every spot to the list of the cell it is in now.
__global__ void __launch_bounds__(cell_threads)
    gather_cells(Grid grid, const Cell* kept, Cell* out, std::uint32_t* lost) {
    const int index = own_cell();
    if (index >= grid.size()) return;
    int own_lost = 0;
    gather_cell(grid, kept, index, out[index], own_lost);
    if (own_lost > 0) atomicAdd(lost, static_cast<std::uint32_t>(own_lost));
}

__global__ void __launch_bounds__(cell_threads)
    find_weak(Scene scene, const Cell* cells, std::uint32_t* weak) {
    const int index = own_cell();
    if (index >= scene.grid.size()) return;
    std::uint32_t own = 0;
    for (int k = 0; k < cells[index].count; ++k) {
        if (is_weak(scene.grid, cells, index, cells[index].emitters[k], scene.limits, scene.point))
            own |= 1U << k;
    }
    weak[index] = own;
}

__global__ void __launch_bounds__(cell_threads)
    prune_cells(Scene scene, const std::uint32_t* weak, Cell* cells, std::uint32_t* any) {
    const int index = own_cell();
    if (index >= scene.grid.size() || weak[index] == 0) return;
    std::uint32_t pruned = 0;
    prune_cell(scene.grid, cells, weak, index, pruned, scene.point);
    if (pruned == 0) return;
    *any = 1;
    for (int k = 0; k < cells[index].count; ++k) {
        if ((pruned >> k & 1U) != 0) cells[index].emitters[k].duty = Duty::erase;
    }
}

__global__ void __launch_bounds__(cell_threads)
    apply_cells(Grid grid, const Proposal* proposals, Cell* cells, std::uint32_t* lost) {
    const int index = own_cell();
    if (index >= grid.size()) return;
    int own_lost = 0;
    apply_cell(cells[index], proposals + static_cast<std::size_t>(index) * cell_spots, own_lost);
    if (own_lost > 0) atomicAdd(lost, static_cast<std::uint32_t>(own_lost));
}

class Spots {
  public:
    Spots(State& state, double sigma_px, const Limits& limits)
        : state_(state),
          scene_{state.residuals(),
                 grid_of(state.image.rows, state.image.columns, static_cast<float>(sigma_px)),
                 state.deviation(), limits, static_cast<float>(sigma_px)},
          count_(static_cast<std::size_t>(scene_.grid.size())),
          cells_(state.array<Cell>(count_)),
          gathered_(state.array<Cell>(count_)),
          proposals_(state.array<Proposal>(count_ * cell_spots)),
          marked_(state.array<std::uint8_t>(count_)),
          active_(state.array<std::uint8_t>(count_)),
          weak_(state.array<std::uint32_t>(count_)),
          any_(state.array<std::uint32_t>(1)),
          lost_(state.zeros<std::uint32_t>(1)) {}

    void begin(float threshold) {
        const Array<std::uint8_t> marks = state_.array<std::uint8_t>(state_.image.pixels());
        state_.each_pixel(mark_maxima, state_.field(), threshold, marks.get());
        each_cell(begin_cells, scene_, state_.snr.get(), marks.get(), cells_.get(), lost_.get());
        commit();
        sweep_all(rough_sweeps);
        gather();
        // The background of what the spots leave: their light has been in it.
        flatten_anew(state_, static_cast<double>(scene_.point));
        sweep_all(max_sweeps);
        settle();
    }

    void search() {
        for (int pass = 0; pass < max_passes; ++pass) {
            for (int round = 0; round < max_rounds; ++round) {
                if (!change(false)) break;
            }
            // Spots split early may be one again now that their neighbours are known.
            if (!change(true)) return;
        }
    }

    std::vector<Particle> reported() {
        std::vector<Particle> found = report(state_, scene_, cells_.get());
        sort_by_place(found);
        state_.found.left_out = state_.download(lost_)[0];
        return found;
    }

  private:
    template <class... Parameters, class... Arguments>
    void each_cell(void (*kernel)(Parameters...), Arguments&&... arguments) const {
        cuda::launch(operation, kernel,
                     {.grid = dim3(cuda::blocks(count_, cell_threads)),
                      .block = dim3(cell_threads),
                      .stream = state_.stream},
                     std::forward<Arguments>(arguments)...);
    }

    /// `share`: cells that a block works on.
    template <class... Parameters, class... Arguments>
    void by_colours(unsigned share, void (*kernel)(Parameters...), Arguments&&... arguments) const {
        for (int k = 0; k < 4; ++k) {
            const Colour colour(scene_.grid, k);
            if (colour.count == 0) continue;
            cuda::launch(operation, kernel,
                         {.grid = dim3(cuda::blocks(static_cast<std::size_t>(colour.count), share)),
                          .block = dim3(cell_threads),
                          .stream = state_.stream},
                         scene_, colour, arguments...);
        }
    }

    /// Whether a kernel queued since set the mark.
    template <class Work>
    [[nodiscard]] bool any(const Work& work) const {
        state_.clear(any_);
        work();
        return state_.download(any_)[0] != 0;
    }

    void commit() { by_colours(cell_threads, commit_cells, cells_.get(), marked_.get()); }

    void spread_marks(bool anew) {
        state_.each(count_, spread, scene_.grid, cells_.get(), marked_.get(), anew, active_.get(),
                    any_.get());
    }

    void gather() {
        each_cell(gather_cells, scene_.grid, cells_.get(), gathered_.get(), lost_.get());
        std::swap(cells_, gathered_);
    }

    /// Draw new spots, fit all, and discard those that prove too weak, until nothing changes.
    void settle() {
        for (int pruning = 0; pruning < max_prunings; ++pruning) {
            commit();
            // Spots beside a new one are examined again.
            spread_marks(true);
            sweep(max_sweeps);
            gather();
            if (!prune()) return;
        }
        commit();
    }

    void sweep_all(int most) {
        cuda::expect(cudaMemsetAsync(marked_.get(), 1, marked_.size(), state_.stream), operation);
        spread_marks(true);
        sweep(most);
    }

    void sweep(int most) {
        const int at_once = std::min(sweeps_at_once, most);
        const auto some = [&] {
            for (int k = 0; k < at_once; ++k) {
                if (k + 1 == at_once) state_.clear(any_);
                by_colours(1, sweep_cells, cells_.get(), active_.get(), marked_.get());
                spread_marks(false);
            }
        };
        for (int k = 0; k < most; k += at_once) {
            if (!any(some)) return;
        }
    }

    bool prune() {
        return any([&] {
            measure(state_, scene_, cells_.get());
            each_cell(find_weak, scene_, cells_.get(), weak_.get());
            each_cell(prune_cells, scene_, weak_.get(), cells_.get(), any_.get());
        });
    }

    bool change(bool merging) {
        const bool changed = any([&] {
            propose(state_, scene_, cells_.get(), merging, proposals_.get(), any_.get());
            each_cell(apply_cells, scene_.grid, proposals_.get(), cells_.get(), lost_.get());
        });
        if (!changed) return false;
        gather();
        settle();
        return true;
    }

    State& state_;
    Scene scene_;
    std::size_t count_;
    Array<Cell> cells_, gathered_;
    Array<Proposal> proposals_;
    Array<std::uint8_t> marked_, active_;
    Array<std::uint32_t> weak_, any_, lost_;
};

}  // namespace

void fit_spots(State& state, double sigma_px, const Limits& limits, DeviceView<float, 2> particles) {
    Spots spots(state, sigma_px, limits);
    spots.begin(limits.alone - below_threshold);
    spots.search();
    const std::vector<Particle> found = spots.reported();
    state.found.count = found.size();
    if (found.empty() || found.size() > particles.shape[0]) return;
    cuda::expect(cudaMemcpyAsync(particles.data, found.data(), found.size() * sizeof(Particle),
                                 cudaMemcpyHostToDevice, state.stream),
                 operation);
    cuda::expect(cudaStreamSynchronize(state.stream), operation);
}

}  // namespace lee::particles::on_device
