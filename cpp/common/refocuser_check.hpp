#pragma once

#include <array>
#include <cmath>
#include <string>

#include "common/check.hpp"
#include "lee/refocuser.hpp"

namespace lee::check {

/// Refuse parameters of a refocuser that no backend accepts.
inline void refocuser_params(std::size_t height, std::size_t width, const RefocuserParams& params) {
    constexpr const char* name = "refocuser";
    if (height == 0 || width == 0) {
        throw ShapeError("refocuser: the frame shape is " + text(std::array{height, width}) +
                         "; both must be at least 1");
    }
    const auto odd = [&](std::size_t value, const char* what) {
        that(value % 2 == 1 && value >= 3 && value <= 63, name,
             std::string(what) + " is " + std::to_string(value) + "; give an odd number from 3 to 63");
    };
    threads(name, params.threads);
    odd(params.window_y_px, "window_y_px");
    odd(params.window_x_px, "window_x_px");
    odd(params.detail_px, "detail_px");
    that(params.depth_of_field_um > 0.0 && std::isfinite(params.depth_of_field_um), name,
         "depth_of_field_um is " + std::to_string(params.depth_of_field_um) + "; give a length above 0");
}

/// Refuse to look at, or to reject, maxima while more may come.
inline void is_closed(bool closed) {
    that(closed, "refocuser", "the scan has not ended, so maxima may still come; call close first");
}

/// Refuse an array for a result whose shape is not `wanted`.
template <class View, std::size_t N>
void result_shape(const char* what, const View& view, const std::array<std::size_t, N>& wanted) {
    if (view.shape != wanted) {
        throw ShapeError(std::string("refocuser: ") + what + " is " + text(view.shape) + ", not " +
                         text(wanted));
    }
}

}  // namespace lee::check
