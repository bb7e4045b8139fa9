#pragma once

// Runs a loop in the widest vectors of this processor. The program is built for the compiler's
// baseline and runs anywhere; a loop that matters is compiled three times from one body, which is
// inlined into functions with the target attribute.
//
// A body is a free function, inline and always_inline, and so is all that it calls: what stays a
// call stays in the baseline. Threads are shared out outside of it.

#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)
#define STARLING_AVX2 [[gnu::target("avx2,fma")]]
#define STARLING_AVX512 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]]
#else
#define STARLING_AVX2
#define STARLING_AVX512
#endif

#define STARLING_INLINE [[gnu::always_inline]] inline

namespace starling::compute::cpu {

/// The widest register's floats. On narrower processors the compiler splits them.
inline constexpr std::int64_t kLaneCount = 16;
using Lanes [[gnu::vector_size(64)]] = float;

enum class Isa : std::uint8_t { Baseline, Avx2, Avx512 };

/// Returns the widest instruction set that this processor has and our loops use.
[[nodiscard]] Isa best_isa();

/// Narrows what vectorized() uses from now on, for tests of the other builds. Thread: one.
void limit_isa(Isa widest);

namespace detail {

extern Isa used_isa;

template <auto Body>
struct Builds;

template <class R, class... A, R (*Body)(A...)>
struct Builds<Body> {
    static R baseline(A... arguments) { return Body(arguments...); }

    STARLING_AVX2 static R avx2(A... arguments) { return Body(arguments...); }

    STARLING_AVX512 static R avx512(A... arguments) { return Body(arguments...); }
};

}  // namespace detail

/// Calls Body, compiled for this processor.
template <auto Body, class... A>
auto vectorized(A... arguments) {
    using Builds = detail::Builds<Body>;
    if (detail::used_isa == Isa::Avx512) return Builds::avx512(arguments...);
    if (detail::used_isa == Isa::Avx2) return Builds::avx2(arguments...);
    return Builds::baseline(arguments...);
}

}  // namespace starling::compute::cpu
