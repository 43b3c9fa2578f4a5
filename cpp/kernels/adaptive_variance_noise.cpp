#include "kernels/adaptive_variance_noise.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/adaptive_variance_windows.hpp"
#include "common/parallel.hpp"

namespace lee {

template <class Pixel>
float noise_of(HostView<const Pixel, 3> stack, int threads) {
    const auto [planes, rows, columns] = stack.shape;
    const variance::NoiseGrid grid = variance::noise_grid(planes, rows, columns);
    std::vector<std::vector<double>> found(grid.of_planes);
    parallel_for(found.size(), threads, [&](std::size_t index, int) {
        const Pixel* plane = stack.data + index * grid.planes * rows * columns;
        for (std::size_t y = 1; y + 1 < rows; y += grid.step) {
            for (std::size_t x = 1; x + 1 < columns; x += grid.step) {
                const double value = variance::noise_sample(plane + y * columns + x, columns);
                if (value >= 0.0) found[index].push_back(value);
            }
        }
    });
    std::vector<double> all;
    for (const auto& part : found) all.insert(all.end(), part.begin(), part.end());
    if (all.empty()) return 0.0F;
    // The lower median, an element of the sample.
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>((all.size() - 1) / 2);
    std::nth_element(all.begin(), middle, all.end());
    return variance::noise_of_median(*middle);
}

template float noise_of(HostView<const std::uint8_t, 3>, int);
template float noise_of(HostView<const std::uint16_t, 3>, int);
template float noise_of(HostView<const float, 3>, int);

}  // namespace lee
