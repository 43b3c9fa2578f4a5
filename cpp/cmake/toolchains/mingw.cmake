# Windows programs made on Linux by MinGW-w64, and run by Wine.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix) # posix: the variant that has std::thread
set(CMAKE_EXE_LINKER_FLAGS_INIT -static) # no DLLs to be found when the tests run
set(CMAKE_CROSSCOMPILING_EMULATOR wine)
