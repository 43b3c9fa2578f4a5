#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

namespace lee {

/// A contiguous, row-major array in host memory, not owned.
///
/// The last axis is contiguous; `data` may be null only where an extent is zero.
template <class T, std::size_t N>
struct HostView {
    T* data = nullptr;
    std::array<std::size_t, N> shape{};

    [[nodiscard]] std::size_t size() const noexcept {
        std::size_t product = 1;
        for (const std::size_t extent : shape) product *= extent;
        return product;
    }

    /// Element at the given indices, outermost first; not range-checked.
    template <class... Index>
        requires(sizeof...(Index) == N && (std::is_convertible_v<Index, std::size_t> && ...))
    [[nodiscard]] T& operator()(Index... index) const noexcept {
        const std::array<std::size_t, N> at{static_cast<std::size_t>(index)...};
        std::size_t offset = 0;
        for (std::size_t axis = 0; axis < N; ++axis) offset = offset * shape[axis] + at[axis];
        return data[offset];
    }

    // Implicit on purpose: a view to write is a view to read.
    operator HostView<const T, N>() const noexcept
        requires(!std::is_const_v<T>)
    {
        return {data, shape};
    }
};

}  // namespace lee
