#include "compute/cpu/loops/strided.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "base/simd.hpp"
#include "compute/simd/parallel.hpp"

namespace starling::compute::cpu {

namespace {

using Counter = std::array<std::int64_t, kWalkRankMax>;
using Offsets = std::array<std::int64_t, 3>;

/// Calls body(row number, offsets of the operands) for rows [begin, end) of the nest, a row being
/// its innermost dimension. Counts up instead of dividing.
template <class Body>
void walk_rows(const Walk& walk, std::int64_t begin, std::int64_t end, const Body& body) {
    const auto outer = walk.dims.size() - 1;
    Counter counter{};
    Offsets at = walk.offsets;
    auto rest = begin;
    for (std::size_t k = outer; k > 0; --k) {
        counter[k - 1] = rest % walk.dims[k - 1];
        rest /= walk.dims[k - 1];
        for (std::size_t o = 0; o < 3; ++o) {
            if (!walk.strides[o].empty()) at[o] += counter[k - 1] * walk.strides[o][k - 1];
        }
    }
    for (auto row = begin; row < end; ++row) {
        body(row, at);
        for (std::size_t k = outer; k > 0; --k) {
            const bool wraps = ++counter[k - 1] == walk.dims[k - 1];
            const auto steps = wraps ? 1 - walk.dims[k - 1] : 1;
            for (std::size_t o = 0; o < 3; ++o) {
                if (!walk.strides[o].empty()) at[o] += steps * walk.strides[o][k - 1];
            }
            if (!wraps) break;
            counter[k - 1] = 0;
        }
    }
}

/// Calls body(begin, end) over tasks of about `cost` elements each.
template <class Body>
void parallel_tasks(int threads, std::int64_t tasks, std::int64_t cost, const Body& body) {
    const auto total = static_cast<std::size_t>(tasks * cost);
    if (threads == 1 || tasks == 1 || total < kParallelElementsMin) {
        body(std::int64_t{0}, tasks);
        return;
    }
    const auto share = (tasks + threads - 1) / threads;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int part = 0; part < threads; ++part) {
        const auto begin = std::min(tasks, part * share);
        const auto end = std::min(tasks, begin + share);
        if (begin < end) body(begin, end);
    }
}

std::int64_t row_count(const Walk& walk) {
    std::int64_t rows = 1;
    for (std::size_t k = 0; k + 1 < walk.dims.size(); ++k) rows *= walk.dims[k];
    return rows;
}

template <class F>
STARLING_INLINE void pair_row(
    const float* a, std::int64_t sa, const float* b, std::int64_t sb, float* y, std::int64_t n
) {
    if (sa == 1 && sb == 1) {
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) y[i] = F::of(a[i], b[i]);
    } else if (sa == 1 && sb == 0) {
        const float right = *b;
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) y[i] = F::of(a[i], right);
    } else if (sa == 0 && sb == 1) {
        const float left = *a;
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) y[i] = F::of(left, b[i]);
    } else {
        for (std::int64_t i = 0; i < n; ++i) y[i] = F::of(a[i * sa], b[i * sb]);
    }
}

template <class F>
void pair_loop(int threads, const Walk& walk, const float* a, const float* b, float* y) {
    const auto n = walk.dims.back();
    const auto rows = row_count(walk);
    const auto sa = walk.strides[0].back();
    const auto sb = walk.strides[1].back();
    if (rows == 1) {
        // Operands of one shape are one long row, which the threads share.
        parallel_ranges(
            threads,
            static_cast<std::size_t>(n),
            [&](std::size_t from, std::size_t to) {
                const auto begin = static_cast<std::int64_t>(from);
                const auto count = static_cast<std::int64_t>(to - from);
                vectorized<pair_row<F>>(a + begin * sa, sa, b + begin * sb, sb, y + begin, count);
            }
        );
        return;
    }
    parallel_tasks(threads, rows, n, [&](std::int64_t begin, std::int64_t end) {
        walk_rows(walk, begin, end, [&](std::int64_t row, const Offsets& at) {
            vectorized<pair_row<F>>(a + at[0], sa, b + at[1], sb, y + row * n, n);
        });
    });
}

struct Add {
    STARLING_INLINE static float of(float a, float b) { return a + b; }
};

struct AddRelu {
    STARLING_INLINE static float of(float a, float b) {
        const float sum = a + b;
        return sum > 0.0F ? sum : 0.0F;
    }
};

struct Sub {
    STARLING_INLINE static float of(float a, float b) { return a - b; }
};

struct Mul {
    STARLING_INLINE static float of(float a, float b) { return a * b; }
};

struct Div {
    STARLING_INLINE static float of(float a, float b) { return a / b; }
};

