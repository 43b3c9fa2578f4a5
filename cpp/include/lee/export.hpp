#pragma once

#if defined(_WIN32)
#define LEE_API
#else
/// Marks the public names of the library; everything else is hidden.
#define LEE_API __attribute__((visibility("default")))
#endif
