// Pairwise averaging in the delta form: both sides add a * (decoded other - decoded own) to what
// their chunk holds by then.
//
// The store holds the parameters themselves. Invariant: the sum over both peers is kept exactly,
// up to the rounding of the additions. In a weighted pair (gossip/tilt.hpp) it is the weighted sum.
//
// Source    AD-PSGD (Lian et al. 2018, Alg. 1), SwarmSGD (Nadiradze et al. 2021), non-blocking.

#include <algorithm>
#include <utility>

#include "base/planted_fault.hpp"
#include "gossip/mixing/rule.hpp"

namespace starling::gossip {
namespace {

class Pairwise final : public MixingRule {
public:
    explicit Pairwise(Workbench& bench) : MixingRule(bench) { bench.lay_out(gaps_); }

    [[nodiscard]] std::size_t offer_bytes_max(const Terms& terms, std::uint32_t chunk)
        const override {
        return encoding(terms, chunk).wire_bytes(bench_.elements(chunk, terms.part));
    }

    [[nodiscard]] bool fits_offer(const Terms& terms, std::uint32_t chunk, ByteView offer)
        const override {
        return encoding(terms, chunk).fits_offer(offer, bench_.elements(chunk, terms.part));
    }

    [[nodiscard]] bool fits_reply(const Terms& terms, const Flight& flight, ByteView reply)
        const override {
        const auto elements = bench_.elements(flight.index, terms.part);
        return encoding(terms, flight.index).fits_reply(reply, flight.bytes, elements);
    }

    [[nodiscard]] bool always_decodes(const Terms& terms, std::uint32_t chunk, ByteView offer)
        const override {
        return encoding(terms, chunk).always_decodes(offer);
    }

    [[nodiscard]] bool asks_again(const Terms& terms, std::uint32_t chunk, ByteView reply)
        const override {
        return encoding(terms, chunk).asks_again(reply);
    }

    [[nodiscard]] bool keeps_offer(const Terms& terms, std::uint32_t chunk) const override {
        return !encoding(terms, chunk).reply_is_delta();
    }

    [[nodiscard]] bool offer(const Terms& terms, bool again, Bytes& frame, Flight& flight)
        override {
        const auto& encoding = this->encoding(terms, flight.index);
        const auto elements = bench_.elements(flight.index, terms.part);
        const bool exact = again && terms.minor >= kMinorExact;
        frame = take_frame(exact ? encoding.exact_bytes(elements) : encoding.wire_bytes(elements));
        const auto wire = std::span(frame).subspan(kPayloadOffset);
        const auto raw = raw_room(encoding, flight.index, terms.part, wire);
        if (!bench_.try_read(flight.index, terms.part, raw)) {
            bench_.pool.give(std::exchange(frame, {}));
            return false;
        }
        std::span<const float> gaps;
        if (!again) gaps = bench_.known_gaps(gaps_, flight.index, terms.part, terms.apart);
        flight.offer = exact ? encoding.offer_exact(raw, wire) : encoding.offer(raw, gaps, wire);
        frame.resize(kPayloadOffset + flight.offer.bytes);
        return true;
    }

    [[nodiscard]] Answered answer(
        const Terms& terms, std::uint32_t chunk, ByteView offer, Bytes& frame, Tally& tally
    ) override {
        const auto& encoding = this->encoding(terms, chunk);
        const auto room = std::max(offer_bytes_max(terms, chunk), offer.size());
        frame = take_frame(room);
        const auto wire = std::span(frame).subspan(kPayloadOffset);
        const auto raw = raw_room(encoding, chunk, terms.part, wire);
        if (!bench_.try_read(chunk, terms.part, raw)) return give_up(frame, Served::Locked);
        delta_.resize(bench_.raw_bytes(chunk, terms.part));
        Reply reply{wire};
        const auto gaps = bench_.gaps_room(chunk, terms.part);
        const auto difference =
            encoding.answer(offer, raw, reply, {terms.coefficient, delta_, gaps, terms.tilt});
        frame.resize(kPayloadOffset + reply.bytes);
        if (difference.wrapped) return {Served::Again};
        if (planted(PlantedFault::OneSidedExchange)) {
            std::fill(delta_.begin(), delta_.end(), std::byte{0});
        }
        Tally entered = tally;
        const Misdeed misdeed = bench_.check(chunk, terms.part, difference, entered);
        if (misdeed != Misdeed::None) return give_up(frame, Served::Refused, misdeed);
        if (!bench_.try_add(chunk, terms.part, delta_)) return give_up(frame, Served::Locked);
        tally = entered;
        bench_.note_gaps(gaps_, chunk, terms.part, gaps);
        return {Served::Done};
    }

    [[nodiscard]] TakenReply take_reply(
        const Terms& terms, Flight& flight, ByteView reply, Tally& tally
    ) override {
        const auto& encoding = this->encoding(terms, flight.index);
        const auto gaps = bench_.gaps_room(flight.index, terms.part);
        ByteView delta = reply;
        Share share{terms.coefficient, {}, gaps, terms.tilt};
        if (!encoding.reply_is_delta()) {
            delta_.resize(bench_.raw_bytes(flight.index, terms.part));
            share.delta = delta_;
            delta = delta_;
        }
        auto difference = encoding.take_reply(reply, flight.bytes, share);
        difference.squared_norm += flight.offer.squared_norm;
        const Misdeed misdeed = bench_.check(flight.index, terms.part, difference, tally);
        if (misdeed != Misdeed::None) return {ReplyState::Refused, misdeed};
        bench_.note_gaps(gaps_, flight.index, terms.part, gaps);
        gaps_.decoded();
        if (bench_.try_add(flight.index, terms.part, delta)) return {ReplyState::Applied};
        bench_.pool.give(std::exchange(flight.bytes, bench_.pool.take(delta.size())));
        std::copy(delta.begin(), delta.end(), flight.bytes.begin());
        return {ReplyState::Locked};
    }

    [[nodiscard]] bool apply(const Terms& terms, Flight& flight, Tally& /*tally*/) override {
        return bench_.try_add(flight.index, terms.part, flight.bytes);
    }

    void wrapped(const Terms& /*terms*/) override { gaps_.wrapped(); }

    [[nodiscard]] double apart(const Terms& terms, ExchangeId id, const Samples& theirs) override {
        return measure_apart(bench_, gaps_, id, terms.part, theirs);
    }

private:
    [[nodiscard]] const ChunkEncoding& encoding(const Terms& terms, std::uint32_t chunk) const {
        return bench_.encoding_for(chunk, terms.encoding);
    }

    /// Where a chunk is read to: straight into the frame when that is how it travels.
    std::span<std::byte> raw_room(
        const ChunkEncoding& encoding,
        std::uint32_t chunk,
        const Part& part,
        std::span<std::byte> wire
    ) {
        if (encoding.wire_is_raw()) return wire;
        raw_.resize(bench_.raw_bytes(chunk, part));
        return raw_;
    }

    Answered give_up(Bytes& frame, Served why, Misdeed misdeed = Misdeed::None) {
        bench_.pool.give(std::exchange(frame, {}));
        return {why, misdeed};
    }

    GapMemory gaps_;
    Bytes raw_;    ///< scratch for encodings whose wire is not raw
    Bytes delta_;  ///< scratch, and always the same: it stays in the cache
};

}  // namespace

std::unique_ptr<MixingRule> make_pairwise(Workbench& bench) {
    return std::make_unique<Pairwise>(bench);
}

}  // namespace starling::gossip
