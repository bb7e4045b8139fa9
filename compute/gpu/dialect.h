// The dialect of the kernels: C behind macros, which is OpenCL C 1.2 without optional features to a
// driver, and CUDA to clang, which needs nothing of NVIDIA's toolkit for it.
//
// Rules: a buffer is a base and an offset in elements, FLOATS(x) or WORDS(x) among a kernel's
// arguments and OPEN_FLOATS(x) or OPEN_WORDS(x) in its body; groups have 64 to 256 threads; FMA is
// written where it is meant, and contraction is off; there are no atomics on floats, so that one
// device gives the same bits twice. Local arrays are declared in the kernel's outermost block.
// Functions are those of OpenCL C; cuda_math.h has the ones that kernels call.

#ifdef __CUDA__

/// Groups have 256 threads at most, which bounds a thread's registers.
#define KERNEL extern "C" __attribute__((global)) __attribute__((launch_bounds(256)))
#define KERNEL_OF(x, y) KERNEL
#define GLOBAL
#define LOCAL __attribute__((shared))
#define FUNCTION static inline __attribute__((device))
#define BARRIER() __syncthreads()
#define GLOBAL_BARRIER() __syncthreads()
#define LANE(axis) LANE_##axis
#define LANE_0 __nvvm_read_ptx_sreg_tid_x()
#define LANE_1 __nvvm_read_ptx_sreg_tid_y()
#define GROUP(axis) GROUP_##axis
#define GROUP_0 __nvvm_read_ptx_sreg_ctaid_x()
#define GROUP_1 __nvvm_read_ptx_sreg_ctaid_y()
#define GROUP_2 __nvvm_read_ptx_sreg_ctaid_z()
#define THREAD ((I64)GROUP_0 * __nvvm_read_ptx_sreg_ntid_x() + LANE_0)
#define FMA(a, b, c) __nvvm_fma_rn_f(a, b, c)
#define FLOAT_BITS(x) __builtin_bit_cast(U32, (float)(x))
#define FLOAT_OF(bits) __builtin_bit_cast(float, (U32)(bits))
/// Before a loop of a fixed length whose array then lies in registers.
#define UNROLL _Pragma("unroll")
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")

typedef unsigned long long U64;
typedef unsigned int U32;
typedef long long I64;

#if __CUDA_ARCH__ >= 800

