// Push-sum: one side gives half of its mass, the other takes it in; the reply is an acknowledgement
// without parameters.
//
// The store holds the de-biased z = x / w; the weight w is kept here, one for each part of each
// chunk. Giving half of (x, w) leaves z as it is and halves w; taking (s z', s) in moves z by
// s / (w + s) * (z' - z). Local steps move z by what they would move any model, so a peer's steps
// count in the sum by its weight.
//
// Invariant: the sum over all peers of w z, plus what is on its way, is kept; so is the sum of w.
// What was offered is on its way until its acknowledgement comes. Without one it is taken back:
// merged as if a partner had sent it. When only the acknowledgement was lost, that mass exists
// twice; the responder's ledger counts it, as it counts a half-applied chunk of any rule.
//
// A value that travels as bf16 is not the one that was read. What rounding kept back stays with the
// sender: it adds s / (w - s) times the difference to its own z.
//
// Source    SGP and OSGP (Assran et al. 2019, Alg. 1 and 2). Theirs applies gradients to x; ours to
//           z, because the trainer knows nothing of weights.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "gossip/encoding/registry.hpp"
#include "gossip/mixing/rule.hpp"

namespace starling::gossip {
namespace {

/// A peer with less weight gives nothing until it has received some: its z would be all rounding.
constexpr double kWeightMin = 1.0 / 1024;
/// A lost acknowledgement doubles what was given, so weights grow by and by, while only their
/// ratios matter. A weight that would be larger is cut to this, which is far above what halving
/// leads to by itself. The z of such a peer is as near to the mean as that of others, so the mean
/// hardly moves.
constexpr double kWeightMax = 1024;
/// Nobody gives more than half of its weight, so a partner that sends more than this lies.
constexpr double kMassMax = kWeightMax / 2;
constexpr std::size_t kMassBytes = 8;
/// The reply holds the squared distance and norm, which the sender cannot measure itself.
constexpr std::size_t kReplyBytes = 16;

double number_at(ByteView bytes, std::size_t offset) {
    double value = 0.0;
    std::memcpy(&value, bytes.data() + offset, sizeof(value));
    return value;
}

void put_number(std::span<std::byte> bytes, std::size_t offset, double value) {
    std::memcpy(bytes.data() + offset, &value, sizeof(value));
}

bool sound_mass(double mass) {
    return mass > 0.0 && mass <= kMassMax;
}

void gain(double& weight, double mass) {
    weight = std::min(weight + mass, kWeightMax);
}

bool sound_square(double value) {
    return std::isfinite(value) && value >= 0.0;
}

class PushSum final : public MixingRule {
public:
    explicit PushSum(Workbench& bench)
        : MixingRule(bench),
          f32_(*find_plain_encoding(Encoding::F32)) {
        adopt();
    }

    [[nodiscard]] std::size_t offer_bytes_max(const Terms& terms, std::uint32_t chunk)
        const override {
        return kMassBytes + encoding(terms, chunk).wire_bytes(bench_.elements(chunk, terms.part));
    }

    [[nodiscard]] bool fits_offer(const Terms& terms, std::uint32_t chunk, ByteView offer)
        const override {
        return offer.size() == offer_bytes_max(terms, chunk) && sound_mass(number_at(offer, 0));
    }

    [[nodiscard]] bool fits_reply(const Terms&, const Flight&, ByteView reply) const override {
        return reply.size() == kReplyBytes;
    }

    [[nodiscard]] bool always_decodes(const Terms&, std::uint32_t, ByteView) const override {
        return true;
    }

    [[nodiscard]] bool asks_again(const Terms&, std::uint32_t, ByteView) const override {
        return false;
    }

    [[nodiscard]] bool offer(const Terms& terms, bool /*again*/, Bytes& frame, Flight& flight)
        override {
        frame = take_frame(offer_bytes_max(terms, flight.index));
        const auto payload = std::span(frame).subspan(kPayloadOffset);
        const auto wire = payload.subspan(kMassBytes);
        own_.resize(bench_.raw_bytes(flight.index, terms.part));
        const bool read = bench_.try_read(flight.index, terms.part, own_);
        const auto& encoding = this->encoding(terms, flight.index);
        if (read) encoding.encode(own_, wire);
        if (!read || !keep_rounding(terms, flight.index, encoding, wire)) {
            bench_.pool.give(std::exchange(frame, {}));
            return false;
        }
        auto& weight = weight_of(terms, flight.index);
        flight.weight = weight / 2.0;
        weight -= flight.weight;
        put_number(payload, 0, flight.weight);
        flight.offer.bytes = payload.size();
        return true;
    }

    [[nodiscard]] Answered answer(
        const Terms& terms, std::uint32_t chunk, ByteView offer, Bytes& frame, Tally& tally
    ) override {
        Difference difference;
        auto& weight = weight_of(terms, chunk);
        const double mass = number_at(offer, 0);
        const double share = mass / (weight + mass);
        if (!compare(terms, chunk, offer.subspan(kMassBytes), share, difference)) {
            return {Served::Locked};
        }
        Tally entered = tally;
        const Misdeed misdeed = bench_.check(chunk, terms.part, difference, entered);
        if (misdeed != Misdeed::None) return {Served::Refused, misdeed};
        if (!bench_.try_add(chunk, terms.part, delta_)) return {Served::Locked};
        gain(weight, mass);
        frame = take_frame(kReplyBytes);
        const auto reply = std::span(frame).subspan(kPayloadOffset);
        put_number(reply, 0, entered.squared_distance - tally.squared_distance);
        put_number(reply, 8, entered.squared_norm - tally.squared_norm);
        tally = entered;
        return {Served::Done};
    }

