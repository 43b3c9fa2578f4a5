#include "common/isa.hpp"

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "lee/processor.hpp"

namespace lee {
namespace {

constexpr std::array<const char*, 3> names{"plain", "avx2", "avx512"};

bool supported(Isa isa) {
    if (isa == Isa::plain) return true;
#if defined(LEE_X86_ISAS)
    // The features of x86-64-v3 and v4 in which processors differ.
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    if (isa == Isa::avx2) return v3;
    return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

Isa choose() {
    const char* wanted = std::getenv("LEE_ISA");
    if (wanted == nullptr || *wanted == '\0') {
        if (supported(Isa::avx512)) return Isa::avx512;
        return supported(Isa::avx2) ? Isa::avx2 : Isa::plain;
    }
    for (const Isa isa : {Isa::plain, Isa::avx2, Isa::avx512}) {
        if (std::string(wanted) != names[static_cast<std::size_t>(isa)]) continue;
        if (supported(isa)) return isa;
        throw std::invalid_argument("LEE_ISA=" + std::string(wanted) +
                                    ": this processor or this build lacks it; unset LEE_ISA");
    }
    throw std::invalid_argument("LEE_ISA=" + std::string(wanted) +
                                ": give plain, avx2 or avx512, or unset it");
}

}  // namespace

Isa chosen_isa() {
    static const Isa isa = choose();
    return isa;
}

const char* instruction_set() {
    return names[static_cast<std::size_t>(chosen_isa())];
}

}  // namespace lee
