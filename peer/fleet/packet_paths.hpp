#pragma once

// What happens to each packet between the peers of a scenario. A machine without I/O: it is told packets
// and the time, and says which packets arrive when. The router (peer/fleet/router) moves the bytes.
//
// A peer's packets leave one behind another at its rate, and arrive so; what would wait longer than
// kQueueTime is lost, as at the end of a router's queue. Between, a packet may be lost or come twice, and travels for the
// delay and a random part of the jitter. Packets of one pair arrive in the order in which they were sent, but
// for the share that is held back so that others overtake them.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <span>
#include <vector>

#include "base/instant.hpp"
#include "base/rng.hpp"
#include "peer/fleet/broken_streams.hpp"
#include "peer/scenario/links.hpp"

namespace starling::peer {

/// The addresses of a scenario's peers: 10.77.0.0/16, peer 1 is 10.77.0.1.
inline constexpr std::uint32_t kLinksNet = (std::uint32_t{10} << 24U) | (std::uint32_t{77} << 16U);
inline constexpr unsigned kLinksPrefix = 16;
/// In the address of a peer that has moved: 10.77.128.1 instead of 10.77.0.1.
inline constexpr std::uint32_t kMovedBit = std::uint32_t{1} << 15U;

class PacketPaths {
public:
    using Packet = std::vector<std::byte>;
    /// Gets a packet that arrives at a peer, which counts from 1.
    using Deliver = std::function<void(std::size_t to, std::span<const std::byte> packet)>;

    PacketPaths(std::size_t peers, std::uint64_t seed);

    /// What holds from now on. Packets that are on their way arrive, but through no barrier.
    void set(const scenario::LinkFaults& faults);

    /// A machine that is dark neither sends nor receives.
    void set_dark(std::size_t peer, bool dark);

    /// The streams of a peer that exist now are broken. Those that are opened later pass.
    void break_streams(std::size_t peer, BrokenStreams::How how);

    /// Takes an IPv4 packet that a peer sends. What is none, or for nobody, is lost.
    void take(Instant now, std::size_t from, std::span<const std::byte> packet);

    /// Delivers what has arrived by now.
    void deliver(Instant now, const Deliver& deliver);

    /// Returns when the next packet arrives, if any is on its way.
    [[nodiscard]] std::optional<Instant> next() const;

    /// Longest time for which a packet waits to leave.
    static constexpr Duration kQueueTime = std::chrono::milliseconds(400);
    /// How long a packet is held back that others are to overtake.
    static constexpr Duration kHeldBack = std::chrono::milliseconds(10);
    /// Bytes that may wait to leave at any rate.
    static constexpr std::size_t kQueueBytes = std::size_t{32} * 1024;
    /// Bytes on their way in all. What comes on top is lost.
    static constexpr std::size_t kBytesMax = std::size_t{256} << 20U;

private:
    struct Travelling {
        Instant due;
        std::uint64_t number;  ///< packets that are due at once arrive in the order of sending
        std::size_t from;
        std::size_t to;
        Packet bytes;

        bool operator>(const Travelling& other) const {
            return due != other.due ? due > other.due : number > other.number;
        }
    };

    /// A peer's own end of its link: what waits there goes one packet behind another.
    struct Queue {
        std::optional<double> rate;  ///< bytes a second
        Instant free_at;
    };

    [[nodiscard]] bool passes(std::size_t from, std::size_t to, std::span<const std::byte> packet)
        const;
    [[nodiscard]] static std::optional<Instant> leaves(
        Instant now, Queue& queue, std::size_t bytes
    );
    void set_values(const scenario::LinkFaults& faults);
    void send(Instant left, std::size_t from, std::size_t to, std::span<const std::byte> packet);
    [[nodiscard]] bool is_broken(
        Instant now, std::size_t from, std::size_t to, std::span<const std::byte> packet
    );
    [[nodiscard]] std::size_t pair(std::size_t from, std::size_t to) const;

    std::size_t peers_;
    Rng rng_;
    std::vector<scenario::LinkValues> values_;  ///< for each pair
    std::vector<std::uint8_t> barriers_;        ///< for each pair, bits of what is stopped
    std::vector<bool> dark_;
    std::vector<Queue> up_;              ///< for each peer: what it sends
    std::vector<Queue> down_;            ///< for each peer: what it gets
    std::vector<BrokenStreams> broken_;  ///< for each peer
    std::vector<Instant> last_;          ///< for each pair: when its last packet arrives
    std::priority_queue<Travelling, std::vector<Travelling>, std::greater<>> travelling_;
    std::uint64_t number_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace starling::peer
