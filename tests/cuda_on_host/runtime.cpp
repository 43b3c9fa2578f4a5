// Streams, events and memory.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>

#include "cuda_runtime.h"
#include "emulated.h"

struct EmulatedStream {
    std::deque<std::function<void()>> queue;
    std::size_t put = 0, done = 0;  // pieces of work
};

struct EmulatedEvent {
    cudaStream_t stream = nullptr;
    std::size_t after = 0;  // so many pieces of work of the stream
};

namespace {

std::recursive_mutex& guard() {
    static std::recursive_mutex one;
    return one;
}

void run_until(cudaStream_t stream, std::size_t count) {
    while (stream->done < count && !stream->queue.empty()) {
        const auto work = std::move(stream->queue.front());
        stream->queue.pop_front();
        work();
        ++stream->done;
    }
}

void finish(cudaStream_t stream) {
    const std::lock_guard lock(guard());
    if (stream != nullptr) run_until(stream, stream->put);
}

struct Block {
    void* pages;
    std::size_t page_bytes, bytes;
};

std::map<const void*, Block>& blocks() {
    static std::map<const void*, Block> all;
    return all;
}

std::size_t most_bytes() {
    const char* text = std::getenv("LEE_EMULATED_MEMORY_BYTES");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : std::size_t{8} << 30;
}

/// The answers of a machine without a device, and of one whose driver is missing (0) or too old.
cudaError_t usable() {
    if (std::getenv("LEE_EMULATED_DRIVER") != nullptr) return cudaErrorInsufficientDriver;
    return std::getenv("LEE_EMULATED_NO_DEVICE") != nullptr ? cudaErrorNoDevice : cudaSuccess;
}

bool made_here(const void* data) {
    const auto after = blocks().upper_bound(data);
    if (after == blocks().begin()) return false;
    const auto& [from, block] = *std::prev(after);
    return static_cast<const char*>(data) < static_cast<const char*>(from) + block.bytes;
}

std::size_t used_bytes() {
    std::size_t sum = 0;
    for (const auto& [data, block] : blocks()) sum += block.bytes;
    return sum;
}

}  // namespace

namespace emulated {

void put(cudaStream_t stream, std::function<void()> work) {
    const std::lock_guard lock(guard());
    if (stream == nullptr) {
        work();
        return;
    }
    stream->queue.push_back(std::move(work));
    ++stream->put;
}

}  // namespace emulated

const char* cudaGetErrorString(cudaError_t status) {
    return status == cudaErrorInvalidValue ? "invalid argument" : "emulated error";
}
cudaError_t cudaGetLastError() {
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
    const char* text = std::getenv("LEE_EMULATED_DRIVER");
    *version = text != nullptr ? std::atoi(text) : 13000;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = 13000;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return usable();
}
cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return usable();
}
cudaError_t cudaSetDevice(int device) {
    return device == 0 ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    std::strcpy(properties->name, "none: CUDA kernels run on the host");
    properties->major = 7, properties->minor = 5, properties->multiProcessorCount = 1;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
    *value = 1;
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
    *total_bytes = most_bytes();
    *free_bytes = *total_bytes - used_bytes();
    return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* where, const void* data) {
    const std::lock_guard lock(guard());
    *where = {cudaMemoryTypeDevice, 0};
    // Memory of others passes for the device's own, unless it shall be the host's or another device's.
    const char* place = std::getenv("LEE_EMULATED_ARRAYS_ON");
    if (place != nullptr && !made_here(data)) {
        *where = std::strcmp(place, "host") == 0
                     ? cudaPointerAttributes{cudaMemoryTypeUnregistered, -2}
                     : cudaPointerAttributes{cudaMemoryTypeDevice, std::atoi(place)};
    }
    return cudaSuccess;
}
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps*) {
    *pool = &blocks();
    return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) {
    return cudaSuccess;
}

cudaError_t cudaMallocFromPoolAsync(void** data, std::size_t bytes, cudaMemPool_t, cudaStream_t) {
    const std::lock_guard lock(guard());
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t wanted = (bytes + 15) / 16 * 16, pages = (wanted + page - 1) / page * page;
    if (used_bytes() + bytes > most_bytes()) return cudaErrorMemoryAllocation;
    void* from = mmap(nullptr, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (from == MAP_FAILED) return cudaErrorMemoryAllocation;
    mprotect(static_cast<char*>(from) + pages, page, PROT_NONE);
    std::memset(from, 0xff, pages);
    *data = static_cast<char*>(from) + (pages - wanted);
    blocks()[*data] = {from, pages + page, bytes};
    return cudaSuccess;
}

cudaError_t cudaFreeAsync(void* data, cudaStream_t stream) {
    emulated::put(stream, [data] {
        const auto at = blocks().find(data);
        if (at == blocks().end()) std::abort();
        munmap(at->second.pages, at->second.page_bytes);
        blocks().erase(at);
    });
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned) {
    *data = std::malloc(bytes);
    return cudaSuccess;
}
cudaError_t cudaFreeHost(void* data) {
    std::free(data);
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
    emulated::put(stream, [=] { std::memcpy(to, from, bytes); });
    return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
    emulated::put(stream, [=] { std::memset(to, value, bytes); });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    if (const cudaError_t status = usable(); status != cudaSuccess) return status;
    *stream = new EmulatedStream;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    finish(stream);
    delete stream;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    finish(stream);
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    // The work that the event marks now; it may be recorded again.
    emulated::put(stream, [seen = *event] {
        if (seen.stream != nullptr) run_until(seen.stream, seen.after);
    });
    return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    *event = new EmulatedEvent;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    *event = {stream, stream != nullptr ? stream->put : 0};
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    const std::lock_guard lock(guard());
    if (event->stream != nullptr) run_until(event->stream, event->after);
    return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    return event->stream == nullptr || event->stream->done >= event->after ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
    attributes->binaryVersion = 75;
    return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
    return cudaSuccess;
}
cudaError_t cudaMalloc(void** data, std::size_t bytes) {
    return cudaMallocFromPoolAsync(data, bytes, nullptr, nullptr);
}
cudaError_t cudaFree(void* data) {
    return cudaFreeAsync(data, nullptr);
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
    return cudaMemsetAsync(to, value, bytes, nullptr);
}
