#pragma once

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "lee/export.hpp"

namespace lee {

/// The graphics processor cannot be used, or failed: no CUDA in this build, no driver, an array in other
/// memory.
class LEE_API DeviceError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
    DeviceError(const DeviceError&) = default;
    DeviceError& operator=(const DeviceError&) = default;
    ~DeviceError() override;
};

/// The device has too little free memory.
class LEE_API DeviceMemoryError : public DeviceError {
  public:
    using DeviceError::DeviceError;
    DeviceMemoryError(const DeviceMemoryError&) = default;
    DeviceMemoryError& operator=(const DeviceMemoryError&) = default;
    ~DeviceMemoryError() override;
};

/// A contiguous, row-major array in the memory of the current CUDA device, not owned.
template <class T, std::size_t N>
struct DeviceView {
    T* data = nullptr;
    std::array<std::size_t, N> shape{};

    DeviceView() = default;

    // The only way to make one, so that {data, shape} as an argument always means the host's memory.
    [[nodiscard]] static DeviceView at(T* data, const std::array<std::size_t, N>& shape) noexcept {
        DeviceView view;
        view.data = data;
        view.shape = shape;
        return view;
    }

    [[nodiscard]] std::size_t size() const noexcept {
        std::size_t product = 1;
        for (const std::size_t extent : shape) product *= extent;
        return product;
    }

    // Implicit on purpose: a view to write is a view to read.
    operator DeviceView<const T, N>() const noexcept
        requires(!std::is_const_v<T>)
    {
        return DeviceView<const T, N>::at(data, shape);
    }
};

/// The stream work is put on: a cudaStream_t. Null is the default stream.
///
/// Functions that take one return as soon as the work is queued; errors of the work itself are reported where
/// the stream is next waited for.
struct Stream {
    void* handle = nullptr;
};

struct DeviceInfo {
    std::string name;
    int compute_major = 0, compute_minor = 0;
    int multiprocessors = 0;
    std::size_t memory_bytes = 0, free_bytes = 0;
    double clock_hz = 0.0;                        ///< of the multiprocessors, at most
    double memory_bytes_per_s = 0.0;              ///< what the memory's clock and width allow
    bool shared_slice = false;                    ///< part of a card (MIG): its figures are not the card's
    int driver_version = 0, runtime_version = 0;  ///< 1000 major + 10 minor
};

/// Whether this library was built with the CUDA kernels.
LEE_API bool built_with_cuda() noexcept;

/// The current CUDA device.
///
/// throws  DeviceError that states why there is none: build, driver or card
LEE_API DeviceInfo device_info();

}  // namespace lee
