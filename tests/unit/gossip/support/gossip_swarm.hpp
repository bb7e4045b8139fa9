#pragma once

// Averagers over wires in memory, for tests: ordered per pair like a stream, with time that only
// the test moves. Frames wait until the test delivers them, so it can cut, delay and repeat.

#include <cstring>
#include <deque>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "gossip/averager.hpp"
#include "tests/support/peer_id.hpp"

namespace starling::gossip {

inline LayoutHash layout_hash(std::uint8_t number) {
    LayoutHash hash;
    hash.bytes[31] = number;
    return hash;
}

/// Chunks of T in memory; declines as many calls as `decline` says.
template <class T>
class VectorOf final : public ParameterVector {
public:
    explicit VectorOf(const std::vector<std::size_t>& sizes) {
        for (const auto size : sizes) chunks.emplace_back(size, T{});
    }

    [[nodiscard]] Element element() const override {
        return sizeof(T) == 4 ? Element::F32 : Element::I64;
    }

    [[nodiscard]] std::size_t chunk_count() const override { return chunks.size(); }

    [[nodiscard]] std::size_t chunk_elements(std::size_t chunk) const override {
        return chunks[chunk].size();
    }

    [[nodiscard]] bool is_buffer(std::size_t chunk) const override { return chunk == buffer; }

    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out) override {
        if (decline_reads > 0) return --decline_reads, false;
        EXPECT_EQ(out.size(), chunks[chunk].size() * sizeof(T));
        std::memcpy(out.data(), chunks[chunk].data(), out.size());
        return true;
    }

    [[nodiscard]] bool try_add(std::size_t chunk, ByteView delta) override {
        if (decline_adds > 0) return --decline_adds, false;
        for (std::size_t i = 0; i < chunks[chunk].size(); ++i) {
            T value{};
            std::memcpy(&value, delta.data() + i * sizeof(T), sizeof(T));
            chunks[chunk][i] += value;
        }
        return true;
    }

    std::vector<std::vector<T>> chunks;
    std::size_t buffer = static_cast<std::size_t>(-1);
    int decline_reads = 0;
    int decline_adds = 0;
};

using Integers = VectorOf<std::int64_t>;
using Floats = VectorOf<float>;

struct Letter {
    PeerId from;
    PeerId to;
    Bytes frame;
    Passage passage = Passage::InOrder;
};

/// N peers whose ids are 1 to N.
template <class Vector>
class GossipSwarm {
public:
    struct Node {
        PeerId id;
        std::unique_ptr<Vector> vector;
        std::unique_ptr<Averager> averager;
        std::vector<ExchangeEvent> events;
    };

    GossipSwarm(
        std::size_t peers,
        const std::vector<std::size_t>& sizes,
        std::uint64_t seed,
        AveragerConfig config = {}
    ) {
        if constexpr (sizeof(typename decltype(Vector::chunks)::value_type::value_type) == 8) {
            config.encoding = Encoding::Exact64;
        }
        for (std::size_t i = 0; i < peers; ++i) {
            Node node;
            node.id = peer_id(static_cast<std::uint8_t>(i + 1));
            node.vector = std::make_unique<Vector>(sizes);
            node.averager = std::make_unique<Averager>(
                config, node.id, layout_hash(1), *node.vector, Rng(seed).fork(i)
            );
            nodes.push_back(std::move(node));
        }
        for (auto& node : nodes) {
            for (auto& other : nodes) {
                if (&node != &other) node.averager->peer_up(now, other.id);
            }
        }
    }

    Averager& at(std::size_t index) { return *nodes[index].averager; }

    Node& node(const PeerId& id) { return nodes[std::size_t{id.bytes[0]} - 1]; }

    /// Collects what the peers have to say.
    void drain() {
        for (auto& node : nodes) {
            while (auto out = node.averager->poll_transmit()) {
                wire.push_back(Letter{node.id, out->to, std::move(out->frame), out->passage});
            }
            while (auto event = node.averager->poll_event()) node.events.push_back(*event);
        }
    }

