#pragma once

// While a step runs, numbers below 1e-38 count as zero. When the gradient of a weight becomes
// exactly zero (a dead ReLU, a pixel that is always black), the weight's momentum halves every few
// steps. After some hundred steps it would be a denormal number, and each operation on one takes
// the processor's slow path.

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace starling::compute {

/// Makes the calling thread flush denormal numbers to zero as long as this object lives. Threads
/// that OpenMP starts meanwhile inherit the mode and keep it, which is right: they only compute
/// steps.
class FlushDenormals {
public:
    FlushDenormals(const FlushDenormals&) = delete;
    FlushDenormals& operator=(const FlushDenormals&) = delete;

#if defined(__SSE2__)
    FlushDenormals() : before_(_mm_getcsr()) {
        _mm_setcsr(before_ | kFlush);
    }

    ~FlushDenormals() {
        _mm_setcsr(before_);
    }

private:
    static constexpr unsigned kFlush = 0x8040;  // results (FTZ) and operands (DAZ)
    unsigned before_;
#else
    // Elsewhere denormals cost little, or there is no portable switch.
    FlushDenormals() {}

    ~FlushDenormals() {}
#endif
};

}  // namespace starling::compute
