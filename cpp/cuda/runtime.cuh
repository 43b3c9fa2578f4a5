#pragma once

// What every kernel needs of the CUDA runtime: errors as exceptions, memory in stream order, launches.

#include <cuda_runtime.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "common/check.hpp"
#include "lee/device.hpp"

namespace lee::cuda {

/// Throw the exception that belongs to a failed call of the CUDA runtime.
void expect(cudaError_t status, const char* operation);

inline cudaStream_t stream_of(Stream stream) {
    return static_cast<cudaStream_t>(stream.handle);
}

/// Refuse memory that the current device cannot use: the host's, or another device's.
void on_this_device(const char* operation, const char* name, const void* data);

template <class T, std::size_t N>
void on_this_device(const char* operation, const char* name, const DeviceView<T, N>& view) {
    on_this_device(operation, name, static_cast<const void*>(view.data));
}

void* allocate(const char* operation, std::size_t bytes, cudaStream_t stream);
void release(void* data, cudaStream_t stream) noexcept;

/// Memory of the current device, taken and given back in the order of a stream; not initialised.
template <class T>
class Array {
  public:
    Array() = default;
    Array(const char* operation, std::size_t count, cudaStream_t stream) : count_(count), stream_(stream) {
        data_ = static_cast<T*>(allocate(operation, count * sizeof(T), stream));
    }
    Array(Array&& other) noexcept { swap(other); }
    Array& operator=(Array&& other) noexcept {
        swap(other);
        return *this;
    }
    Array(const Array&) = delete;
    Array& operator=(const Array&) = delete;
    ~Array() { release(data_, stream_); }

    [[nodiscard]] T* get() const { return data_; }
    [[nodiscard]] std::size_t size() const { return count_; }

  private:
    void swap(Array& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(count_, other.count_);
        std::swap(stream_, other.stream_);
    }

    T* data_ = nullptr;
    std::size_t count_ = 0;
    cudaStream_t stream_ = nullptr;
};

/// Copy a few values to the device; the source may be freed as soon as this returns.
void upload_bytes(const char* operation, void* to, const void* from, std::size_t bytes, cudaStream_t stream);

template <class T>
Array<T> upload(const char* operation, const T* values, std::size_t count, cudaStream_t stream) {
    Array<T> out(operation, count, stream);
    upload_bytes(operation, out.get(), values, count * sizeof(T), stream);
    return out;
}

inline unsigned blocks(std::size_t extent, std::size_t block) {
    return static_cast<unsigned>((extent + block - 1) / block);
}

struct Launch {
    dim3 grid, block;
    std::size_t shared_bytes = 0;
    cudaStream_t stream = nullptr;
};

/// Queue a kernel; arguments are converted to its parameters' types.
template <class... Parameters, class... Arguments>
void launch(const char* operation, void (*kernel)(Parameters...), const Launch& how,
            Arguments&&... arguments) {
    // Beyond this a kernel must be given leave first.
    constexpr std::size_t always_there = 48U << 10;
    if (how.shared_bytes > always_there) {
        expect(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                    cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(how.shared_bytes)),
               operation);
    }
    cudaLaunchConfig_t config{};
    config.gridDim = how.grid;
    config.blockDim = how.block;
    config.dynamicSmemBytes = how.shared_bytes;
    config.stream = how.stream;
    expect(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), operation);
}

#if defined(__CUDACC__)
/// The block's shared memory whose size the launch gives.
template <class T>
__device__ T* dynamic_shared() {
    extern __shared__ __align__(16) unsigned char bytes[];
    return reinterpret_cast<T*>(bytes);
}
#else
template <class T>
T* dynamic_shared() {
    return reinterpret_cast<T*>(emulated_dynamic_shared());
}
#endif

}  // namespace lee::cuda
