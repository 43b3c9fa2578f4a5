#pragma once

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

/// Stop the test program where a condition does not hold.
#define EXPECT(condition)                                                                \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                                \
        }                                                                                \
    } while (false)

/// Stop the test program where `call` does not throw `Error` with exactly this message.
template <class Error, class Call>
void expect_error(const std::string& message, const Call& call) {
    try {
        call();
    } catch (const Error& error) {
        if (error.what() == message) return;
        std::fprintf(stderr, "expected \"%s\"\nbut got  \"%s\"\n", message.c_str(), error.what());
        std::exit(1);
    }
    std::fprintf(stderr, "nothing thrown; expected \"%s\"\n", message.c_str());
    std::exit(1);
}
