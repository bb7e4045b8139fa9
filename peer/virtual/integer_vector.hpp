#pragma once

// Parameters for simulations: exact 64-bit integers, so that conservation of the mean is an
// equality and not a tolerance; and the book that explains every unit of it.

#include <cstdint>
#include <map>
#include <vector>

#include "base/bytes.hpp"
#include "base/rng.hpp"
#include "gossip/parameter_vector.hpp"
#include "peer/virtual/event_heap.hpp"

namespace starling::peer_virtual {

/// Pairs up what exchanges add. The two sides of an exchanged chunk add exact opposites, so each
/// delta waits here until its opposite comes. What still waits when nothing is in flight was
/// applied by one side only: the true number of half-applied chunks, known to nobody in a real
/// swarm, against which the machines' own ledgers are held.
class MassBook {
public:
    explicit MassBook(std::size_t nodes) : open_(nodes, 0) {}

    /// Notes that `node` added `delta` to `chunk`. A delta of zeros moves nothing and is not kept.
    void add(NodeIndex node, std::size_t chunk, const std::vector<std::int64_t>& delta);

    /// The node's vector is gone, and what it had half-applied with it.
    void forget(NodeIndex node);

    /// Half-applied chunks of live nodes.
    [[nodiscard]] std::uint64_t open(NodeIndex node) const { return open_[node]; }

private:
    using Key = std::pair<std::size_t, std::vector<std::int64_t>>;

    struct Waiting {
        std::vector<NodeIndex> live;
        std::uint64_t gone = 0;  ///< deltas of vectors that no longer exist
    };

    std::map<Key, Waiting> waiting_;
    std::vector<std::uint64_t> open_;
};

/// One node's parameters.
class IntegerVector final : public gossip::ParameterVector {
public:
    struct Shape {
        std::size_t chunks = 3;
        std::size_t elements = 4;
        /// Chance that a chunk is locked when it is tried.
        double locked = 0.0;
    };

    /// Requires  `book` outlives the vector
    IntegerVector(const Shape& shape, NodeIndex node, MassBook& book, Rng rng);

    /// Fills the vector with uniform integers in [-range, range).
    void randomize(std::int64_t range);

    /// A local training step: adds uniform integers in [-range, range), outside the book.
    void train(std::int64_t range);

    [[nodiscard]] const std::vector<std::int64_t>& values() const { return values_; }

    [[nodiscard]] gossip::Element element() const override { return gossip::Element::I64; }

    [[nodiscard]] std::size_t chunk_count() const override { return shape_.chunks; }

    [[nodiscard]] std::size_t chunk_elements(std::size_t) const override { return shape_.elements; }

    [[nodiscard]] bool is_buffer(std::size_t) const override { return false; }

    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out) override;
    [[nodiscard]] bool try_add(std::size_t chunk, ByteView delta) override;

private:
    Shape shape_;
    NodeIndex node_;
    MassBook& book_;
    Rng rng_;
    std::vector<std::int64_t> values_;
};

}  // namespace starling::peer_virtual
