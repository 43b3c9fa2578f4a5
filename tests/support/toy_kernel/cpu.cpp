#include "lee/toy_negation.hpp"

#include "common/parallel.hpp"
#include "common/toy_negation_pixel.hpp"

namespace lee {

void toy_negation(HostView<const float, 2> height, HostView<float, 2> out, const ToyNegationParams& params) {
    toy::check(height, out);
    const std::size_t columns = height.shape[1];
    parallel_for(height.shape[0], params.threads, [&](std::size_t row, int) {
        for (std::size_t i = row * columns; i < (row + 1) * columns; ++i)
            out.data[i] = toy::negated(height.data[i]);
    });
}

}  // namespace lee
