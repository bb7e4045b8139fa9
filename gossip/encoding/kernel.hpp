#pragma once

// Which build of a loop to run. Each encoding compiles its loops three times: for the compiler's
// baseline, for AVX2 and for AVX-512, from one body that is inlined into a function with the target
// attribute. The program itself is built for the baseline and runs anywhere.

#if defined(__x86_64__) && defined(__GNUC__)
#define STARLING_X86_KERNELS 1
#define STARLING_KERNEL_AVX2 [[gnu::target("avx2")]]
#define STARLING_KERNEL_AVX512 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl")]]
#else
#define STARLING_X86_KERNELS 0
#define STARLING_KERNEL_AVX2
#define STARLING_KERNEL_AVX512
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

namespace detail {

template <auto Body>
struct Builds;

template <class R, class... A, R (*Body)(A...)>
struct Builds<Body> {
    using Function = R (*)(A...);

    static R baseline(A... arguments) { return Body(arguments...); }

    STARLING_KERNEL_AVX2 static R avx2(A... arguments) { return Body(arguments...); }

    STARLING_KERNEL_AVX512 static R avx512(A... arguments) { return Body(arguments...); }
};

}  // namespace detail

/// A body, inline and always_inline as all that it calls, compiled for each instruction set.
template <auto Body>
inline constexpr Kernels<typename detail::Builds<Body>::Function> kKernelsOf{
    &detail::Builds<Body>::baseline, &detail::Builds<Body>::avx2, &detail::Builds<Body>::avx512};

}  // namespace starling::gossip
