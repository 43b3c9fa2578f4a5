#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "lee/view.hpp"

namespace py = pybind11;

namespace lee::bindings {

/// Strict: another dtype or layout is a TypeError here; the Python function converts, and documents it.
template <class T>
using Array = py::array_t<T, py::array::c_style>;

template <class T, std::size_t N>
std::array<std::size_t, N> shape_of(const Array<T>& array, const char* name) {
    if (array.ndim() != static_cast<py::ssize_t>(N)) {
        throw py::value_error(std::string(name) + " has " + std::to_string(array.ndim()) +
                              " dimensions, not " + std::to_string(N));
    }
    std::array<std::size_t, N> shape;
    for (std::size_t axis = 0; axis < N; ++axis) {
        shape[axis] = static_cast<std::size_t>(array.shape(static_cast<py::ssize_t>(axis)));
    }
    return shape;
}

template <std::size_t N, class T>
HostView<const T, N> read_view(const Array<T>& array, const char* name) {
    return {array.data(), shape_of<T, N>(array, name)};
}

template <std::size_t N, class T>
HostView<T, N> write_view(Array<T>& array, const char* name) {
    return {array.mutable_data(), shape_of<T, N>(array, name)};
}

template <class T, std::size_t N>
Array<T> new_array(const std::array<std::size_t, N>& shape) {
    return Array<T>(std::vector<py::ssize_t>(shape.begin(), shape.end()));
}

}  // namespace lee::bindings
