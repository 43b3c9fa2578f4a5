#pragma once

// The bits of floats, the same on every backend.
#include <cstdint>

#include "common/both.hpp"

namespace lee {

/// Neither NaN nor infinite.
LEE_BOTH bool finite(float value) {
    return value - value == 0.0F;
}

LEE_BOTH bool finite(double value) {
    return value - value == 0.0;
}

LEE_BOTH std::uint32_t bits_of(float value) {
    return __builtin_bit_cast(std::uint32_t, value);
}

LEE_BOTH float float_of(std::uint32_t bits) {
    return __builtin_bit_cast(float, bits);
}

/// Bits of a float as a whole number of the same order, and back. Where the sign is set, larger magnitudes
/// are smaller numbers: invert the other bits.
LEE_BOTH std::int32_t ordered(std::int32_t bits) {
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

/// The same for numbers without a sign: keys to sort floats by.
LEE_BOTH std::uint32_t sort_key(float value) {
    return static_cast<std::uint32_t>(ordered(static_cast<std::int32_t>(bits_of(value)))) ^ 0x80000000U;
}

LEE_BOTH float float_of_key(std::uint32_t key) {
    return float_of(static_cast<std::uint32_t>(ordered(static_cast<std::int32_t>(key ^ 0x80000000U))));
}

}  // namespace lee
