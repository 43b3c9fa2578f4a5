#pragma once

// The cells of spots, and the launches that work on them.

#include "common/detect_particles_cells.hpp"
#include "common/detect_particles_search.hpp"
#include "cuda/detect_particles_state.cuh"

namespace lee::particles::on_device {

/// A lane a spot: more than a cell can hold.
inline constexpr unsigned lanes = 32;
static_assert(cell_spots <= lanes);

struct Scene {
    Residuals image;
    Grid grid;
    Deviation deviation;
    Limits limits;
    float point;
};

/// Proposed changes of the spots of all cells, (cells, cell_spots); `any`: whether there is one. `merging`:
/// pairs that one spot explains as well; else companions and splits.
void propose(const State& state, const Scene& scene, const Cell* cells, bool merging, Proposal* out,
             std::uint32_t* any);

/// Signal-to-noise ratio of all spots.
void measure(const State& state, const Scene& scene, Cell* cells);

/// The spots as particles, in no order.
std::vector<Particle> report(const State& state, const Scene& scene, const Cell* cells);

}  // namespace lee::particles::on_device
