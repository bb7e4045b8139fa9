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
