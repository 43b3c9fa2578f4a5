# The instruction sets a hot loop is compiled for; common/isa.cpp picks one of them when the program runs.
set(LEE_ISAS plain)
set(processor ${CMAKE_SYSTEM_PROCESSOR})
if(CMAKE_OSX_ARCHITECTURES)
  set(processor ${CMAKE_OSX_ARCHITECTURES}) # of two at once, neither matches
endif()
if(processor MATCHES "^(x86_64|AMD64|amd64)$" AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang" AND NOT MSVC)
  list(APPEND LEE_ISAS avx2 avx512)
  target_compile_definitions(lee_build INTERFACE LEE_X86_ISAS)
endif()
set(LEE_ISA_FLAGS_plain "")
set(LEE_ISA_FLAGS_avx2 -march=x86-64-v3)
# By default GCC prefers 256-bit vectors even for AVX-512.
set(LEE_ISA_FLAGS_avx512 -march=x86-64-v4 -mprefer-vector-width=512)
if(MINGW AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # On Windows GCC does not align the stack for these vectors, yet may use moves that need it (GCC bug 54412).
  list(APPEND LEE_ISA_FLAGS_avx2 -Wa,-muse-unaligned-vector-move)
  list(APPEND LEE_ISA_FLAGS_avx512 -Wa,-muse-unaligned-vector-move)
endif()

# lee_simd_kernel(<stem>): compile kernels/simd/<stem>.cpp once for each instruction set, with LEE_ISA set to its name.
# -fno-math-errno, -fno-trapping-math: without them GCC does not vectorise sqrt and conditional selections.
# -fno-loop-unroll-and-jam: with two rounds of an outer loop in one, GCC leaves the inner loop scalar.
function(lee_simd_kernel stem)
  foreach(isa IN LISTS LEE_ISAS)
    set(object lee_simd_${stem}_${isa})
    add_library(${object} OBJECT ${CMAKE_CURRENT_SOURCE_DIR}/kernels/simd/${stem}.cpp)
    target_include_directories(${object} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_compile_definitions(${object} PRIVATE LEE_ISA=${isa})
    target_link_libraries(${object} PRIVATE lee_build)
    if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang" AND NOT MSVC)
      target_compile_options(${object} PRIVATE -O3 -fno-math-errno -fno-trapping-math ${LEE_ISA_FLAGS_${isa}}
        $<$<CXX_COMPILER_ID:GNU>:-fno-loop-unroll-and-jam>)
    endif()
    set_target_properties(${object} PROPERTIES
      POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
    target_sources(lee PRIVATE $<TARGET_OBJECTS:${object}>)
  endforeach()
endfunction()
