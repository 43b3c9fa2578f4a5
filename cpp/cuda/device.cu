#include <algorithm>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <vector>

#include "cuda/runtime.cuh"

namespace lee {
namespace {

std::string version_text(int version) {
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

int attribute(cudaDeviceAttr which, int device) {
    int value = 0;
    cuda::expect(cudaDeviceGetAttribute(&value, which, device), "device_info");
    return value;
}

// Scratch memory has a separate pool: the device's default one belongs to the caller, who may want it trimmed
// whenever a stream is waited for.
cudaMemPool_t pool_of(int device, const char* operation) {
    static std::mutex guard;
    static std::vector<cudaMemPool_t> pools;
    const std::lock_guard lock(guard);
    const auto at = static_cast<std::size_t>(device);
    if (pools.size() <= at) pools.resize(at + 1, nullptr);
    if (pools[at] == nullptr) {
        cudaMemPoolProps wanted{};
        wanted.allocType = cudaMemAllocationTypePinned;
        wanted.location.type = cudaMemLocationTypeDevice;
        wanted.location.id = device;
        cuda::expect(cudaMemPoolCreate(&pools[at], &wanted), operation);
        std::uint64_t keep = 256U << 20;  // bytes, from one call to the next
        cuda::expect(cudaMemPoolSetAttribute(pools[at], cudaMemPoolAttrReleaseThreshold, &keep), operation);
    }
    return pools[at];
}

// Travels as an argument of a kernel: a copy from pageable memory may wait for the stream.
struct Chunk {
    unsigned char bytes[3072];
};

__global__ void store(Chunk chunk, unsigned char* to, unsigned count) {
    for (unsigned i = threadIdx.x; i < count; i += blockDim.x) to[i] = chunk.bytes[i];
}

}  // namespace

bool built_with_cuda() noexcept {
    return true;
}

DeviceInfo device_info() {
    int count = 0, device = 0;
    cuda::expect(cudaGetDeviceCount(&count), "device_info");
    cuda::expect(cudaGetDevice(&device), "device_info");
    cudaDeviceProp properties{};
    cuda::expect(cudaGetDeviceProperties(&properties, device), "device_info");
    // Whether this build has code for it.
    cudaFuncAttributes code{};
    cuda::expect(cudaFuncGetAttributes(&code, reinterpret_cast<const void*>(store)), "device_info");
    DeviceInfo info;
    info.name = properties.name;
    info.compute_major = properties.major;
    info.compute_minor = properties.minor;
    info.multiprocessors = properties.multiProcessorCount;
    cuda::expect(cudaMemGetInfo(&info.free_bytes, &info.memory_bytes), "device_info");
    info.clock_hz = 1e3 * attribute(cudaDevAttrClockRate, device);
    // Two transfers a clock, of so many bits.
    info.memory_bytes_per_s = 2e3 * attribute(cudaDevAttrMemoryClockRate, device) *
                              attribute(cudaDevAttrGlobalMemoryBusWidth, device) / 8.0;
    info.shared_slice = info.name.find("MIG ") != std::string::npos;
    cuda::expect(cudaDriverGetVersion(&info.driver_version), "device_info");
    cuda::expect(cudaRuntimeGetVersion(&info.runtime_version), "device_info");
    return info;
}

namespace cuda {

void expect(cudaError_t status, const char* operation) {
    if (status == cudaSuccess) return;
    // The error of this call is reported here, and must not be reported again by the next call.
    (void)cudaGetLastError();
    const std::string who = std::string(operation) + ": ";
    int driver = 0, runtime = 0;
    (void)cudaRuntimeGetVersion(&runtime);
    switch (status) {
        case cudaErrorNoDevice:
            throw DeviceError(who +
                              "no CUDA device is visible; look at nvidia-smi and CUDA_VISIBLE_DEVICES, "
                              "or work on the CPU");
        case cudaErrorInsufficientDriver:
            if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0) {
                throw DeviceError(who + "the NVIDIA driver serves CUDA " + version_text(driver) +
                                  ", this build needs " + version_text(runtime) +
                                  "; update the driver, or build with an older CUDA");
            }
            throw DeviceError(who + "no NVIDIA driver is installed; install one, or work on the CPU");
        case cudaErrorMemoryAllocation:
            throw DeviceMemoryError(who +
                                    "the CUDA device has too little free memory; free some, or work on "
                                    "the CPU or on smaller images");
        case cudaErrorUnsupportedPtxVersion:
        case cudaErrorSystemDriverMismatch:
            throw DeviceError(who + "the NVIDIA driver does not fit this build, which needs CUDA " +
                              version_text(runtime) + "; update the driver");
        case cudaErrorNoKernelImageForDevice:
            throw DeviceError(who +
                              "this build has no code for this CUDA device; build with "
                              "CMAKE_CUDA_ARCHITECTURES=native");
        default:
            throw DeviceError(who +
                              "CUDA failed, here or in work queued before: " + cudaGetErrorString(status));
    }
}

void on_this_device(const char* operation, const char* name, const void* data) {
    int device = 0;
    expect(cudaGetDevice(&device), operation);
    cudaPointerAttributes where{};
    expect(cudaPointerGetAttributes(&where, data), operation);
    const std::string what = std::string(operation) + ": " + name;
    if (where.type != cudaMemoryTypeDevice && where.type != cudaMemoryTypeManaged) {
        throw DeviceError(what + " is in host memory; give an array on the CUDA device");
    }
    if (where.type == cudaMemoryTypeDevice && where.device != device) {
        throw DeviceError(what + " is on CUDA device " + std::to_string(where.device) +
                          ", the current one is " + std::to_string(device) +
                          "; make that one current, or copy the array");
    }
}

void* allocate(const char* operation, std::size_t bytes, cudaStream_t stream) {
    int device = 0;
    expect(cudaGetDevice(&device), operation);
    void* data = nullptr;
    expect(
        cudaMallocFromPoolAsync(&data, std::max<std::size_t>(bytes, 1), pool_of(device, operation), stream),
        operation);
    return data;
}

void release(void* data, cudaStream_t stream) noexcept {
    if (data != nullptr) (void)cudaFreeAsync(data, stream);
}

void upload_bytes(const char* operation, void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
    const auto* source = static_cast<const unsigned char*>(from);
    for (std::size_t at = 0; at < bytes; at += sizeof(Chunk)) {
        const auto count = static_cast<unsigned>(std::min(bytes - at, sizeof(Chunk)));
        Chunk chunk;
        std::memcpy(chunk.bytes, source + at, count);
        launch(operation, store, {.grid = dim3(1), .block = dim3(256), .stream = stream}, chunk,
               static_cast<unsigned char*>(to) + at, count);
    }
}

}  // namespace cuda
}  // namespace lee
