#pragma once

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "lee/error.hpp"

namespace lee::check {

template <std::size_t N>
std::string text(const std::array<std::size_t, N>& shape) {
    std::string out = "(";
    for (std::size_t axis = 0; axis < N; ++axis) out += (axis ? ", " : "") + std::to_string(shape[axis]);
    return out + (N == 1 ? ",)" : ")");
}

/// Refuse a view with an extent of zero.
template <class View>
void not_empty(const char* operation, const char* name, const View& view) {
    if (view.size() == 0) {
        throw ShapeError(std::string(operation) + ": " + name + " is empty, its shape is " +
                         text(view.shape));
    }
}

/// Refuse two views whose shapes differ.
template <class A, class B>
void same_shape(const char* operation, const char* name_a, const A& a, const char* name_b, const B& b) {
    if (a.shape != b.shape) {
        throw ShapeError(std::string(operation) + ": " + name_a + " is " + text(a.shape) + " but " + name_b +
                         " is " + text(b.shape) + "; they must have the same shape");
    }
}

/// Refuse a value with a message `operation: what`.
inline void that(bool holds, const char* operation, const std::string& what) {
    if (!holds) throw std::invalid_argument(std::string(operation) + ": " + what);
}

/// Refuse a number of threads below 0, which means all cores.
inline void threads(const char* operation, int count) {
    that(count >= 0, operation, "threads is " + std::to_string(count) + "; give 0 for all cores, or a count");
}

}  // namespace lee::check
