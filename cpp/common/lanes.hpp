#pragma once

// 64 bytes of numbers, computed with element by element: one register of AVX-512, two of AVX2.
#include <cstddef>

#include "common/both.hpp"

namespace lee {

#if defined(__GNUC__) && !defined(LEE_LANES_AS_LOOPS)

template <class T>
struct LanesOf {
    typedef T Aligned __attribute__((vector_size(64)));
    typedef T Unaligned __attribute__((vector_size(64), aligned(alignof(T)), may_alias));
};

#else

// For compilers without such vectors, in loops that they may turn into vector code of their own.
template <class T>
struct Lanes {
    static constexpr std::size_t count = 64 / sizeof(T);
    T at[count];

    template <class Operation>
    static LEE_BOTH Lanes each(const Operation& operation) {
        Lanes made;
        for (std::size_t i = 0; i < count; ++i) made.at[i] = operation(i);
        return made;
    }
    static LEE_BOTH Lanes all(T value) {
        return each([value](std::size_t) { return value; });
    }

#define LEE_OPERATOR(symbol)                                                \
    friend LEE_BOTH Lanes operator symbol(const Lanes& a, const Lanes& b) { \
        return each([&](std::size_t i) { return a.at[i] symbol b.at[i]; }); \
    }                                                                       \
    friend LEE_BOTH Lanes operator symbol(const Lanes& a, T b) {            \
        return a symbol all(b);                                             \
    }                                                                       \
    friend LEE_BOTH Lanes operator symbol(T a, const Lanes& b) {            \
        return all(a) symbol b;                                             \
    }                                                                       \
    LEE_BOTH Lanes& operator symbol## = (const Lanes& other) {              \
        return *this = *this symbol other;                                  \
    }                                                                       \
    LEE_BOTH Lanes& operator symbol## = (T other) {                         \
        return *this = *this symbol all(other);                             \
    }
    LEE_OPERATOR(+)
    LEE_OPERATOR(-)
    LEE_OPERATOR(*)
    LEE_OPERATOR(/)
#undef LEE_OPERATOR

    struct Condition {
        bool at[count];
    };
    friend LEE_BOTH Condition operator<(const Lanes& a, const Lanes& b) {
        Condition made;
        for (std::size_t i = 0; i < count; ++i) made.at[i] = a.at[i] < b.at[i];
        return made;
    }
    friend LEE_BOTH Condition operator>(const Lanes& a, T b) { return all(b) < a; }
    friend LEE_BOTH Lanes select(const Condition& condition, const Lanes& yes, const Lanes& no) {
        return each([&](std::size_t i) { return condition.at[i] ? yes.at[i] : no.at[i]; });
    }
};

template <class T>
struct LanesOf {
    using Aligned = Lanes<T>;
    using Unaligned = Lanes<T>;
};

#endif

}  // namespace lee