    [[nodiscard]] TakenReply take_reply(const Terms&, Flight& flight, ByteView reply, Tally& tally)
        override {
        const double distance = number_at(reply, 0);
        const double norm = number_at(reply, 8);
        if (!sound_square(distance) || !sound_square(norm)) {
            ++bench_.counters.refused_values;
            return {ReplyState::Refused, bench_.count(Misdeed::Values)};
        }
        tally.squared_distance += distance;
        tally.squared_norm += norm;
        flight.weight = 0.0;
        return {ReplyState::Applied};
    }

    [[nodiscard]] bool apply(const Terms&, Flight&, Tally&) override { return true; }

    void withdraw(const Terms& terms, Flight& flight) override {
        if (flight.weight <= 0.0) return;
        returns_.push_back({terms, flight.index, std::move(flight.bytes)});
        flight.weight = 0.0;
        retry();
    }

    void retry() override {
        std::erase_if(returns_, [&](const Return& back) { return take_back(back); });
    }

    [[nodiscard]] bool waiting() const override { return !returns_.empty(); }

    [[nodiscard]] bool ready(const Part& part) const override {
        if (waiting()) return false;
        for (std::uint32_t chunk = 0; chunk < bench_.chunk_count(); ++chunk) {
            if (weight(chunk, part.index) < kWeightMin) return false;
        }
        return true;
    }

    void adopt() override {
        weights_.assign(std::size_t{bench_.chunk_count()} * bench_.config.parts, 1.0);
        returns_.clear();
    }

    [[nodiscard]] double weight(std::uint32_t chunk, std::uint32_t part) const override {
        return weights_[slot(chunk, part)];
    }

private:
    struct Return {
        Terms terms;
        std::uint32_t chunk = 0;
        Bytes offer;
    };

    [[nodiscard]] const PlainEncoding& encoding(const Terms& terms, std::uint32_t chunk) const {
        const bool exact = bench_.parameters.is_buffer(chunk) || terms.encoding == Encoding::F32;
        return *find_plain_encoding(exact ? Encoding::F32 : Encoding::Bf16);
    }

    [[nodiscard]] std::size_t slot(std::uint32_t chunk, std::uint32_t part) const {
        const bool whole = bench_.parameters.is_buffer(chunk);
        return std::size_t{chunk} * bench_.config.parts + (whole ? 0 : part);
    }

    double& weight_of(const Terms& terms, std::uint32_t chunk) {
        return weights_[slot(chunk, terms.part.index)];
    }

    /// False when the chunk is locked.
    bool keep_rounding(
        const Terms& terms, std::uint32_t chunk, const PlainEncoding& encoding, ByteView wire
    ) {
        if (encoding.wire_is_raw()) return true;
        decode(encoding, wire);
        delta_.resize(own_.size());
        // Half is given and half is kept: s / (w - s) is one.
        const auto rest = f32_.difference(own_, theirs_, 1.0, delta_);
        return !rest.finite || bench_.try_add(chunk, terms.part, delta_);
    }

    Difference decode(const PlainEncoding& encoding, ByteView wire) {
        zeros_.assign(wire.size(), std::byte{0});
        theirs_.resize(own_.size());
        return encoding.difference(wire, zeros_, 1.0, theirs_);
    }

    /// Leaves share * (theirs - own) in delta_. False when the chunk is locked.
    bool compare(
        const Terms& terms, std::uint32_t chunk, ByteView wire, double share, Difference& difference
    ) {
        own_.resize(bench_.raw_bytes(chunk, terms.part));
        if (!bench_.try_read(chunk, terms.part, own_)) return false;
        const auto& encoding = this->encoding(terms, chunk);
        delta_.resize(own_.size());
        if (encoding.wire_is_raw()) {
            difference = f32_.difference(wire, own_, share, delta_);
            return true;
        }
        const bool finite = decode(encoding, wire).finite;
        difference = f32_.difference(theirs_, own_, share, delta_);
        difference.finite = difference.finite && finite;
        return true;
    }

    /// False when the chunk is locked.
    bool take_back(const Return& back) {
        auto& weight = weight_of(back.terms, back.chunk);
        const double mass = number_at(back.offer, 0);
        Difference difference;
        const double share = mass / (weight + mass);
        const auto wire = ByteView(back.offer).subspan(kMassBytes);
        if (!compare(back.terms, back.chunk, wire, share, difference)) return false;
        // What we sent was not finite: then there is nothing to come back but the weight.
        if (difference.finite && !bench_.try_add(back.chunk, back.terms.part, delta_)) return false;
        gain(weight, mass);
        return true;
    }

    const PlainEncoding& f32_;
    std::vector<double> weights_;
    std::vector<Return> returns_;
    Bytes own_;
    Bytes theirs_;
    Bytes zeros_;
    Bytes delta_;
};

}  // namespace

std::unique_ptr<MixingRule> make_push_sum(Workbench& bench) {
    return std::make_unique<PushSum>(bench);
}

}  // namespace starling::gossip
