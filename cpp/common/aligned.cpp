#include "common/aligned.hpp"

#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace lee {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

std::align_val_t alignment(std::size_t bytes) {
    return std::align_val_t{bytes >= 2 * huge_page ? huge_page : vector_bytes};
}

}  // namespace

void* aligned_memory(std::size_t bytes) {
    void* memory = ::operator new(bytes, alignment(bytes));
#if defined(__linux__)
    // Only a hint: touching an image-sized buffer for the first time costs a fifth of a kernel in small
    // pages.
    if (bytes >= 2 * huge_page) (void)madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    return memory;
}

void AlignedDelete::operator()(void* memory) const noexcept {
    ::operator delete(memory, alignment(bytes));
}

}  // namespace lee
