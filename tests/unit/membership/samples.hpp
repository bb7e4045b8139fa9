#pragma once

// Small values for the tests of membership.

#include <cstdint>

#include "base/rng.hpp"
#include "membership/messages.hpp"

namespace starling::membership {

inline PeerId peer(std::uint8_t number) {
    PeerId id;
    id.bytes[0] = number;
    id.bytes[31] = number;
    return id;
}

inline Endpoint address_of(std::uint8_t number) {
    return Endpoint::v4(0x0a000000U + number, 7000);
}

inline Statement claim(std::uint8_t number, Incarnation incarnation, MemberState state) {
    const bool accused = state == MemberState::Suspect || state == MemberState::Failed;
    return {peer(number), incarnation, state, address_of(number), accused ? peer(200) : PeerId{}};
}

inline Statement random_claim(Rng& rng, std::uint8_t peers) {
    const auto number = static_cast<std::uint8_t>(rng.below(peers));
    Statement statement =
        claim(number, {1 + rng.below(2), rng.below(3)}, static_cast<MemberState>(rng.below(4)));
    // The address is a function of the incarnation, as between honest members.
    statement.address.port = static_cast<std::uint16_t>(
        7000 + statement.incarnation.epoch * 10 + statement.incarnation.counter
    );
    return statement;
}

}  // namespace starling::membership
