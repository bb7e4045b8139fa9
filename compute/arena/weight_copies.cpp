#include "compute/arena/weight_copies.hpp"

#include <algorithm>
#include <cstring>

#include "base/simd.hpp"
#include "compute/simd/strips.hpp"

namespace starling::compute {

WeightCopies::WeightCopies(const ParameterLayout& layout)
    : layout_(layout),
      seen_(layout.chunks().size(), kNever),
      copied_(layout.chunks().size(), false) {}

void WeightCopies::add(const ParameterInfo& parameter, std::byte* to, bool bf16) {
    const Piece piece{parameter.offset, parameter.offset + parameter.elements, to, bf16};
    // Parameters never overlap, so pieces in ascending order of `begin` also ascend by `end`.
    const auto after = std::upper_bound(
        pieces_.begin(),
        pieces_.end(),
        piece.begin,
        [](std::size_t begin, const Piece& other) { return begin < other.begin; }
    );
    pieces_.insert(after, piece);
    for (std::size_t c = 0; c < copied_.size(); ++c) {
        const auto& chunk = layout_.chunks()[c];
        const bool apart =
            chunk.offset + chunk.elements <= piece.begin || piece.end <= chunk.offset;
        if (!apart) copied_[c] = true;
    }
}

void WeightCopies::write(std::size_t at, std::span<const float> values) {
    const auto stop = at + values.size();
    auto piece = std::upper_bound(
        pieces_.begin(),
        pieces_.end(),
        at,
        [](std::size_t place, const Piece& other) { return place < other.end; }
    );
    for (; piece != pieces_.end() && piece->begin < stop; ++piece) {
        const auto begin = std::max(at, piece->begin);
        const auto count = std::min(stop, piece->end) - begin;
        const float* from = values.data() + (begin - at);
        if (piece->bf16) {
            auto* to = reinterpret_cast<std::uint16_t*>(piece->to) + (begin - piece->begin);
            vectorized<narrow>(from, to, count);
        } else {
            auto* to = reinterpret_cast<float*>(piece->to) + (begin - piece->begin);
            std::memcpy(to, from, count * sizeof(float));
        }
    }
}

void WeightCopies::refresh(ParameterStore& store, int threads) {
    const auto count = seen_.size();
    std::size_t first = 0;
    while (first < count && !stale(store, first)) ++first;
    if (first == count) return;
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (count - first > 1)
    for (std::size_t c = first; c < count; ++c) {
        if (!stale(store, c)) continue;
        store.visit(c, [&](std::span<const float> values, std::uint64_t version) {
            write(layout_.chunks()[c].offset, values);
            wrote(c, version);
        });
    }
}

}  // namespace starling::compute
