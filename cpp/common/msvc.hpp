#pragma once

// Before every source where the Microsoft compiler is used: what GCC, Clang and nvcc have built in. The
// standard library's headers come first, so that these do not change them.
#include <cmath>
#include <limits>

#define __builtin_sqrt(value) ::sqrt(value)
#define __builtin_sqrtf(value) ::sqrtf(value)
#define __builtin_floorf(value) ::floorf(value)
#define __builtin_ceilf(value) ::ceilf(value)
#define __builtin_inff() std::numeric_limits<float>::infinity()
#define __builtin_nan(tag) std::numeric_limits<double>::quiet_NaN()
#define __builtin_nanf(tag) std::numeric_limits<float>::quiet_NaN()
