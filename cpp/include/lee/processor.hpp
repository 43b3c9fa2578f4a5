#pragma once

#include "lee/export.hpp"

namespace lee {

/// Name of the instruction set the kernels run on: "plain", "avx2" or "avx512".
///
/// The best that the processor has, or the one that the environment variable LEE_ISA names.
///
/// throws  std::invalid_argument where LEE_ISA is unknown or the processor lacks it
LEE_API const char* instruction_set();

/// Cores that this process may use (its affinity), at least 1; `threads = 0` means this many everywhere.
LEE_API int available_cores() noexcept;

}  // namespace lee
