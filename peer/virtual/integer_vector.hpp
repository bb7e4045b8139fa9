#pragma once

// Parameters for simulations. They are exact 64-bit integers, so that a test compares the mean
// exactly and needs no tolerance. A book explains every change of the mean.

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/rng.hpp"
#include "gossip/parameter_vector.hpp"
#include "peer/virtual/event_heap.hpp"

namespace starling::peer_virtual {

/// Finds the pairs among the deltas that exchanges add. The two sides of an exchanged chunk add
/// exact opposites, so each delta waits here until its opposite comes. A delta that still waits
/// when nothing is in flight was applied by one side only. The number of these is the true number
/// of half-applied chunks, which nobody knows in a real swarm. Tests compare it with the ledgers.
///
/// A mark identifies the two deltas of a pair, see IntegerVector. Their contents cannot, because
/// near agreement most deltas are 0 or 1. In a weighted pair one side adds 2^k times the opposite, so
/// only the odd part of a mark is the same.
class MassBook {
public:
    explicit MassBook(std::size_t nodes) : open_(nodes, 0), weights_(nodes, 0) {}

    /// From now on the deltas of a node count 2^log2 times in the sum. Initially 0.
    void weigh(NodeIndex node, int log2) { weights_[node] = log2; }

    /// Notes that `node` added `delta`, whose last element is the mark.
    void add(NodeIndex node, const std::vector<std::int64_t>& delta);

    /// Notes that the node's vector is gone, and its half-applied chunks with it.
    void forget(NodeIndex node);

    /// Returns how many chunks `node` has applied in this life and its partner has not.
    [[nodiscard]] std::uint64_t open(NodeIndex node) const { return open_[node]; }

    /// Returns how many pairs had opposite marks, but not opposite contents, weights included. Each
    /// has moved the mean.
    [[nodiscard]] std::uint64_t unequal() const { return unequal_; }

private:
    struct Waiting {
        NodeIndex node = 0;
        bool gone = false;  ///< the vector that the delta was added to no longer exists
        std::vector<std::int64_t> delta;
    };

    std::map<std::int64_t, Waiting> waiting_;  ///< by the odd part of the mark
    std::vector<std::uint64_t> open_;
    std::vector<int> weights_;  ///< log2
    std::uint64_t unequal_ = 0;
};

/// One node's parameters. On the wire each chunk has one more element, which is drawn anew at each
/// read and is never stored. Each side's share of the difference of the two draws is the mark of its
/// delta of one chunk in one exchange. No other deltas have this mark.
class IntegerVector final : public gossip::ParameterVector {
public:
    struct Shape {
        std::size_t chunks = 3;
        std::size_t elements = 4;
        /// Probability that a chunk is locked when the averager tries to read it or to add to it.
        double locked = 0.0;
    };

    /// Requires  `book` outlives the vector
    IntegerVector(const Shape& shape, NodeIndex node, MassBook& book, Rng rng);

    /// While `outside` returns true, additions are not entered in the book. A ghost's vector counts
    /// in no sum, and the deltas that it adds have no opposite.
    void stand_outside(std::function<bool()> outside) { outside_ = std::move(outside); }

    /// Fills the vector with uniform integers in [-range, range).
    void randomize(std::int64_t range);

    /// Makes a local training step: adds uniform integers in [-range, range). The book ignores it.
    void train(std::int64_t range);

    [[nodiscard]] const std::vector<std::int64_t>& values() const { return values_; }

    [[nodiscard]] gossip::Element element() const override { return gossip::Element::I64; }

    [[nodiscard]] std::size_t chunk_count() const override { return shape_.chunks; }

    [[nodiscard]] std::size_t chunk_elements(std::size_t) const override {
        return shape_.elements + 1;
    }

    [[nodiscard]] bool is_buffer(std::size_t) const override { return false; }

    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out) override;
    [[nodiscard]] bool try_add(std::size_t chunk, ByteView delta) override;

private:
    Shape shape_;
    NodeIndex node_;
    MassBook& book_;
    Rng rng_;
    std::vector<std::int64_t> values_;
    std::function<bool()> outside_;
};

}  // namespace starling::peer_virtual
