# The CUDA kernels: compiled by nvcc, or, to test them where there is no CUDA device, by the C++ compiler against a
# runtime that runs their threads on the host; without either, functions that throw DeviceError.
set(cuda_sources cuda/device.cu)
foreach(stem IN LISTS LEE_KERNELS)
  file(GLOB parts CONFIGURE_DEPENDS cuda/${stem}_*.cu)
  list(APPEND cuda_sources cuda/${stem}.cu ${parts})
endforeach()

if(LEE_CUDA)
  if(NOT CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    # Machine code for compute capability 7.5 to 9.0, and the intermediate form for later ones.
    set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90)
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "LEE_CUDA=ON: no nvcc that works was found; install the CUDA toolkit (12 or newer), and put "
                        "nvcc on the PATH or give -DCMAKE_CUDA_COMPILER=/path/to/nvcc")
  endif()
  enable_language(CUDA)
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
    message(FATAL_ERROR "LEE_CUDA=ON needs nvcc 12 or newer; ${CMAKE_CUDA_COMPILER} is ${CMAKE_CUDA_COMPILER_VERSION}")
  endif()
  target_sources(lee PRIVATE ${cuda_sources})
  find_package(CUDAToolkit REQUIRED)
  set_target_properties(lee PROPERTIES CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}" CUDA_VISIBILITY_PRESET hidden
                                       CUDA_RUNTIME_LIBRARY None)
  # Not by the property, whose flag CMake 3.25 does not know for nvcc.
  target_compile_options(lee PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20>)
  # Named, and not by the property, so that who links the installed static library gets it without compiling CUDA.
  target_link_libraries(lee PRIVATE CUDA::cudart_static)
  target_include_directories(lee SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
elseif(LEE_CUDA_ON_HOST)
  set(host ${PROJECT_SOURCE_DIR}/tests/cuda_on_host)
  set_source_files_properties(${cuda_sources} PROPERTIES LANGUAGE CXX)
  target_sources(lee PRIVATE ${cuda_sources} ${host}/threads.cpp ${host}/runtime.cpp)
  set_source_files_properties(${cuda_sources} PROPERTIES COMPILE_OPTIONS "-I${host};-Wno-unknown-pragmas")
else()
  target_sources(lee PRIVATE cuda/absent.cpp)
endif()
