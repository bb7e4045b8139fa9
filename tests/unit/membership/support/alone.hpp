#pragma once

// One machine that a test talks to by hand, datagram by datagram.

#include <vector>

#include "membership/codec.hpp"
#include "membership/swim.hpp"
#include "tests/unit/membership/support/cluster.hpp"

namespace starling::membership {

inline const std::uint32_t kTag = swarm_tag(sample_swarm());

/// One machine with id 1 that a test talks to by hand.
struct Alone {
    SwimConfig config = [] {
        SwimConfig c;
        c.swarm = sample_swarm();
        return c;
    }();
    Instant now{};
    Swim swim{config, self_of(peer(1), address_of(1), 3), Rng(1), now};

    void hear(std::uint8_t sender, std::vector<Message> messages) {
        const Bytes bytes = encode({peer(sender), std::move(messages)}, kTag, kPacketMax);
        swim.handle_datagram(now, address_of(sender), bytes);
    }

    std::vector<Packet> said(const Endpoint& to) {
        std::vector<Packet> packets;
        while (const auto datagram = swim.poll_transmit()) {
            if (datagram->to == to) packets.push_back(*parse_datagram(datagram->bytes, kTag));
        }
        return packets;
    }
};

template <class T>
bool contains(const std::vector<Packet>& packets, const T& wanted) {
    for (const auto& packet : packets) {
        for (const auto& message : packet.messages) {
            if (message == Message(wanted)) return true;
        }
    }
    return false;
}

}  // namespace starling::membership
