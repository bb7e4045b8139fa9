#pragma once

// Parameters for simulations: exact 64-bit integers, so that conservation of the mean is an
// equality and not a tolerance; and the book that explains every unit of it.

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

/// Pairs up what exchanges add. The two sides of an exchanged chunk add exact opposites, so each
/// delta waits here until its opposite comes. What still waits when nothing is in flight was
/// applied by one side only: the true number of half-applied chunks, known to nobody in a real
/// swarm, against which the machines' own ledgers are held.
///
/// Deltas are told apart by a mark, see IntegerVector; by their contents they could not be, because
/// near agreement most of them are 0 or 1.
class MassBook {
public:
    explicit MassBook(std::size_t nodes) : open_(nodes, 0) {}

    /// Notes that `node` added `delta`, whose last element is the mark.
    void add(NodeIndex node, const std::vector<std::int64_t>& delta);

    /// The node's vector is gone, and what it had half-applied with it.
    void forget(NodeIndex node);

    /// Chunks that `node` applied in this life and its partner did not.
    [[nodiscard]] std::uint64_t open(NodeIndex node) const { return open_[node]; }

    /// Pairs of deltas with opposite marks that were not opposites otherwise: the mean moved.
    [[nodiscard]] std::uint64_t unequal() const { return unequal_; }

private:
    struct Waiting {
        NodeIndex node = 0;
        bool gone = false;  ///< the vector that it was added to no longer exists
        std::vector<std::int64_t> delta;
    };

    std::map<std::int64_t, Waiting> waiting_;
    std::vector<std::uint64_t> open_;
    std::uint64_t unequal_ = 0;
};

/// One node's parameters. Each chunk has one more element on the wire, drawn anew at each read and
/// never stored: half the difference of the two sides' draws marks the two deltas of one exchange
/// of one chunk, and no others.
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

    /// While `outside` holds, additions are not entered in the book: a ghost's vector counts in no
    /// sum, and what it receives has no opposite.
    void stand_outside(std::function<bool()> outside) { outside_ = std::move(outside); }

    /// Fills the vector with uniform integers in [-range, range).
    void randomize(std::int64_t range);

    /// A local training step: adds uniform integers in [-range, range), outside the book.
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
