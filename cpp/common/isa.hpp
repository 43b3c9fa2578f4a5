#pragma once

namespace lee {

enum class Isa { plain, avx2, avx512 };

/// The instruction set to run on: the best the processor has, or what LEE_ISA names; decided once.
Isa chosen_isa();

}  // namespace lee

// A kernel whose hot loops are in kernels/simd/<stem>.cpp declares its table of function pointers with
//     LEE_DECLARE_ISAS(OpeningLoops, opening_loops)
// outside any namespace, and reaches the best variant with LEE_BEST_ISA(opening_loops).
#if defined(LEE_X86_ISAS)
#define LEE_DECLARE_ISAS(Table, name) \
    namespace lee::simd::plain {      \
    extern const Table name;          \
    }                                 \
    namespace lee::simd::avx2 {       \
    extern const Table name;          \
    }                                 \
    namespace lee::simd::avx512 {     \
    extern const Table name;          \
    }
#define LEE_BEST_ISA(name)                                                 \
    (::lee::chosen_isa() == ::lee::Isa::avx512 ? ::lee::simd::avx512::name \
     : ::lee::chosen_isa() == ::lee::Isa::avx2 ? ::lee::simd::avx2::name   \
                                               : ::lee::simd::plain::name)
#else
#define LEE_DECLARE_ISAS(Table, name) \
    namespace lee::simd::plain {      \
    extern const Table name;          \
    }
#define LEE_BEST_ISA(name) (::lee::simd::plain::name)
#endif
