// Work on the caller's stream, which nobody waits for before its results are read.
#include <cuda_runtime.h>

#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "expect.hpp"
#include "lee/adaptive_variance.hpp"
#include "lee/argmax_refocus.hpp"
#include "lee/detect_particles.hpp"
#include "lee/error.hpp"
#include "lee/opening.hpp"
#include "lee/refocuser.hpp"

namespace {

constexpr std::size_t rows = 37, columns = 70, pixels = rows * columns, planes = 20;

/// A texture that is in focus in the middle of the scan.
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
        // The payload of a NaN does not matter.
        const float a = of_height.read()[i], b = height[i];
        if (i % 64 == 0) EXPECT(a == b || (std::isnan(a) && std::isnan(b)));
    }
}

/// Spots over a texture that has moved and changed its focus; each in its own way for each kind of pixel.
template <class Pixel>
struct Pair {
    static constexpr std::size_t height = 131, width = 170;
    std::vector<Pixel> before = std::vector<Pixel>(height * width), after = before;
    std::vector<float> axial = std::vector<float>(height * width);

    Pair() {
        std::uint32_t random = 12345;
        const auto noise = [&random] {
            double sum = 0;
            for (int k = 0; k < 4; ++k) sum += (random = random * 1664525U + 1013904223U) / 4294967296.0;
            return 5 * (sum - 2);
        };
        for (std::size_t i = 0; i < before.size(); ++i) {
            const auto y = static_cast<double>(i / width), x = static_cast<double>(i % width);
            const auto waves = [y](double at) { return 20 * std::sin(0.5 * at + 0.2 * y); };
            double spots = 0;
            for (int k = 0; k < 24; ++k) {
                const double v = y - 9.3 - 21 * (k / 4), u = x - 16.7 - 43 * (k % 4) + 0.3 * k;
                spots += (20.0 + 4 * k) * std::exp(-(v * v + u * u) / 3.5);
                if (k % 3 == 0) spots += 50 * std::exp(-((v - 2) * (v - 2) + (u - 2) * (u - 2)) / 3.5);
            }
            before[i] = static_cast<Pixel>(100 + waves(x) + noise());
            after[i] = static_cast<Pixel>(100 + waves(x + 0.4) + spots + noise());
            axial[i] = static_cast<float>(-waves(x));
        }
    }
};

bool alike(float a, float b, float within) {
    return std::abs(a - b) <= within || (std::isnan(a) && std::isnan(b));
}

template <class Pixel>
void particles_are_those_of_the_host(const Pair<Pixel>& pair, bool with_axial,
                                     const lee::DetectParticlesParams& params) {
    const std::array<std::size_t, 2> image{pair.height, pair.width};
    const lee::DetectedParticles want = lee::detect_particles(
        lee::HostView<const Pixel, 2>{pair.before.data(), image}, {pair.after.data(), image},
        with_axial ? lee::HostView<const float, 2>{pair.axial.data(), image}
                   : lee::HostView<const float, 2>{},
        params);
    EXPECT(want.count > 10);
    const OnDevice<Pixel> before(pair.before), after(pair.after);
    const OnDevice<float> axial(pair.axial), out(std::vector<float>(9 * (want.count + 1), -1.0F));
    const OnStream stream;
    const auto run = [&](std::size_t capacity) {
        return lee::detect_particles(lee::DeviceView<const Pixel, 2>::at(before.get(), image),
                                     lee::DeviceView<const Pixel, 2>::at(after.get(), image),
                                     with_axial ? lee::DeviceView<const float, 2>::at(axial.get(), image)
                                                : lee::DeviceView<const float, 2>{},
                                     lee::DeviceView<float, 2>::at(out.get(), {capacity, 9}), params, stream);
    };
    EXPECT(run(want.count - 1).count == want.count);
    EXPECT(out.read() == std::vector<float>(9 * (want.count + 1), -1.0F));
    const lee::DetectedParticles got = run(want.count + 1);
    EXPECT(got.count == want.count && got.particles.empty());
    EXPECT(got.not_measured == want.not_measured && got.saturated == want.saturated);
    EXPECT(got.left_out == want.left_out && got.sigma_from == want.sigma_from);
    EXPECT(std::abs(got.spot_sigma_px - want.spot_sigma_px) < 1e-5);
    EXPECT(std::abs(got.threshold_snr - want.threshold_snr) < 1e-5);
    EXPECT(std::abs(got.noise / want.noise - 1) < 1e-5 && std::abs(got.excess / want.excess - 1) < 1e-5);
    const std::vector<float> reported = out.read();
    for (std::size_t k = 0; k < want.count; ++k) {
        const lee::Particle& one = want.particles[k];
        const float* other = reported.data() + 9 * k;
        EXPECT(alike(other[0], one.y_px, 1e-3F) && alike(other[1], one.x_px, 1e-3F));
        EXPECT(alike(other[2], one.peak, 1e-3F * one.peak) && alike(other[3], one.width_px, 1e-3F));
        EXPECT(alike(other[4], one.y_sigma_px, 1e-4F) && alike(other[5], one.x_sigma_px, 1e-4F));
        EXPECT(alike(other[6], one.peak_sigma, 1e-3F * one.peak) && alike(other[7], one.snr, 1e-2F));
        EXPECT(other[8] == one.flags);
    }
    for (std::size_t k = 0; k < 9; ++k) EXPECT(reported[9 * want.count + k] == -1.0F);
}

void particles_of_every_kind_of_pixel_are_those_of_the_host() {
    const Pair<std::uint8_t> bytes;
    particles_are_those_of_the_host(bytes, false, {.saturation = 165});
    const Pair<std::uint16_t> words;
    particles_are_those_of_the_host(words, true, {.spot_sigma_px = 1.3, .shift_px = {0.3, -1.6}});
    Pair<float> reals;
    for (std::size_t i = 0; i < reals.before.size(); i += 401) {
        reals.before[i] = std::nanf("");
        reals.axial[i] = std::nanf("");
        reals.after[i / 2] = HUGE_VALF;
    }
    particles_are_those_of_the_host(reals, true, {});
    std::swap(reals.before, reals.after);
    particles_are_those_of_the_host(reals, false, {.shift_px = {-2, 1}, .disappearing = true});
}

void particles_need_a_table_of_nine_columns() {
    const OnDevice<float> frame(std::vector<float>(20)), table(std::vector<float>(8));
    const auto image = lee::DeviceView<const float, 2>::at(frame.get(), {4, 5});
    expect_error<lee::ShapeError>("detect_particles: particles is (1, 8); give (capacity, 9)", [&] {
        (void)lee::detect_particles(image, image, {}, lee::DeviceView<float, 2>::at(table.get(), {1, 8}), {});
    });
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
    particles_of_every_kind_of_pixel_are_those_of_the_host();
    particles_need_a_table_of_nine_columns();
}
