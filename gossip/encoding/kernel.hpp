#pragma once

// Which build of a loop to run. Each encoding compiles its loops three times: for the compiler's
// baseline, for AVX2 and for AVX-512, from one body that is inlined into a function with the target
// attribute. The program itself is built for the baseline and runs anywhere.

#if defined(__x86_64__) && defined(__GNUC__)
#define STARLING_X86_KERNELS 1
#else
#define STARLING_X86_KERNELS 0
#endif

namespace starling::gossip {

enum class Isa { Baseline, Avx2, Avx512 };

/// Returns the widest instruction set that this processor has and our kernels use.
[[nodiscard]] inline Isa best_isa() {
#if STARLING_X86_KERNELS
    // F, BW, DQ and VL came together in every processor that has the last.
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        return Isa::Avx512;
    }
    if (__builtin_cpu_supports("avx2")) return Isa::Avx2;
#endif
    return Isa::Baseline;
}

/// The same function compiled for each instruction set.
template <class Function>
struct Kernels {
    Function baseline;
    Function avx2;
    Function avx512;

    [[nodiscard]] Function for_isa(Isa isa) const {
        if (isa == Isa::Avx512) return avx512;
        return isa == Isa::Avx2 ? avx2 : baseline;
    }

    [[nodiscard]] Function best() const { return for_isa(best_isa()); }
};

}  // namespace starling::gossip
