// What this processor multiplies at most, with operands that never leave its registers: the bound
// of any training step here.
//
//   multiply_bench
//
// Prints GFLOP/s in f32 and, where there are instructions for it, bf16, with one thread and with as
// many as there are cores.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

constexpr int kRounds = 3;
constexpr long kLoops = 20'000'000;
/// Independent sums: more than a multiplication's latency times how many begin in a cycle.
constexpr int kSums = 14;

#if defined(__x86_64__)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

__attribute__((target("avx512f"))) float total(const __m512* sums) {
    __m512 all = sums[0];
    for (int i = 1; i < kSums; ++i) all = _mm512_add_ps(all, sums[i]);
    return all[0];
}

__attribute__((target("avx512f"), noinline)) float multiply_f32(long loops) {
    __m512 sums[kSums];
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
    const __m512 factor = _mm512_set1_ps(0.999F);
    const __m512 term = _mm512_set1_ps(1e-3F);
    for (long loop = 0; loop < loops; ++loop) {
#pragma GCC unroll 14
        for (auto& sum : sums) sum = _mm512_fmadd_ps(sum, factor, term);
    }
    return total(sums);
}

__attribute__((target("avx512f,avx512bf16"), noinline)) float multiply_bf16(long loops) {
    __m512 sums[kSums];
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
    // Pairs of 1 and 2^-31.
    const auto ones = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3f803f80));
    const auto tiny = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x30003000));
    for (long loop = 0; loop < loops; ++loop) {
#pragma GCC unroll 14
        for (auto& sum : sums) sum = _mm512_dpbf16_ps(sum, ones, tiny);
    }
    return total(sums);
}

#pragma GCC diagnostic pop

/// Seconds of the fastest round in which every thread makes all loops.
double fastest(float (*multiply)(long), unsigned threads) {
    double best = 1e9;
    for (int round = 0; round < kRounds; ++round) {
        const auto start = std::chrono::steady_clock::now();
        std::vector<std::jthread> running;
        std::vector<float> results(threads);
        for (unsigned t = 0; t < threads; ++t) {
            running.emplace_back([&, t] { results[t] = multiply(kLoops); });
        }
        running.clear();
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
        best = std::min(best, taken.count());
    }
    return best;
}

void report(const char* name, float (*multiply)(long), double flops_per_instruction) {
    for (const unsigned threads : {1U, std::max(1U, std::thread::hardware_concurrency())}) {
        const double flops = flops_per_instruction * kSums * kLoops * threads;
        std::printf(
            "%-5s %3u threads %8.1f GFLOP/s\n",
            name,
            threads,
            flops / fastest(multiply, threads) * 1e-9
        );
    }
}

#endif

}  // namespace

int main() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) report("f32", multiply_f32, 16 * 2);
    if (__builtin_cpu_supports("avx512bf16")) report("bf16", multiply_bf16, 16 * 2 * 2);
    if (__builtin_cpu_supports("avx512f")) return 0;
#endif
    std::fputs("multiply_bench: only for processors with AVX-512\n", stderr);
    return 1;
}
