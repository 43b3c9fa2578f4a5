#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace lee {

/// Bytes a vector register of any instruction set fits; loads that straddle a cache line cost double.
inline constexpr std::size_t vector_bytes = 64;

struct AlignedDelete {
    void operator()(void* memory) const noexcept { ::operator delete(memory, std::align_val_t{vector_bytes}); }
};

template <class T>
using AlignedArray = std::unique_ptr<T[], AlignedDelete>;

/// Memory for `count` trivial objects, not initialised, that begins on a cache line.
template <class T>
AlignedArray<T> aligned_array(std::size_t count) {
    return AlignedArray<T>(static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{vector_bytes})));
}

}  // namespace lee
