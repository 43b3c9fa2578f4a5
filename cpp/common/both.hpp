#pragma once

// Marks arithmetic that is the same on every backend: compiled for several instruction sets, and by nvcc. It
// takes nothing from the standard library but the names of whole numbers.
#if defined(__CUDACC__)
#define LEE_BOTH __host__ __device__ __forceinline__
#elif defined(_MSC_VER) && !defined(__clang__)
#define LEE_BOTH __forceinline
#else
#define LEE_BOTH inline __attribute__((always_inline))
#endif