#define TENSOR_CORES
#define DECLARE_TENSOR
/// Adds the product of 16 x 16 bf16 and 16 x 8 bf16 to 16 x 8 floats, which 32 threads hold together.
#define TENSOR_PRODUCT(c0, c1, c2, c3, a0, a1, a2, a3, b0, b1)                               \
    asm volatile(                                                                            \
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "                               \
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                    \
        : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)                                             \
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1)                               \
    )

#define NARROW_PAIR(first, second) narrow_pair(first, second)

FUNCTION U32 narrow_pair(float first, float second) {
    U32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
}

#endif

FUNCTION float fabs(float x) { return __nvvm_fabs_f(x); }
FUNCTION float fmax(float a, float b) { return __nvvm_fmax_f(a, b); }
FUNCTION float fmin(float a, float b) { return __nvvm_fmin_f(a, b); }
FUNCTION float sqrt(float x) { return __nvvm_sqrt_rn_f(x); }

#else

#pragma OPENCL FP_CONTRACT OFF

#define KERNEL __kernel
/// Starts a kernel whose groups are always of this size.
#define KERNEL_OF(x, y) __kernel __attribute__((reqd_work_group_size(x, y, 1)))
#define GLOBAL __global
#define LOCAL __local
#define FUNCTION static
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
/// Also makes what a group has written to a buffer visible to the group.
#define GLOBAL_BARRIER() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define LANE(axis) ((int)get_local_id(axis))
#define GROUP(axis) ((int)get_group_id(axis))
#define THREAD ((long)get_global_id(0))
#define FMA(a, b, c) fma(a, b, c)
#define FLOAT_BITS(x) as_uint(x)
#define FLOAT_OF(bits) as_float(bits)
#define UNROLL

typedef ulong U64;
typedef uint U32;
typedef long I64;

#ifdef EMULATE_TENSOR_CORES

#define TENSOR_CORES
/// What the 32 threads that share a tensor core read of each other.
#define DECLARE_TENSOR             \
    LOCAL U32 tensor_a[256 * 4];   \
    LOCAL U32 tensor_b[256 * 2]
/// As the CUDA branch has it, one element after the other. All threads of a group come here together;
/// `lane` is the thread's number in the group.
#define TENSOR_PRODUCT(c0, c1, c2, c3, a0, a1, a2, a3, b0, b1)  \
    do {                                                        \
        BARRIER();                                              \
        tensor_a[lane * 4] = a0;                                \
        tensor_a[lane * 4 + 1] = a1;                            \
        tensor_a[lane * 4 + 2] = a2;                            \
        tensor_a[lane * 4 + 3] = a3;                            \
        tensor_b[lane * 2] = b0;                                \
        tensor_b[lane * 2 + 1] = b1;                            \
        BARRIER();                                              \
        LOCAL const U32 *as = tensor_a + lane / 32 * 128;       \
        LOCAL const U32 *bs = tensor_b + lane / 32 * 64;        \
        const int row = lane % 32 / 4;                          \
        const int column = lane % 4 * 2;                        \
        c0 = tensor_sum(as, bs, row, column, c0);               \
        c1 = tensor_sum(as, bs, row, column + 1, c1);           \
        c2 = tensor_sum(as, bs, row + 8, column, c2);           \
        c3 = tensor_sum(as, bs, row + 8, column + 1, c3);       \
    } while (0)

/// Adds one element of the product to `sum`: of word r of each of 32 threads, a[thread][r] and
/// b[thread][r], as mma.sync has them.
/// Source    NVIDIA, "Parallel Thread Execution ISA", fragments of mma.m16n8k16 with bf16
FUNCTION float tensor_sum(LOCAL const U32 *a, LOCAL const U32 *b, int row, int column, float sum) {
    for (int k = 0; k < 16; ++k) {
        const int pair = k % 8 / 2;
        const U32 left = a[(row % 8 * 4 + pair) * 4 + row / 8 + k / 8 * 2];
        const U32 right = b[(column * 4 + pair) * 2 + k / 8];
        sum = k % 2 == 0 ? fma(as_float(left << 16), as_float(right << 16), sum)
                         : fma(as_float(left & 0xffff0000u), as_float(right & 0xffff0000u), sum);
    }
    return sum;
}

#endif

#endif

/// A word with two floats in bf16, the first in the lower half.
#define WIDEN_FIRST(pair) FLOAT_OF((pair) << 16)
#define WIDEN_SECOND(pair) FLOAT_OF((pair) & 0xffff0000u)

#ifndef NARROW_PAIR
/// Rounds to the nearest, ties to even; a NaN stays one.
FUNCTION U32 narrow(float x) {
    const U32 bits = FLOAT_BITS(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (bits >> 16) | 0x40u;
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

#define NARROW_PAIR(first, second) (narrow(first) | narrow(second) << 16)
#endif

#define FLOATS(x) GLOBAL float *x##_base, I64 x##_at
#define WORDS(x) GLOBAL int *x##_base, I64 x##_at
#define OPEN_FLOATS(x) GLOBAL float *x = x##_base + x##_at
#define OPEN_WORDS(x) GLOBAL int *x = x##_base + x##_at

/// Threads of a group that works on one row or one sum.
#define ROW_LANES 64

/// A strided view, as compute/graph/view.hpp has it.
typedef struct {
    int rank;
    int offset;
    int shape[8];
    int strides[8];
} KernelView;

FUNCTION I64 view_at(const KernelView *view, I64 i) {
    I64 at = view->offset;
    for (int k = view->rank - 1; k >= 0; --k) {
        const I64 above = i / view->shape[k];
        at += (i - above * view->shape[k]) * view->strides[k];
        i = above;
    }
    return at;
}

/// Sums up a value of each of ROW_LANES threads, in one fixed tree. All threads of the group call
/// it, and all get the sum.
#define ROW_SUM(scratch, value, result)                                        \
    do {                                                                       \
        scratch[LANE(0)] = (value);                                            \
        for (int width = ROW_LANES / 2; width > 0; width /= 2) {               \
            BARRIER();                                                         \
            if (LANE(0) < width) scratch[LANE(0)] += scratch[LANE(0) + width]; \
        }                                                                      \
        BARRIER();                                                             \
        result = scratch[0];                                                   \
        BARRIER();                                                             \
    } while (0)

#define ROW_MAX(scratch, value, result)                                                   \
    do {                                                                                  \
        scratch[LANE(0)] = (value);                                                       \
        for (int width = ROW_LANES / 2; width > 0; width /= 2) {                          \
            BARRIER();                                                                    \
            if (LANE(0) < width)                                                          \
                scratch[LANE(0)] = fmax(scratch[LANE(0)], scratch[LANE(0) + width]);      \
        }                                                                                 \
        BARRIER();                                                                        \
        result = scratch[0];                                                              \
        BARRIER();                                                                        \
    } while (0)
