#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>  // shapes and strides; in every file alike, or the linker picks one

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "lee/device.hpp"

namespace py = pybind11;

namespace lee::bindings {

/// A contiguous array in a CUDA device's memory, from any object with __cuda_array_interface__; T is const
/// where it is only read. Another dtype or layout does not match; the Python function refuses it before.
template <class T>
struct CudaArray {
    T* data = nullptr;
    std::vector<std::size_t> shape;
};

template <std::size_t N, class T>
DeviceView<T, N> view(const CudaArray<T>& array, const char* name) {
    if (array.shape.size() != N) {
        throw py::value_error(std::string(name) + " has " + std::to_string(array.shape.size()) +
                              " dimensions, not " + std::to_string(N));
    }
    std::array<std::size_t, N> shape{};
    std::copy(array.shape.begin(), array.shape.end(), shape.begin());
    return DeviceView<T, N>::at(array.data, shape);
}

/// From the address of a cudaStream_t, as CuPy gives it.
inline Stream stream_at(std::uintptr_t address) {
    return {reinterpret_cast<void*>(address)};  // NOLINT(performance-no-int-to-ptr)
}

template <class T>
const char* typestr() {
    if constexpr (std::is_same_v<T, float>) return "<f4";
    if constexpr (std::is_same_v<T, double>) return "<f8";
    if constexpr (std::is_same_v<T, std::uint8_t>) return "|u1";
    if constexpr (std::is_same_v<T, std::int8_t>) return "|i1";
    if constexpr (std::is_same_v<T, std::uint16_t>) return "<u2";
    if constexpr (std::is_same_v<T, std::int32_t>) return "<i4";
}

}  // namespace lee::bindings

namespace pybind11::detail {

template <class T>
struct type_caster<lee::bindings::CudaArray<T>> {
    PYBIND11_TYPE_CASTER(lee::bindings::CudaArray<T>, const_name("CudaArray"));

    bool load(handle source, bool) {
        if (!py::hasattr(source, "__cuda_array_interface__")) return false;
        const auto seen = source.attr("__cuda_array_interface__").cast<dict>();
        if (seen["typestr"].cast<std::string>() != lee::bindings::typestr<std::remove_const_t<T>>())
            return false;
        const auto [address, read_only] = seen["data"].cast<std::pair<std::uintptr_t, bool>>();
        if (read_only && !std::is_const_v<T>) return false;
        value.shape = seen["shape"].cast<std::vector<std::size_t>>();
        if (seen.contains("strides") && !seen["strides"].is_none()) {
            const auto strides = seen["strides"].cast<std::vector<std::ptrdiff_t>>();
            std::size_t step = sizeof(T);
            for (std::size_t axis = strides.size(); axis-- > 0; step *= value.shape[axis]) {
                // Where there is one element, or none, steps do not matter.
                if (value.shape[axis] > 1 && strides[axis] != static_cast<std::ptrdiff_t>(step)) return false;
            }
        }
        value.data = reinterpret_cast<T*>(address);  // NOLINT(performance-no-int-to-ptr)
        return true;
    }
};

}  // namespace pybind11::detail
