#include "cuda/adaptive_variance_tiles.cuh"

#include <algorithm>

namespace lee::variance {
namespace {

// Extent of the parts in which `extent` is best cut: as few as may be, of one size.
int part_of(int extent) {
    const int parts = (extent + widest_piece - 1) / widest_piece;
    return (extent + parts - 1) / parts;
}

struct Plan {
    std::vector<Piece> pieces;
    std::vector<Ends> ends;

    // Rows from `row` and columns from `dx`, as many as the piece has.
    void add(const FootprintRuns& footprint, int row, Piece piece) {
        piece.first = static_cast<int>(ends.size());
        for (int r = 0; r < piece.rows; ++r) {
            const int distinct = footprint.row_of[static_cast<std::size_t>(row + r)];
            if (distinct < 0) continue;
            for (const Run& run : footprint.rows[static_cast<std::size_t>(distinct)]) {
                const int from = std::max(static_cast<int>(run.dx) - piece.dx, 0);
                const int to = std::min(static_cast<int>(run.dx + run.length) - piece.dx, piece.columns);
                if (to <= from) continue;
                ends.push_back({static_cast<std::uint16_t>(r * pitch + from),
                                static_cast<std::uint16_t>(r * pitch + to)});
                piece.area += to - from;
            }
        }
        piece.last = static_cast<int>(ends.size());
        if (piece.area > 0) pieces.push_back(piece);
    }
};

Plan plan_of(const FootprintRuns& footprint) {
    Plan plan;
    const auto height = static_cast<int>(footprint.row_of.size());
    const auto dy_min = static_cast<int>(footprint.dy_min), dx_min = static_cast<int>(footprint.dx_min),
               dx_max = static_cast<int>(footprint.dx_max);
    const int high = part_of(height), wide = part_of(dx_max - dx_min + 1);
    for (int row = 0; row < height; row += high) {
        for (int dx = dx_min; dx <= dx_max; dx += wide) {
            plan.add(footprint, row,
                     {.dy = dy_min + row,
                      .dx = dx,
                      .rows = std::min(high, height - row),
                      .columns = std::min(wide, dx_max + 1 - dx),
                      .area = 0,
                      .first = 0,
                      .last = 0});
        }
    }
    return plan;
}

}  // namespace

PlacedFootprint::PlacedFootprint(const char* operation, const FootprintRuns& footprint, cudaStream_t stream) {
    const Plan plan = plan_of(footprint);
    pieces_ = cuda::upload(operation, plan.pieces.data(), plan.pieces.size(), stream);
    ends_ = cuda::upload(operation, plan.ends.data(), plan.ends.size(), stream);
}

}  // namespace lee::variance