    /// Delivers the oldest letter. False when there is none.
    bool deliver() {
        drain();
        if (wire.empty()) return false;
        hand_over(take(0));
        return true;
    }

    /// Delivers the oldest letter of a random ordered pair.
    bool deliver_any(Rng& rng) {
        drain();
        if (wire.empty()) return false;
        const auto& picked = wire[static_cast<std::size_t>(rng.below(wire.size()))];
        for (std::size_t i = 0; i < wire.size(); ++i) {
            if (wire[i].from == picked.from && wire[i].to == picked.to) {
                hand_over(take(i));
                return true;
            }
        }
        return false;
    }

    /// Delivers a letter as a pair with many streams may: any letter that may overtake, or the
    /// oldest of its pair among the others.
    bool deliver_loose(Rng& rng) {
        drain();
        if (wire.empty()) return false;
        const auto picked = static_cast<std::size_t>(rng.below(wire.size()));
        const auto like = [&](std::size_t i) {
            return wire[i].passage == Passage::InOrder && wire[i].from == wire[picked].from &&
                   wire[i].to == wire[picked].to;
        };
        std::size_t first = 0;
        while (first < picked && !like(first)) ++first;
        hand_over(take(wire[picked].passage == Passage::InOrder ? first : picked));
        return true;
    }

    void hand_over(Letter letter) {
        auto& receiver = *node(letter.to).averager;
        const auto result = receiver.handle_frame(now, letter.from, letter.frame);
        EXPECT_TRUE(result.has_value()) << result.error().message;
        history.push_back(letter);
        node(letter.from).averager->recycle(std::move(letter.frame));
        drain();
    }

    /// Moves time to the next timer. False when nobody waits.
    bool advance() {
        std::optional<Instant> next;
        for (auto& node : nodes) {
            const auto timeout = node.averager->poll_timeout();
            if (timeout && (!next || *timeout < *next)) next = timeout;
        }
        if (!next) return false;
        now = std::max(now, *next);
        for (auto& node : nodes) node.averager->handle_timeout(now);
        drain();
        return true;
    }

    /// Delivers everything, then lets time pass, until nobody has anything left to do.
    void finish_exchanges() {
        for (int turns = 0; turns < 1000000; ++turns) {
            if (!deliver() && !advance()) return;
        }
        FAIL() << "the swarm never comes to rest";
    }

    /// Loses what is on the wire and tells both sides.
    void cut(std::size_t a, std::size_t b) {
        wire.clear();
        at(a).handle_disconnect(now, nodes[b].id);
        at(b).handle_disconnect(now, nodes[a].id);
        drain();
    }

    Instant now{};
    std::vector<Node> nodes;
    std::deque<Letter> wire;
    std::vector<Letter> history;

private:
    Letter take(std::size_t index) {
        Letter letter = std::move(wire[index]);
        wire.erase(wire.begin() + static_cast<std::ptrdiff_t>(index));
        return letter;
    }
};

using IntegerSwarm = GossipSwarm<Integers>;

/// Fills every vector with draws up to a billion in size.
inline void randomize(IntegerSwarm& swarm, Rng& rng) {
    for (auto& node : swarm.nodes) {
        for (auto& chunk : node.vector->chunks) {
            for (auto& value : chunk) {
                value = static_cast<std::int64_t>(rng.below(2000000001)) - 1000000000;
            }
        }
    }
}

/// Returns the sum over the peers of every element of a chunk.
inline std::vector<std::int64_t> sum_of(const IntegerSwarm& swarm, std::size_t chunk) {
    std::vector<std::int64_t> sum(swarm.nodes[0].vector->chunks[chunk].size(), 0);
    for (const auto& node : swarm.nodes) {
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += node.vector->chunks[chunk][i];
    }
    return sum;
}

inline std::vector<std::vector<std::int64_t>> sums_of(const IntegerSwarm& swarm) {
    std::vector<std::vector<std::int64_t>> sums;
    for (std::size_t chunk = 0; chunk < swarm.nodes[0].vector->chunks.size(); ++chunk) {
        sums.push_back(sum_of(swarm, chunk));
    }
    return sums;
}

}  // namespace starling::gossip
