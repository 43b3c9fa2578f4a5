#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include "common/check.hpp"
#include "lee/argmax_refocus.hpp"

namespace lee::check {

/// Refuse the arguments that no backend accepts; Out is Refocused or DeviceRefocused.
template <class Stack, class Focus, class Out>
void argmax_refocus(const Stack& stack, const Focus& focus, std::span<const double> z_um, const Out& out,
                    const ArgmaxRefocusParams& params) {
    constexpr const char* operation = "argmax_refocus";
    not_empty(operation, "stack", stack);
    same_shape(operation, "stack", stack, "focus", focus);
    const auto [planes, rows, columns] = stack.shape;
    that(planes <= 1U << 24, operation, "the stack has more than 2^24 planes; give it in parts");
    const HostView<const float, 2> plane{nullptr, {rows, columns}};
    same_shape(operation, "a plane", plane, "sharp", out.sharp);
    same_shape(operation, "a plane", plane, "plane", out.plane);
    same_shape(operation, "a plane", plane, "height_um", out.height_um);
    same_shape(operation, "a plane", plane, "sigma_um", out.sigma_um);
    same_shape(operation, "a pixel's focus", HostView<const float, 1>{nullptr, {planes}}, "z_um",
               HostView<const double, 1>{z_um.data(), {z_um.size()}});
    bool rises = true, falls = true;
    for (std::size_t z = 0; z < planes; ++z) {
        that(std::isfinite(z_um[z]), operation,
             "z_um[" + std::to_string(z) + "] is not finite; give the height of every plane");
        if (z == 0) continue;
        rises = rises && z_um[z] > z_um[z - 1];
        falls = falls && z_um[z] < z_um[z - 1];
    }
    that(rises || falls, operation, "z_um neither rises nor falls strictly; sort the planes by height");
    that(params.reach >= 1, operation, "reach is 0; give a number of planes >= 1");
}

}  // namespace lee::check
