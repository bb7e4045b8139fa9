// NoLoCo: outer momentum over slow weights. After some local steps the pair exchanges its fast
// weights theta and its slow weights phi; with D = theta - phi each side takes the outer step
//
//   delta <- alpha delta + beta mean(D) - gamma (phi - mean(phi));  phi <- phi + delta;  theta <-
//   phi
//
// The store holds theta; phi and delta are kept here, in arenas of their own. What travels is theta
// and phi, each in the exchange's encoding, so the same lattice serves both; D follows from them.
// With beta = gamma, as by default, v counts nothing and phi does not travel.
//
// In the delta form, with u = a (theta' - theta) and v = a (phi' - phi) of the decoded values and
// a = 1/2, the outer step adds to theta
//
//   alpha delta + (beta - 1) D + beta u + (gamma - beta) v
//
// and brings phi to where theta is then. D is taken when the step is applied, so local steps and
// another exchange in between count once. With alpha = 0, beta = gamma = 1 it is u, bit for bit:
// pairwise averaging.
//
// Invariant: u and v are exact opposites on the two sides, so the sum over a pair moves only by
// each side's own alpha delta + (beta - 1) D. Averaged buffers are averaged pairwise.
//
// Source    NoLoCo (arXiv 2506.10911, section 3), with the plus sign of its released code at
//           beta: Eq. 2 prints a minus together with D = theta - phi. Theirs is synchronous with
//           groups of two; ours takes an outer step with each exchange, in either role.

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "gossip/mixing/rule.hpp"

namespace starling::gossip {
namespace {

/// Length of the first piece and four zeros; the slow weights' piece follows the first.
constexpr std::size_t kHead = 8;

struct Pieces {
    ByteView fast;
    ByteView slow;
};

std::optional<Pieces> split(ByteView payload) {
    if (payload.size() < kHead) return std::nullopt;
    std::uint32_t head[2] = {0, 0};
    std::memcpy(head, payload.data(), kHead);
    const auto body = payload.subspan(kHead);
    if (head[1] != 0 || head[0] > body.size()) return std::nullopt;
    return Pieces{body.first(head[0]), body.subspan(head[0])};
}

void write_head(std::span<std::byte> payload, std::size_t fast) {
    const std::uint32_t head[2] = {static_cast<std::uint32_t>(fast), 0};
    std::memcpy(payload.data(), head, kHead);
}

std::span<const float> floats(const Bytes& raw) {
    return {reinterpret_cast<const float*>(raw.data()), raw.size() / sizeof(float)};
}

std::span<float> floats(Bytes& raw) {
    return {reinterpret_cast<float*>(raw.data()), raw.size() / sizeof(float)};
}

class Noloco final : public MixingRule {
public:
    explicit Noloco(Workbench& bench)
        : MixingRule(bench),
          alpha_(static_cast<float>(bench.config.mix.alpha)),
          beta_(static_cast<float>(bench.config.mix.beta)),
          gamma_(static_cast<float>(bench.config.mix.gamma)) {
        bench.lay_out(fast_gaps_);
        bench.lay_out(slow_gaps_);
        for (std::uint32_t chunk = 0; chunk < bench.chunk_count(); ++chunk) {
            arenas_.emplace_back();
        }
    }

    [[nodiscard]] std::size_t offer_bytes_max(const Terms& terms, std::uint32_t chunk)
        const override {
        const std::size_t pieces = sends_slow(terms, chunk) ? 2 : 1;
        return kHead +
               pieces * encoding(terms, chunk).wire_bytes(bench_.elements(chunk, terms.part));
    }

    [[nodiscard]] bool fits_offer(const Terms& terms, std::uint32_t chunk, ByteView offer)
        const override {
        const auto got = split(offer);
        if (!got) return false;
        const auto& encoding = this->encoding(terms, chunk);
        const auto elements = bench_.elements(chunk, terms.part);
        if (!encoding.fits_offer(got->fast, elements)) return false;
        if (got->slow.empty()) return !has_slow(chunk) || beta_ == gamma_;
        return has_slow(chunk) && encoding.fits_offer(got->slow, elements);
    }

