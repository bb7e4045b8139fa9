#pragma once

// Two vectors of floats that meet once through an encoding, as the two sides of an exchange would.

#include <gtest/gtest.h>
#include <vector>

#include "gossip/encoding/encoding.hpp"

namespace starling::gossip {

template <class T>
ByteView view(const std::vector<T>& values) {
    return std::as_bytes(std::span(values));
}

template <class T>
std::span<std::byte> room(std::vector<T>& values) {
    return std::as_writable_bytes(std::span(values));
}

struct Meeting {
    bool wrapped = false;
    std::size_t offer_bytes = 0;
    std::size_t reply_bytes = 0;
    Difference initiator;
    Difference responder;
    std::vector<float> for_initiator;  ///< deltas
    std::vector<float> for_responder;
    std::vector<BlockGap> gaps;
};

/// Computes both deltas; nothing is added yet. The tilt is the initiator's.
inline Meeting meet(
    const ChunkEncoding& encoding,
    const std::vector<float>& a,
    const std::vector<float>& b,
    const std::vector<float>& known_gaps,
    double coefficient = 0.5,
    const Tilt& tilt = {}
) {
    Meeting meeting;
    Bytes offer(encoding.wire_bytes(a.size()));
    const auto made = encoding.offer(view(a), known_gaps, offer);
    offer.resize(made.bytes);
    meeting.offer_bytes = made.bytes;
    EXPECT_TRUE(encoding.fits_offer(offer, a.size()));
    Bytes reply(encoding.wire_bytes(b.size()));
    meeting.for_initiator.resize(a.size());
    meeting.for_responder.resize(b.size());
    meeting.gaps.resize(block_count(a.size()));
    Reply written{reply};
    meeting.responder = encoding.answer(
        offer,
        view(b),
        written,
        {coefficient, room(meeting.for_responder), meeting.gaps, tilt.reversed()}
    );
    meeting.reply_bytes = written.bytes;
    reply.resize(meeting.reply_bytes);
    if (encoding.reply_is_delta()) offer.clear();
    EXPECT_TRUE(encoding.fits_reply(reply, offer, a.size()));
    meeting.wrapped = encoding.asks_again(reply);
    EXPECT_EQ(meeting.wrapped, meeting.responder.wrapped);
    if (meeting.wrapped) return meeting;
    std::vector<BlockGap> gaps(meeting.gaps.size());
    meeting.initiator =
        encoding.take_reply(reply, offer, {coefficient, room(meeting.for_initiator), gaps, tilt});
    meeting.initiator.squared_norm += made.squared_norm;
    EXPECT_EQ(gaps, meeting.gaps) << "both sides remember the same";
    return meeting;
}

inline void add(std::vector<float>& values, const std::vector<float>& delta) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += delta[i];
}

}  // namespace starling::gossip
