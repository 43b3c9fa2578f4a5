#pragma once

#include "common/both.hpp"
#include "common/check.hpp"

namespace lee::toy {

constexpr const char* operation = "toy_negation";

/// Refuse the arguments that no backend accepts.
template <class In, class Out>
void check(const In& height, const Out& out) {
    check::not_empty(operation, "height", height);
    check::same_shape(operation, "height", height, "out", out);
}

LEE_BOTH float negated(float height) {
    return -height;
}

}  // namespace lee::toy