    [[nodiscard]] bool fits_reply(const Terms& terms, const Flight& flight, ByteView reply)
        const override {
        if (asks_again(terms, flight.index, reply)) return true;
        const auto got = split(reply);
        const auto sent = split(flight.bytes);
        const auto& encoding = this->encoding(terms, flight.index);
        const auto elements = bench_.elements(flight.index, terms.part);
        if (!got || !encoding.fits_reply(got->fast, sent->fast, elements)) return false;
        if (encoding.asks_again(got->fast)) return false;
        if (sent->slow.empty()) return got->slow.empty();
        return encoding.fits_reply(got->slow, sent->slow, elements) &&
               !encoding.asks_again(got->slow);
    }

    [[nodiscard]] bool always_decodes(const Terms& terms, std::uint32_t chunk, ByteView offer)
        const override {
        const auto got = *split(offer);
        const auto& encoding = this->encoding(terms, chunk);
        return encoding.always_decodes(got.fast) &&
               (got.slow.empty() || encoding.always_decodes(got.slow));
    }

    [[nodiscard]] bool asks_again(const Terms&, std::uint32_t, ByteView reply) const override {
        const auto got = split(reply);
        return got && reply.size() == kHead;
    }

    [[nodiscard]] bool offer(const Terms& terms, bool again, Bytes& frame, Flight& flight)
        override {
        const auto chunk = flight.index;
        if (!read(terms, chunk)) return false;
        const auto& encoding = this->encoding(terms, chunk);
        const auto elements = bench_.elements(chunk, terms.part);
        const bool exact = again && terms.minor >= kMinorExact;
        const auto room = exact ? encoding.exact_bytes(elements) : encoding.wire_bytes(elements);
        frame = take_frame(kHead + (sends_slow(terms, chunk) ? 2 : 1) * room);
        const auto payload = std::span(frame).subspan(kPayloadOffset);
        const auto write = [&](const Bytes& raw, std::span<const float> gaps, std::size_t at) {
            const auto wire = payload.subspan(at, room);
            return exact ? encoding.offer_exact(raw, wire) : encoding.offer(raw, gaps, wire);
        };
        std::span<const float> gaps;
        if (!again) gaps = bench_.known_gaps(fast_gaps_, chunk, terms.part, terms.apart);
        flight.offer = write(theta_, gaps, kHead);
        write_head(payload, flight.offer.bytes);
        flight.offer.bytes += kHead;
        if (sends_slow(terms, chunk)) {
            gaps = {};
            // Samples are of the fast weights. Where these are further apart, the slow ones may be.
            const double apart = std::max(1.0, terms.apart);
            if (!again) gaps = bench_.known_gaps(slow_gaps_, chunk, terms.part, apart);
            flight.offer.bytes += write(phi_, gaps, flight.offer.bytes).bytes;
        }
        frame.resize(kPayloadOffset + flight.offer.bytes);
        return true;
    }

