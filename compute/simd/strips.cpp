#include "compute/simd/strips.hpp"

#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

namespace starling::compute::detail {

#if defined(__x86_64__) && defined(__GNUC__)

bool can_narrow() {
    static const bool has = __builtin_cpu_supports("avx512bf16") != 0;
    return has && used_isa() == Isa::Avx512;
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512bf16")]] void narrow_native(
    const float* x, std::uint16_t* y, std::size_t count
) {
    constexpr std::size_t kLanes = 16;
    std::size_t i = 0;
    for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
        const auto both =
            _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + kLanes), _mm512_loadu_ps(x + i));
        std::memcpy(y + i, &both, sizeof(both));
    }
    for (; i < count; ++i) y[i] = narrowed(x[i]);
}

#else

bool can_narrow() {
    return false;
}

void narrow_native(const float*, std::uint16_t*, std::size_t) {}

#endif

}  // namespace starling::compute::detail
