#pragma once

namespace starling::compute {

/// Returns how many threads a test may use that wants `threads`. OpenMP is not instrumented, so
/// the thread sanitizer would take each of its barriers for a race: one thread there.
[[nodiscard]] constexpr int threads_here(int threads) {
#ifdef __SANITIZE_THREAD__
    return threads < 1 ? threads : 1;
#else
    return threads;
#endif
}

}  // namespace starling::compute
