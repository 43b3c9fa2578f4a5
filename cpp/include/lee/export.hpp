#pragma once

#if defined(_WIN32)
#define LEE_API
#else
/// Marks what the library offers; everything else is hidden.
#define LEE_API __attribute__((visibility("default")))
#endif