struct Pow {
    STARLING_INLINE static float of(float a, float b) { return std::pow(a, b); }
};

struct Max {
    STARLING_INLINE static float of(float a, float b) { return a < b ? b : a; }
};

struct Min {
    STARLING_INLINE static float of(float a, float b) { return b < a ? b : a; }
};

struct Ahead {
    STARLING_INLINE static float of(float a, float b) {
        return a > b ? 1.0F : a == b ? 0.5F : 0.0F;
    }
};

struct Equal {
    STARLING_INLINE static float of(float a, float b) { return a == b ? 1.0F : 0.0F; }
};

struct NamedPair {
    std::string_view name;
    PairLoop loop;
};

constexpr NamedPair kPairs[] = {
    {"Add", pair_loop<Add>},
    {kAddRelu, pair_loop<AddRelu>},
    {"Sub", pair_loop<Sub>},
    {"Mul", pair_loop<Mul>},
    {"Div", pair_loop<Div>},
    {"Pow", pair_loop<Pow>},
    {"Max", pair_loop<Max>},
    {"Min", pair_loop<Min>},
    {"AheadMask", pair_loop<Ahead>},
    {"EqualMask", pair_loop<Equal>},
};

/// Calls body(at + offset) for the offset of each combination of indices of the folded dimensions.
template <class Body>
void for_each_folded(const Reduction& r, std::int64_t at, const Body& body) {
    Counter counter{};
    while (true) {
        body(at);
        std::size_t k = r.folded_dims.size();
        for (; k > 0; --k) {
            at += r.folded_strides[k - 1];
            if (++counter[k - 1] < r.folded_dims[k - 1]) break;
            at -= r.folded_dims[k - 1] * r.folded_strides[k - 1];
            counter[k - 1] = 0;
        }
        if (k == 0) return;
    }
}

STARLING_INLINE float fold_row(Fold fold, const float* x, std::int64_t n) {
    if (fold == Fold::Max) {
        float top = x[0];
#pragma omp simd reduction(max : top)
        for (std::int64_t i = 0; i < n; ++i) top = x[i] > top ? x[i] : top;
        return top;
    }
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) sum += x[i];
    return sum;
}

void fold_to_one(const Reduction& r, std::int64_t at, const float* x, float* y) {
    // Sums of rows are added in double: a batch of images may have a great many rows.
    double sum = 0.0;
    float top = -std::numeric_limits<float>::infinity();
    std::int64_t rows = 0;
    for_each_folded(r, at, [&](std::int64_t from) {
        const float part = vectorized<fold_row>(r.fold, x + from, r.inner);
        sum += static_cast<double>(part);
        top = std::max(top, part);
        ++rows;
    });
    if (r.fold == Fold::Mean) sum /= static_cast<double>(rows * r.inner);
    *y = r.fold == Fold::Max ? top : static_cast<float>(sum);
}

STARLING_INLINE void fold_in(
    bool largest, std::int64_t count, const float* __restrict x, float* __restrict y
) {
    if (largest) {
        for (std::int64_t i = 0; i < count; ++i) y[i] = std::max(y[i], x[i]);
    } else {
#pragma omp simd
        for (std::int64_t i = 0; i < count; ++i) y[i] += x[i];
    }
}

void fold_columns(
    const Reduction& r, std::int64_t at, std::int64_t count, const float* x, float* __restrict y
) {
    const bool largest = r.fold == Fold::Max;
    std::fill(y, y + count, largest ? -std::numeric_limits<float>::infinity() : 0.0F);
    std::int64_t rows = 0;
    for_each_folded(r, at, [&](std::int64_t from) {
        vectorized<fold_in>(largest, count, x + from, y);
        ++rows;
    });
    if (r.fold != Fold::Mean) return;
    const float share = 1.0F / static_cast<float>(rows);
    for (std::int64_t i = 0; i < count; ++i) y[i] *= share;
}

}  // namespace

Walk make_walk(std::vector<View> operands) {
    Walk walk;
    const auto& shape = operands.front().shape;
    for (std::size_t o = 0; o < operands.size(); ++o) walk.offsets[o] = operands[o].offset;
    for (std::size_t k = 0; k < shape.size(); ++k) {
        if (shape[k] == 1) continue;
        bool merges = !walk.dims.empty();
        for (std::size_t o = 0; merges && o < operands.size(); ++o) {
            merges = walk.strides[o].back() == operands[o].strides[k] * shape[k];
        }
        if (merges) {
            walk.dims.back() *= shape[k];
        } else {
            walk.dims.push_back(shape[k]);
        }
        for (std::size_t o = 0; o < operands.size(); ++o) {
            if (merges) {
                walk.strides[o].back() = operands[o].strides[k];
            } else {
                walk.strides[o].push_back(operands[o].strides[k]);
            }
        }
    }
    if (walk.dims.empty()) {
        walk.dims.push_back(1);
        for (std::size_t o = 0; o < operands.size(); ++o) walk.strides[o].push_back(1);
    }
    if (walk.dims.size() > kWalkRankMax) throw std::runtime_error("a tensor of too many axes");
    return walk;
}

