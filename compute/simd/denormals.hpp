#pragma once

// Numbers below 1e-38 count as zero while a step runs. The momentum of a weight whose gradient has
// become exactly zero (a dead ReLU, a pixel that is always black) halves every few steps and would
// sit among the denormals after some hundred, where each operation takes the processor's slow path.

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace starling::compute {

/// Sets flush-to-zero for this thread until destroyed. Threads that OpenMP starts meanwhile inherit
/// it for good, which suits: they do nothing else.
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
