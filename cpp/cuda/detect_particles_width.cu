// The width of a point's image, from the brightest spots.
#include <algorithm>

#include "common/detect_particles_width.hpp"
#include "cuda/detect_particles_state.cuh"

namespace lee::particles::on_device {
namespace {

__global__ void __launch_bounds__(threads)
    find_bright(Field field, float threshold, Bright* found, std::uint32_t* count) {
    const Place place(field.image);
    if (!place.is_inside || !field.is_maximum(place, threshold)) return;
    found[atomicAdd(count, 1U)] = {static_cast<std::uint32_t>(place.at), field.snr[place.at]};
}

/// A thread a spot; few of them, so that they spread over the device.
constexpr unsigned width_threads = 32;
__global__ void __launch_bounds__(width_threads)
    find_widths(Residuals image, const Bright* spots, std::uint32_t count, float begin_px, WidthOf* out) {
    const std::uint32_t k = blockIdx.x * width_threads + threadIdx.x;
    if (k >= count) return;
    const auto columns = static_cast<std::uint32_t>(image.columns);
    out[k] = width_of(image, static_cast<float>(spots[k].at / columns),
                      static_cast<float>(spots[k].at % columns), begin_px);
}

}  // namespace

double spot_sigma(const State& state, double begin_px, std::size_t& count) {
    // Of four pixels that touch each other one is a maximum at most.
    const std::size_t most =
        ((std::size_t{state.image.rows} + 1) / 2) * ((std::size_t{state.image.columns} + 1) / 2);
    const Array<Bright> found = state.array<Bright>(most);
    const Array<std::uint32_t> number = state.zeros<std::uint32_t>(1);
    state.each_pixel(find_bright, state.field(), width_threshold, found.get(), number.get());
    std::vector<Bright> bright = state.download(found, state.download(number)[0]);
    std::ranges::sort(bright, [](const Bright& a, const Bright& b) {
        return a.snr > b.snr || (a.snr == b.snr && a.at < b.at);
    });
    if (bright.size() > width_spots) bright.resize(width_spots);
    std::vector<WidthOf> widths;
    if (!bright.empty()) {
        const Array<Bright> chosen = state.upload(bright);
        const Array<WidthOf> known = state.array<WidthOf>(bright.size());
        cuda::launch(operation, find_widths,
                     {.grid = dim3(cuda::blocks(bright.size(), width_threads)),
                      .block = dim3(width_threads),
                      .stream = state.stream},
                     state.residuals(), chosen.get(), static_cast<std::uint32_t>(bright.size()),
                     static_cast<float>(begin_px), known.get());
        widths = state.download(known);
    }
    return common_width(widths, state.params.expected_sigma_px, count);
}

}  // namespace lee::particles::on_device
