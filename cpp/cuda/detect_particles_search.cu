// Steps on each spot alone, while nothing is drawn: proposals, signal-to-noise ratios, results.
#include "common/detect_particles_errors.hpp"
#include "cuda/detect_particles_cells.cuh"

namespace lee::particles::on_device {
namespace {

/// Few to a block, so that spots spread over the device.
constexpr unsigned block_threads = 2 * lanes;

struct SpotPlace {
    __device__ SpotPlace(const Grid& grid, const Cell* cells)
        : index(static_cast<int>((blockIdx.x * block_threads + threadIdx.x) / lanes)),
          k(static_cast<int>(threadIdx.x % lanes)),
          is_spot(index < grid.size() && k < cells[index].count) {}
    [[nodiscard]] __device__ std::size_t slot() const {
        return static_cast<std::size_t>(index) * cell_spots + static_cast<std::size_t>(k);
    }
    int index, k;
    bool is_spot;
};

template <bool merging>
__global__ void __launch_bounds__(block_threads)
    propose_spots(Scene scene, const Cell* cells, Proposal* out, std::uint32_t* any) {
    const SpotPlace at(scene.grid, cells);
    if (!at.is_spot) return;
    const Emitter& one = cells[at.index].emitters[at.k];
    const auto& [image, grid, deviation, limits, point] = scene;
    const Proposal what = merging ? merger_of(image, grid, cells, one.spot, deviation, limits, point)
                                  : proposal_of(image, grid, cells, at.index, one, deviation, limits, point);
    out[at.slot()] = what;
    if (what.kind != Proposal::Kind::none) *any = 1;
}

__global__ void __launch_bounds__(block_threads) measure_spots(Scene scene, Cell* cells) {
    const SpotPlace at(scene.grid, cells);
    if (!at.is_spot) return;
    Emitter& one = cells[at.index].emitters[at.k];
    one.snr = snr_of(scene.image, one.spot, scene.deviation, scene.limits);
}

__global__ void __launch_bounds__(threads) count_spots(Grid grid, const Cell* cells, std::uint32_t* count) {
    const auto index = static_cast<int>(blockIdx.x * threads + threadIdx.x);
    if (index >= grid.size() || cells[index].count == 0) return;
    atomicAdd(count, static_cast<std::uint32_t>(cells[index].count));
}

__global__ void __launch_bounds__(block_threads)
    report_spots(Scene scene, const Cell* cells, Particle* out, std::uint32_t* count) {
    const SpotPlace at(scene.grid, cells);
    if (!at.is_spot) return;
    const Particle one = particles::report(scene.image, scene.grid, cells, at.index,
                                           cells[at.index].emitters[at.k], scene.deviation, scene.point);
    if (is_on_measured(scene.image, one)) out[atomicAdd(count, 1U)] = one;
}

template <class... Parameters, class... Arguments>
void each_spot(const State& state, const Grid& grid, void (*kernel)(Parameters...),
               Arguments&&... arguments) {
    cuda::launch(operation, kernel,
                 {.grid = dim3(cuda::blocks(static_cast<std::size_t>(grid.size()) * lanes, block_threads)),
                  .block = dim3(block_threads),
                  .stream = state.stream},
                 std::forward<Arguments>(arguments)...);
}

}  // namespace

void propose(const State& state, const Scene& scene, const Cell* cells, bool merging, Proposal* out,
             std::uint32_t* any) {
    each_spot(state, scene.grid, merging ? propose_spots<true> : propose_spots<false>, scene, cells, out,
              any);
}

void measure(const State& state, const Scene& scene, Cell* cells) {
    each_spot(state, scene.grid, measure_spots, scene, cells);
}

std::vector<Particle> report(const State& state, const Scene& scene, const Cell* cells) {
    const Array<std::uint32_t> count = state.zeros<std::uint32_t>(1);
    state.each(static_cast<std::size_t>(scene.grid.size()), count_spots, scene.grid, cells, count.get());
    const Array<Particle> found = state.array<Particle>(state.download(count)[0]);
    state.clear(count);
    each_spot(state, scene.grid, report_spots, scene, cells, found.get(), count.get());
    return state.download(found, state.download(count)[0]);
}

}  // namespace lee::particles::on_device
