// Work on a stream of the caller's, which nobody waits for before its results are read.
#include <cuda_runtime.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "expect.hpp"
#include "lee/adaptive_variance.hpp"
#include "lee/argmax_refocus.hpp"
#include "lee/opening.hpp"
#include "lee/refocuser.hpp"

namespace {

constexpr std::size_t rows = 37, columns = 70, pixels = rows * columns, planes = 20;

/// A texture that comes into focus in the middle.
std::vector<std::uint8_t> frame_at(std::size_t k) {
    std::vector<std::uint8_t> frame(pixels);
    const double off = static_cast<double>(k) - 0.5 * planes;
    const double contrast = 80.0 * std::exp(-off * off / 10.0);
    for (std::size_t i = 0; i < pixels; ++i) {
        const auto texture = static_cast<double>((i * 2654435761U >> 16) % 256) / 255.0;
        frame[i] =
            static_cast<std::uint8_t>(100.0 + contrast * texture + static_cast<double>((i + 7 * k) % 3));
    }
    return frame;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
    return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct OnStream {
    OnStream() { EXPECT(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking) == cudaSuccess); }
    ~OnStream() { (void)cudaStreamDestroy(handle); }
    OnStream(const OnStream&) = delete;
    OnStream& operator=(const OnStream&) = delete;
    void wait() const { EXPECT(cudaStreamSynchronize(handle) == cudaSuccess); }
    operator lee::Stream() const { return {handle}; }
    cudaStream_t handle = nullptr;
};

/// Memory on the device that can be filled and read.
template <class T>
struct OnDevice {
    explicit OnDevice(const std::vector<T>& values) : size(values.size()) {
        EXPECT(cudaMalloc(&data, size * sizeof(T)) == cudaSuccess);
        EXPECT(cudaMemcpy(data, values.data(), size * sizeof(T), cudaMemcpyDefault) == cudaSuccess);
    }
    ~OnDevice() { (void)cudaFree(data); }
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;
    [[nodiscard]] T* get() const { return static_cast<T*>(data); }
    [[nodiscard]] std::vector<T> read() const {
        std::vector<T> values(size);
        EXPECT(cudaMemcpy(values.data(), data, size * sizeof(T), cudaMemcpyDefault) == cudaSuccess);
        return values;
    }
    void* data = nullptr;
    std::size_t size;
};

void frames_from_one_buffer_are_all_told_apart() {
    const lee::RefocuserParams params{.depth_of_field_um = 6.0};
    std::vector<std::vector<float>> want(3, std::vector<float>(pixels)), got = want;
    lee::Refocuser host(rows, columns, params);
    const OnStream stream;
    lee::DeviceRefocuser device(rows, columns, params, stream);
    std::vector<std::uint8_t> buffer(pixels);
    for (std::size_t k = 0; k < planes; ++k) {
        buffer = frame_at(k);
        host.push({buffer.data(), {rows, columns}}, static_cast<double>(k), 0.2 * static_cast<double>(k),
                  0.0);
        device.push({buffer.data(), {rows, columns}}, static_cast<double>(k), 0.2 * static_cast<double>(k),
                    0.0);
    }
    const auto finish = [](auto& refocuser, auto& out) {
        refocuser.finish({out[0].data(), {rows, columns}}, {out[1].data(), {rows, columns}},
                         {out[2].data(), {rows, columns}});
    };
    finish(host, want);
    finish(device, got);
    for (std::size_t k = 0; k < 3; ++k) EXPECT(same(got[k], want[k]));
}

void the_opening_needs_its_footprint_only_while_it_is_called() {
    std::vector<float> height(pixels), want(pixels);
    std::vector<std::int8_t> want_removed(pixels);
    for (std::size_t i = 0; i < pixels; ++i) height[i] = static_cast<float>((i * 2654435761U >> 20) % 97);
    std::vector<std::uint8_t> mask(25, 1);
    const lee::Footprint footprint{.mask = {mask.data(), {5, 5}}, .centre_y = 2, .centre_x = 2};
    lee::opening({height.data(), {rows, columns}}, {want.data(), {rows, columns}},
                 {want_removed.data(), {rows, columns}}, footprint);
    const OnDevice<float> in(height), out(std::vector<float>(pixels, -1.0F));
    const OnDevice<std::int8_t> removed(std::vector<std::int8_t>(pixels, 9));
    const OnStream stream;
    lee::opening(lee::DeviceView<const float, 2>::at(in.get(), {rows, columns}),
                 lee::DeviceView<float, 2>::at(out.get(), {rows, columns}),
                 lee::DeviceView<std::int8_t, 2>::at(removed.get(), {rows, columns}), footprint, {}, stream);
    mask.assign(25, 0);
    stream.wait();
    EXPECT(same(out.read(), want));
    EXPECT(removed.read() == want_removed);
}

void a_stack_is_measured_and_refocused_without_a_wait_between() {
    std::vector<std::uint8_t> stack;
    std::vector<double> z_um;
    for (std::size_t k = 0; k < planes; ++k) {
        const auto frame = frame_at(k);
        stack.insert(stack.end(), frame.begin(), frame.end());
        z_um.push_back(static_cast<double>(k));
    }
    std::vector<float> focus(planes * pixels), sharp(pixels), height(pixels), sigma(pixels);
    std::vector<std::uint8_t> window(pixels);
    std::vector<std::int32_t> plane(pixels);
    std::vector<std::uint8_t> small(9, 1), large(49, 1);
    const std::vector<lee::Footprint> footprints{
        {.mask = {small.data(), {3, 3}}, .centre_y = 1, .centre_x = 1},
        {.mask = {large.data(), {7, 7}}, .centre_y = 3, .centre_x = 3}};
    const std::array<std::size_t, 3> shape{planes, rows, columns};
    const std::array<std::size_t, 2> image{rows, columns};
    const float noise = lee::adaptive_variance(lee::HostView<const std::uint8_t, 3>{stack.data(), shape},
                                               {focus.data(), shape}, {window.data(), image}, footprints);
    lee::argmax_refocus(lee::HostView<const std::uint8_t, 3>{stack.data(), shape}, {focus.data(), shape},
                        z_um,
                        {.sharp = {sharp.data(), image},
                         .plane = {plane.data(), image},
                         .height_um = {height.data(), image},
                         .sigma_um = {sigma.data(), image}});

    const OnDevice<std::uint8_t> in(stack), of_window(window);
    const OnDevice<float> of_focus(focus), of_noise({0.0F}), of_sharp(sharp), of_height(height),
        of_sigma(sigma);
    const OnDevice<std::int32_t> of_plane(plane);
    const OnStream stream;
    const auto device_stack = lee::DeviceView<const std::uint8_t, 3>::at(in.get(), shape);
    const auto device_focus = lee::DeviceView<float, 3>::at(of_focus.get(), shape);
    EXPECT(cudaMemset(of_focus.data, 0, focus.size() * sizeof(float)) == cudaSuccess);
    lee::adaptive_variance(device_stack, device_focus,
                           lee::DeviceView<std::uint8_t, 2>::at(of_window.get(), image),
                           lee::DeviceView<float, 1>::at(of_noise.get(), {1}), footprints, {}, stream);
    lee::argmax_refocus(device_stack, device_focus, z_um,
                        {.sharp = lee::DeviceView<float, 2>::at(of_sharp.get(), image),
                         .plane = lee::DeviceView<std::int32_t, 2>::at(of_plane.get(), image),
                         .height_um = lee::DeviceView<float, 2>::at(of_height.get(), image),
                         .sigma_um = lee::DeviceView<float, 2>::at(of_sigma.get(), image)},
                        {}, stream);
    z_um.assign(planes, 0.0);
    small.assign(9, 0);
    stream.wait();
    EXPECT(of_noise.read()[0] == noise);
    EXPECT(same(of_focus.read(), focus));
    EXPECT(of_plane.read() == plane);
    for (std::size_t i = 0; i < pixels; ++i) {
        // What a NaN holds besides is nobody's business.
        const float a = of_height.read()[i], b = height[i];
        if (i % 64 == 0) EXPECT(a == b || (std::isnan(a) && std::isnan(b)));
    }
}

}  // namespace

int main() {
    try {
        (void)lee::device_info();
    } catch (const lee::DeviceError& error) {
        std::printf("skipped: %s\n", error.what());
        return 77;
    }
    frames_from_one_buffer_are_all_told_apart();
    the_opening_needs_its_footprint_only_while_it_is_called();
    a_stack_is_measured_and_refocused_without_a_wait_between();
}
