// The dialect of the kernels: OpenCL C 1.2 without optional features, behind macros that another
// compiler of kernels can give its own meaning.
//
// Rules: a buffer is a base and an offset in elements, FLOATS(x) or WORDS(x) among a kernel's
// arguments and OPEN_FLOATS(x) or OPEN_WORDS(x) in its body; groups have 64 to 256 threads; FMA is
// written where it is meant, and contraction is off; there are no atomics on floats, so that one
// device gives the same bits twice. Local arrays are declared in the kernel's outermost block.

#pragma OPENCL FP_CONTRACT OFF

#define KERNEL __kernel
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

typedef ulong U64;
typedef uint U32;
typedef long I64;

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
