#pragma once

#include <cstddef>
#include <memory>

namespace lee {

/// Bytes of the longest vector register; loads that straddle a cache line cost double.
inline constexpr std::size_t vector_bytes = 64;

/// Memory that begins on a cache line, or, where it is large, on a page the system may make a huge one.
void* aligned_memory(std::size_t bytes);

struct AlignedDelete {
    std::size_t bytes = 0;
    void operator()(void* memory) const noexcept;
};

template <class T>
using AlignedArray = std::unique_ptr<T[], AlignedDelete>;

/// Memory for `count` trivial objects, not initialised.
template <class T>
AlignedArray<T> aligned_array(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    return AlignedArray<T>(static_cast<T*>(aligned_memory(bytes)), AlignedDelete{bytes});
}

}  // namespace lee
