// What a newcomer and a restarted peer do: they ask for chunks and move towards them. The peer that
// is asked gives a copy and keeps what it has. So no fresh and no stale values enter the sum before
// the newcomer is promoted.
//
// The store holds the parameters themselves. Invariant: the partner's store is untouched.

#include <utility>

#include "gossip/encoding/registry.hpp"
#include "gossip/mixing/rule.hpp"

namespace starling::gossip {
namespace {

class Pull final : public MixingRule {
public:
    using MixingRule::MixingRule;

    [[nodiscard]] std::size_t offer_bytes_max(const Terms& terms, std::uint32_t chunk)
        const override {
        // The request is empty, but what it asks for fills the link as an offer does.
        return reply_bytes(terms, chunk);
    }

    [[nodiscard]] bool fits_offer(const Terms&, std::uint32_t, ByteView offer) const override {
        return offer.empty();
    }

    [[nodiscard]] bool fits_reply(const Terms& terms, const Flight& flight, ByteView reply)
        const override {
        return reply.size() == reply_bytes(terms, flight.index);
    }

    [[nodiscard]] bool always_decodes(const Terms&, std::uint32_t, ByteView) const override {
        return true;
    }

    [[nodiscard]] bool asks_again(const Terms&, std::uint32_t, ByteView) const override {
        return false;
    }

    [[nodiscard]] bool offer(const Terms& terms, bool, Bytes& frame, Flight& flight) override {
        frame = take_frame(0);
        flight.offer = {reply_bytes(terms, flight.index), 0.0};
        return true;
    }

    [[nodiscard]] Answered answer(
        const Terms& terms, std::uint32_t chunk, ByteView /*offer*/, Bytes& frame, Tally& /*tally*/
    ) override {
        frame = take_frame(reply_bytes(terms, chunk));
        const auto wire = std::span(frame).subspan(kPayloadOffset);
        raw_.resize(bench_.raw_bytes(chunk, terms.part));
        if (!bench_.try_read(chunk, terms.part, raw_)) {
            bench_.pool.give(std::exchange(frame, {}));
            return {Served::Locked};
        }
        encoding(terms, chunk).encode(raw_, wire);
        return {Served::Done};
    }

    [[nodiscard]] TakenReply take_reply(
        const Terms& terms, Flight& flight, ByteView reply, Tally& tally
    ) override {
        flight.bytes.assign(reply.begin(), reply.end());
        if (!sound(terms, flight.index, reply)) {
            ++bench_.counters.refused_values;
            return {ReplyState::Refused, bench_.count(Misdeed::Values)};
        }
        return {apply(terms, flight, tally) ? ReplyState::Applied : ReplyState::Locked};
    }

    [[nodiscard]] bool apply(const Terms& terms, Flight& flight, Tally& tally) override {
        const auto& encoding = this->encoding(terms, flight.index);
        raw_.resize(bench_.raw_bytes(flight.index, terms.part));
        if (!bench_.try_read(flight.index, terms.part, raw_)) return false;
        own_.resize(flight.bytes.size());
        encoding.encode(raw_, own_);
        delta_.resize(raw_.size());
        auto difference = encoding.difference(flight.bytes, own_, terms.coefficient, delta_);
        // A peer that comes late may be far behind, so no distance accuses its partner. But it goes
        // no further at a time than others would, whatever it is given.
        const double share = bench_.share_within_clip(flight.index, terms.part, difference);
        if (share < 1.0) {
            (void)encoding.difference(flight.bytes, own_, share * terms.coefficient, delta_);
        }
        if (difference.finite && !bench_.try_add(flight.index, terms.part, delta_)) return false;
        // Our own value can be at fault now; nobody else learns of it.
        (void)bench_.enter(flight.index, difference, tally);
        return true;
    }

private:
    /// Whether a reply's own values may be used.
    bool sound(const Terms& terms, std::uint32_t chunk, ByteView reply) {
        if (bench_.parameters.element() == Element::I64) return true;
        // Beside zeros, so that nothing but their own values can be at fault.
        zeros_.assign(reply.size(), std::byte{0});
        delta_.resize(bench_.raw_bytes(chunk, terms.part));
        return encoding(terms, chunk).difference(reply, zeros_, 1.0, delta_).finite;
    }

    /// A copy cannot be decoded beside anything, so no lattice.
    [[nodiscard]] const PlainEncoding& encoding(const Terms& terms, std::uint32_t chunk) const {
        if (bench_.parameters.element() == Element::I64) {
            return *find_plain_encoding(Encoding::Exact64);
        }
        const bool exact = bench_.parameters.is_buffer(chunk) || terms.encoding == Encoding::F32;
        return *find_plain_encoding(exact ? Encoding::F32 : Encoding::Bf16);
    }

    [[nodiscard]] std::size_t reply_bytes(const Terms& terms, std::uint32_t chunk) const {
        return encoding(terms, chunk).wire_bytes(bench_.elements(chunk, terms.part));
    }

    Bytes raw_;
    Bytes own_;
    Bytes zeros_;
    Bytes delta_;
};

}  // namespace

std::unique_ptr<MixingRule> make_pull(Workbench& bench) {
    return std::make_unique<Pull>(bench);
}

}  // namespace starling::gossip
