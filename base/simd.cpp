#include "base/simd.hpp"

#include <algorithm>

namespace starling {

Isa best_isa() {
#if defined(__x86_64__) && defined(__GNUC__)
    // F, BW, DQ and VL came together in every processor that has the last.
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        return Isa::Avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::Avx2;
#endif
    return Isa::Baseline;
}

namespace detail {

Isa used_isa = best_isa();

}  // namespace detail

void limit_isa(Isa widest) {
    detail::used_isa = std::min(widest, best_isa());
}

}  // namespace starling
