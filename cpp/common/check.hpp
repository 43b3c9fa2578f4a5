#pragma once

#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "lee/error.hpp"
#include "lee/view.hpp"

namespace lee::check {

template <std::size_t N>
std::string text(const std::array<std::size_t, N>& shape) {
    std::string out = "(";
    for (std::size_t axis = 0; axis < N; ++axis) out += (axis ? ", " : "") + std::to_string(shape[axis]);
    return out + (N == 1 ? ",)" : ")");
}

/// Refuse a view with an extent of zero.
template <class T, std::size_t N>
void not_empty(const char* operation, const char* name, const HostView<T, N>& view) {
    if (view.size() == 0) {
        throw ShapeError(std::string(operation) + ": " + name + " is empty, its shape is " +
                         text(view.shape));
    }
}

/// Refuse two views whose shapes differ.
template <class A, class B, std::size_t N>
void same_shape(const char* operation, const char* name_a, const HostView<A, N>& a, const char* name_b,
                const HostView<B, N>& b) {
    if (a.shape != b.shape) {
        throw ShapeError(std::string(operation) + ": " + name_a + " is " + text(a.shape) + " but " + name_b +
                         " is " + text(b.shape) + "; they must have the same shape");
    }
}

/// Refuse a value with a message `operation: what`.
inline void that(bool holds, const char* operation, const std::string& what) {
    if (!holds) throw std::invalid_argument(std::string(operation) + ": " + what);
}

}  // namespace lee::check