    [[nodiscard]] Answered answer(
        const Terms& terms, std::uint32_t chunk, ByteView offer, Bytes& frame, Tally& tally
    ) override {
        if (!read(terms, chunk)) return {Served::Locked};
        const auto got = *split(offer);
        const auto& encoding = this->encoding(terms, chunk);
        const auto elements = bench_.elements(chunk, terms.part);
        const auto room = std::max(encoding.wire_bytes(elements), encoding.exact_bytes(elements));
        const bool both = !got.slow.empty();
        frame = take_frame(kHead + (both ? 2 : 1) * room);
        const auto payload = std::span(frame).subspan(kPayloadOffset);
        Reply fast{payload.subspan(kHead, room)};
        Reply slow;
        u_.resize(theta_.size());
        v_.assign(theta_.size(), std::byte{0});
        const auto fast_gaps = bench_.gaps_room(chunk, terms.part);
        auto difference =
            encoding.answer(got.fast, theta_, fast, {terms.coefficient, u_, fast_gaps});
        const auto slow_gaps = slow_room(chunk, terms.part);
        Difference apart;
        if (both && !difference.wrapped) {
            slow.wire = payload.subspan(kHead + fast.bytes, room);
            const auto other =
                encoding.answer(got.slow, phi_, slow, {terms.coefficient, v_, slow_gaps});
            difference.wrapped = other.wrapped;
            difference.finite = difference.finite && other.finite;
            apart = other;
        }
        if (difference.wrapped) {
            write_head(payload, 0);
            frame.resize(kPayloadOffset + kHead);
            return {Served::Again};
        }
        write_head(payload, fast.bytes);
        frame.resize(kPayloadOffset + kHead + fast.bytes + slow.bytes);
        Tally entered = tally;
        const Misdeed misdeed = check(terms, chunk, difference, apart, entered);
        const bool sound = misdeed == Misdeed::None;
        if (!sound || !step(terms, chunk)) {
            bench_.pool.give(std::exchange(frame, {}));
            return {sound ? Served::Locked : Served::Refused, misdeed};
        }
        tally = entered;
        bench_.note_gaps(fast_gaps_, chunk, terms.part, fast_gaps);
        if (both) bench_.note_gaps(slow_gaps_, chunk, terms.part, slow_gaps);
        return {Served::Done};
    }

    [[nodiscard]] TakenReply take_reply(
        const Terms& terms, Flight& flight, ByteView reply, Tally& tally
    ) override {
        const auto chunk = flight.index;
        const auto got = *split(reply);
        const auto sent = *split(flight.bytes);
        const auto& encoding = this->encoding(terms, chunk);
        const auto raw = bench_.raw_bytes(chunk, terms.part);
        Bytes fast = bench_.pool.take(raw);
        flight.more.assign(raw, std::byte{0});
        const auto fast_gaps = bench_.gaps_room(chunk, terms.part);
        auto difference =
            encoding.take_reply(got.fast, sent.fast, {terms.coefficient, fast, fast_gaps});
        difference.squared_norm += flight.offer.squared_norm;
        const auto slow_gaps = slow_room(chunk, terms.part);
        Difference apart;
        const bool both = !sent.slow.empty();
        if (both) {
            const auto slow = encoding.take_reply(
                got.slow, sent.slow, {terms.coefficient, flight.more, slow_gaps}
            );
            difference.finite = difference.finite && slow.finite;
            apart = slow;
            // The slow weights are near the fast ones, whose norm is known.
            apart.squared_norm = std::max(apart.squared_norm, difference.squared_norm);
        }
        bench_.pool.give(std::exchange(flight.bytes, std::move(fast)));
        const Misdeed misdeed = check(terms, chunk, difference, apart, tally);
        if (misdeed != Misdeed::None) return {ReplyState::Refused, misdeed};
        fast_gaps_.decoded();
        slow_gaps_.decoded();
        bench_.note_gaps(fast_gaps_, chunk, terms.part, fast_gaps);
        if (both) bench_.note_gaps(slow_gaps_, chunk, terms.part, slow_gaps);
        return {apply(terms, flight, tally) ? ReplyState::Applied : ReplyState::Locked};
    }

    [[nodiscard]] bool apply(const Terms& terms, Flight& flight, Tally& /*tally*/) override {
        if (!read(terms, flight.index)) return false;
        u_ = flight.bytes;
        v_ = flight.more;
        return step(terms, flight.index);
    }

    void wrapped(const Terms& /*terms*/) override {
        fast_gaps_.wrapped();
        slow_gaps_.wrapped();
    }

    [[nodiscard]] double apart(const Terms& terms, ExchangeId id, const Samples& theirs) override {
        return measure_apart(bench_, fast_gaps_, id, terms.part, theirs);
    }

    void adopt() override {
        for (auto& arena : arenas_) arena = {};
        for (std::uint32_t chunk = 0; chunk < bench_.chunk_count(); ++chunk) {
            // A locked chunk is adopted when it is first used.
            if (has_slow(chunk)) (void)know(chunk);
        }
    }

private:
    /// Both empty until the chunk could be read once.
    struct Arena {
        Bytes phi;
        Bytes delta;
    };

