#include "peer/virtual/integer_vector.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"

namespace starling::peer_virtual {

namespace {

std::int64_t uniform(Rng& rng, std::int64_t range) {
    return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(2 * range))) - range;
}

}  // namespace

void MassBook::add(NodeIndex node, std::size_t chunk, const std::vector<std::int64_t>& delta) {
    if (std::all_of(delta.begin(), delta.end(), [](auto d) { return d == 0; })) return;
    Key opposite{chunk, delta};
    for (auto& value : opposite.second) value = -value;
    const auto found = waiting_.find(opposite);
    if (found == waiting_.end()) {
        waiting_[{chunk, delta}].live.push_back(node);
        ++open_[node];
        return;
    }
    // Equal small deltas of different exchanges cannot be told apart. Cancelling a live one first
    // can only make the count of live ones too small, never too large: no false alarm.
    auto& waiting = found->second;
    if (waiting.live.empty()) {
        --waiting.gone;
    } else {
        --open_[waiting.live.back()];
        waiting.live.pop_back();
    }
    if (waiting.live.empty() && waiting.gone == 0) waiting_.erase(found);
}

void MassBook::forget(NodeIndex node) {
    if (open_[node] == 0) return;
    open_[node] = 0;
    for (auto& [key, waiting] : waiting_) {
        waiting.gone += std::erase(waiting.live, node);
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
    STARLING_CHECK(chunk < shape_.chunks && out.size() == shape_.elements * 8);
    if (shape_.locked > 0.0 && rng_.chance(shape_.locked)) return false;
    std::memcpy(out.data(), &values_[chunk * shape_.elements], out.size());
    return true;
}

bool IntegerVector::try_add(std::size_t chunk, ByteView delta) {
    STARLING_CHECK(chunk < shape_.chunks && delta.size() == shape_.elements * 8);
    if (shape_.locked > 0.0 && rng_.chance(shape_.locked)) return false;
    std::vector<std::int64_t> added(shape_.elements);
    std::memcpy(added.data(), delta.data(), delta.size());
    for (std::size_t i = 0; i < added.size(); ++i) values_[chunk * shape_.elements + i] += added[i];
    book_.add(node_, chunk, added);
    return true;
}

}  // namespace starling::peer_virtual
