#pragma once

// Runs a loop in the widest vectors of this processor. The program is built for the compiler's
// baseline and runs anywhere; a loop that matters is compiled three times from one body, which is
// inlined into functions with the target attribute.
//
// A body is a free function, inline and always_inline, and so is all that it calls: what stays a
// call stays in the baseline. A body runs on one thread; whoever calls it divides the work.

#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)
#define STARLING_AVX2 [[gnu::target("avx2")]]
#define STARLING_AVX2_FMA [[gnu::target("avx2,fma")]]
#define STARLING_AVX512 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]]
#else
#define STARLING_AVX2
#define STARLING_AVX2_FMA
#define STARLING_AVX512
#endif

#define STARLING_INLINE [[gnu::always_inline]] inline

namespace starling {

enum class Isa : std::uint8_t { Baseline, Avx2, Avx512 };

/// Returns the widest instruction set that this processor has and our loops use. Avx2 stands for
/// AVX2 and fused multiply-add: all but a few processors have both or neither.
[[nodiscard]] Isa best_isa();

/// Narrows what vectorized() uses from now on, for tests of the other builds. Thread: one.
void limit_isa(Isa widest);

namespace detail {

extern Isa used_isa;

template <auto Body>
struct Builds;

template <class R, class... A, R (*Body)(A...)>
struct Builds<Body> {
    using Function = R (*)(A...);

    static R baseline(A... arguments) { return Body(arguments...); }

    STARLING_AVX2 static R avx2(A... arguments) { return Body(arguments...); }

    STARLING_AVX2_FMA static R avx2_fma(A... arguments) { return Body(arguments...); }

    STARLING_AVX512 static R avx512(A... arguments) { return Body(arguments...); }
};

}  // namespace detail

/// Returns what vectorized() uses: best_isa(), or less after limit_isa().
[[nodiscard]] inline Isa used_isa() {
    return detail::used_isa;
}

/// Calls Body, compiled for this processor. The compiler may fuse a multiplication with the
/// addition behind it, so the last bit of a result depends on the processor.
template <auto Body, class... A>
auto vectorized(A... arguments) {
    using Builds = detail::Builds<Body>;
    if (detail::used_isa == Isa::Avx512) return Builds::avx512(arguments...);
    if (detail::used_isa == Isa::Avx2) return Builds::avx2_fma(arguments...);
    return Builds::baseline(arguments...);
}

/// One function compiled for each instruction set.
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

/// Body, compiled for each instruction set, for callers that choose one themselves. The AVX2 build
/// has no fused multiply-add and rounds as the baseline does.
template <auto Body>
inline constexpr Kernels<typename detail::Builds<Body>::Function> kKernelsOf{
    &detail::Builds<Body>::baseline, &detail::Builds<Body>::avx2, &detail::Builds<Body>::avx512};

}  // namespace starling