    [[nodiscard]] const ChunkEncoding& encoding(const Terms& terms, std::uint32_t chunk) const {
        return bench_.encoding_for(chunk, terms.encoding);
    }

    [[nodiscard]] bool has_slow(std::uint32_t chunk) const {
        return !bench_.parameters.is_buffer(chunk);
    }

    /// Whether our offer has the slow weights. A partner that speaks minor version 0 wants them even
    /// if nobody uses them. A responder answers with as many pieces as it was offered.
    [[nodiscard]] bool sends_slow(const Terms& terms, std::uint32_t chunk) const {
        return has_slow(chunk) && (beta_ != gamma_ || terms.minor == 0);
    }

    std::span<BlockGap> slow_room(std::uint32_t chunk, const Part& part) {
        return std::span(slow_scratch_).first(bench_.gaps_room(chunk, part).size());
    }

    /// Checks the fast weights, then the distance `apart` of the slow ones.
    [[nodiscard]] Misdeed check(
        const Terms& terms,
        std::uint32_t chunk,
        const Difference& fast,
        const Difference& apart,
        Tally& tally
    ) {
        const Misdeed misdeed = bench_.check(chunk, terms.part, fast, tally);
        if (misdeed != Misdeed::None) return misdeed;
        return bench_.check_clip(chunk, terms.part, apart);
    }

    bool know(std::uint32_t chunk) {
        auto& arena = arenas_[chunk];
        if (!arena.phi.empty()) return true;
        Bytes phi(bench_.raw_bytes(chunk, {}));
        if (!bench_.try_read(chunk, {}, phi)) return false;
        arena.delta.assign(phi.size(), std::byte{0});
        arena.phi = std::move(phi);
        return true;
    }

    /// Reads theta, phi and delta of the part. False when the chunk is locked.
    bool read(const Terms& terms, std::uint32_t chunk) {
        if (has_slow(chunk) && !know(chunk)) return false;
        theta_.resize(bench_.raw_bytes(chunk, terms.part));
        if (!bench_.try_read(chunk, terms.part, theta_)) return false;
        if (!has_slow(chunk)) return true;
        phi_.resize(theta_.size());
        momentum_.resize(theta_.size());
        terms.part.gather(chunk, sizeof(float), arenas_[chunk].phi, phi_);
        terms.part.gather(chunk, sizeof(float), arenas_[chunk].delta, momentum_);
        return true;
    }

    /// Takes the outer step with u_ and v_ on what read() has brought. False when the chunk is
    /// locked; then nothing has changed.
    bool step(const Terms& terms, std::uint32_t chunk) {
        if (!has_slow(chunk)) return bench_.try_add(chunk, terms.part, u_);
        const auto theta = floats(std::as_const(theta_));
        const auto v = floats(std::as_const(v_));
        const auto u = floats(u_);
        const auto phi = floats(phi_);
        const auto momentum = floats(momentum_);
        for (std::size_t i = 0; i < theta.size(); ++i) {
            const float progress = theta[i] - phi[i];
            const float moved = alpha_ * momentum[i] + (beta_ - 1.0F) * progress + beta_ * u[i] +
                                (gamma_ - beta_) * v[i];
            u[i] = moved;
            momentum[i] = progress + moved;
            phi[i] += progress + moved;
        }
        if (!bench_.try_add(chunk, terms.part, u_)) return false;
        terms.part.scatter(chunk, sizeof(float), phi_, arenas_[chunk].phi);
        terms.part.scatter(chunk, sizeof(float), momentum_, arenas_[chunk].delta);
        return true;
    }

    float alpha_;
    float beta_;
    float gamma_;
    GapMemory fast_gaps_;
    GapMemory slow_gaps_;
    std::vector<Arena> arenas_;
    std::array<BlockGap, kBlocksMax> slow_scratch_{};
    Bytes theta_;
    Bytes phi_;
    Bytes momentum_;
    Bytes u_;
    Bytes v_;
};

}  // namespace

std::unique_ptr<MixingRule> make_noloco(Workbench& bench) {
    return std::make_unique<Noloco>(bench);
}

}  // namespace starling::gossip
