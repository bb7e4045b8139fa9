#include "peer/virtual/integer_vector.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.hpp"

namespace starling::peer_virtual {

namespace {

/// The difference of two marks fits 63 bits.
constexpr std::int64_t kMarkRange = std::int64_t{1} << 60U;

std::int64_t uniform(Rng& rng, std::int64_t range) {
    return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(2 * range))) - range;
}

std::int64_t odd_part(std::int64_t value) {
    if (value == 0) return 0;
    return value / (std::int64_t{1} << std::countr_zero(static_cast<std::uint64_t>(value)));
}

}  // namespace

void MassBook::add(NodeIndex node, const std::vector<std::int64_t>& delta) {
    const auto mark = odd_part(delta.back());
    const auto found = waiting_.find(-mark);
    if (found == waiting_.end()) {
        // If this mark already waits, one side has applied the exchange twice.
        if (!waiting_.emplace(mark, Waiting{node, false, delta}).second) ++unequal_;
        ++open_[node];
        return;
    }
    const auto& other = found->second;
    // Of the two, the delta of the heavier one counts more.
    const int heavier = weights_[node] - weights_[other.node];
    for (std::size_t i = 0; i < delta.size(); ++i) {
        const auto here = delta[i] * (std::int64_t{1} << std::max(heavier, 0));
        const auto there = other.delta[i] * (std::int64_t{1} << std::max(-heavier, 0));
        if (here == -there) continue;
        ++unequal_;
        break;
    }
    if (!other.gone) --open_[other.node];
    waiting_.erase(found);
}

void MassBook::forget(NodeIndex node) {
    if (open_[node] == 0) return;
    open_[node] = 0;
    for (auto& [mark, waiting] : waiting_) {
        if (waiting.node == node) waiting.gone = true;
    }
}

IntegerVector::IntegerVector(const Shape& shape, NodeIndex node, MassBook& book, Rng rng)
    : shape_(shape),
      node_(node),
      book_(book),
      rng_(rng),
      values_(shape.chunks * shape.elements, 0) {}

void IntegerVector::randomize(std::int64_t range) {
    for (auto& value : values_) value = uniform(rng_, range);
}

void IntegerVector::train(std::int64_t range) {
    for (auto& value : values_) value += uniform(rng_, range);
}

bool IntegerVector::try_read(std::size_t chunk, std::span<std::byte> out) {
    STARLING_CHECK(chunk < shape_.chunks && out.size() == (shape_.elements + 1) * 8);
    if (shape_.locked > 0.0 && rng_.chance(shape_.locked)) return false;
    const auto mark = uniform(rng_, kMarkRange);
    std::memcpy(out.data(), &values_[chunk * shape_.elements], shape_.elements * 8);
    std::memcpy(out.data() + shape_.elements * 8, &mark, 8);
    return true;
}

bool IntegerVector::try_add(std::size_t chunk, ByteView delta) {
    STARLING_CHECK(chunk < shape_.chunks && delta.size() == (shape_.elements + 1) * 8);
    if (shape_.locked > 0.0 && rng_.chance(shape_.locked)) return false;
    std::vector<std::int64_t> added(shape_.elements + 1);
    std::memcpy(added.data(), delta.data(), delta.size());
    for (std::size_t i = 0; i < shape_.elements; ++i) {
        values_[chunk * shape_.elements + i] += added[i];
    }
    if (!outside_ || !outside_()) book_.add(node_, added);
    return true;
}

}  // namespace starling::peer_virtual