PairLoop find_pair_loop(std::string_view name) {
    for (const auto& entry : kPairs) {
        if (entry.name == name) return entry.loop;
    }
    return nullptr;
}

void choose(
    int threads, const Walk& walk, const float* c, const float* a, const float* b, float* y
) {
    const auto n = walk.dims.back();
    parallel_tasks(threads, row_count(walk), n, [&](std::int64_t begin, std::int64_t end) {
        walk_rows(walk, begin, end, [&](std::int64_t row, const Offsets& at) {
            const auto sc = walk.strides[0].back();
            const auto sa = walk.strides[1].back();
            const auto sb = walk.strides[2].back();
            for (std::int64_t i = 0; i < n; ++i) {
                const float yes = a[at[1] + i * sa];
                const float no = b[at[2] + i * sb];
                y[row * n + i] = c[at[0] + i * sc] != 0.0F ? yes : no;
            }
        });
    });
}

void copy_strided(int threads, const Walk& walk, const std::uint32_t* from, std::uint32_t* to) {
    const auto n = walk.dims.back();
    const auto sf = walk.strides[0].back();
    const auto st = walk.strides[1].back();
    parallel_tasks(threads, row_count(walk), n, [&](std::int64_t begin, std::int64_t end) {
        walk_rows(walk, begin, end, [&](std::int64_t, const Offsets& at) {
            const auto* source = from + at[0];
            auto* target = to + at[1];
            if (sf == 1 && st == 1) {
                std::copy(source, source + n, target);
            } else {
                for (std::int64_t i = 0; i < n; ++i) target[i * st] = source[i * sf];
            }
        });
    });
}

Reduction make_reduction(const Shape& x, const std::vector<bool>& reduced, Fold fold) {
    Reduction r;
    r.fold = fold;
    // Neighbouring dimensions of one kind merge: folding N, H and W of [N,C,H,W] works on [N,C,HW].
    Shape dims;
    std::vector<bool> folded;
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (!dims.empty() && folded.back() == reduced[i]) {
            dims.back() *= x[i];
        } else {
            dims.push_back(x[i]);
            folded.push_back(reduced[i]);
        }
    }
    if (dims.empty()) {
        dims.push_back(1);
        folded.push_back(false);
    }
    if (dims.size() > kWalkRankMax) throw std::runtime_error("a tensor of too many axes");
    const auto strides = row_major_strides(dims);
    r.inner = dims.back();
    r.inner_kept = !folded.back();
    for (std::size_t i = 0; i + 1 < dims.size(); ++i) {
        (folded[i] ? r.folded_dims : r.kept_dims).push_back(dims[i]);
        (folded[i] ? r.folded_strides : r.kept_strides).push_back(strides[i]);
    }
    return r;
}

void reduce(int threads, const Reduction& r, const float* x, float* y) {
    std::int64_t kept = 1;
    for (const auto dimension : r.kept_dims) kept *= dimension;
    std::int64_t folded = 1;
    for (const auto dimension : r.folded_dims) folded *= dimension;
    // When the innermost dimension is the only one that is kept, the threads share its columns.
    const bool cut = r.inner_kept && kept == 1 && r.inner >= 64;
    const auto width =
        cut ? std::max<std::int64_t>(64, (r.inner + threads - 1) / threads) : r.inner;
    const auto pieces = r.inner_kept ? (r.inner + width - 1) / width : 1;
    parallel_tasks(
        threads,
        kept * pieces,
        folded * width,
        [&](std::int64_t begin, std::int64_t end) {
            for (auto task = begin; task < end; ++task) {
                std::int64_t at = 0;
                auto rest = task / pieces;
                for (std::size_t k = r.kept_dims.size(); k > 0; --k) {
                    at += rest % r.kept_dims[k - 1] * r.kept_strides[k - 1];
                    rest /= r.kept_dims[k - 1];
                }
                if (!r.inner_kept) {
                    fold_to_one(r, at, x, y + task);
                    continue;
                }
                const auto column = task % pieces * width;
                const auto count = std::min(width, r.inner - column);
                fold_columns(r, at + column, count, x, y + task / pieces * r.inner + column);
            }
        }
    );
}

}  // namespace starling::compute::cpu
