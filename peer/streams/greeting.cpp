#include "peer/streams/greeting.hpp"

#include <string>
#include <utility>

namespace starling::peer {

namespace {

constexpr const char* kWrongKey =
    "the two peers hold different swarm keys: give --key with the founder's swarm.key";

/// Takes the same time wherever the two differ, so that nobody can find a proof bit by bit.
bool equal(const std::array<std::uint8_t, 32>& expected, ByteView got) {
    if (got.size() != expected.size()) return false;
    unsigned difference = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        difference |= expected[i] ^ std::to_integer<unsigned>(got[i]);
    }
    return difference == 0;
}

}  // namespace

Greeting::Greeting(StreamRole role, Introduction introduction)
    : role_(role),
      intro_(std::move(introduction)) {
    // The dialler greets first: a stranger that does not greet never gets a byte from us.
    if (dialled()) put_hello();
}

Result<Greeting::Step> Greeting::handle_frame(FrameType type, ByteView payload) {
    if ((type == FrameType::Hello) == partner_.has_value()) {
        return fail(FaultCode::BadFormat, "the greeting comes first, and once");
    }
    if (type == FrameType::Hello) return on_hello(payload);
    if (stage_ == Stage::Over && type != FrameType::Proof) return Step::Pass;
    if (stage_ != Stage::Guest && type == FrameType::Proof) return on_proof(payload);
    return on_other(type);
}

std::optional<Greeting::Outgoing> Greeting::poll_transmit() {
    if (outgoing_.empty()) return std::nullopt;
    Outgoing frame = std::move(outgoing_.front());
    outgoing_.pop_front();
    return frame;
}

Bytes Greeting::text_of(StreamRole role) const {
    const Hello& dialler = dialled() ? ours() : *partner_;
    const Hello& acceptor = dialled() ? *partner_ : ours();
    return proof_text(role, acceptor.swarm, dialler, acceptor);
}

Result<Greeting::Step> Greeting::on_hello(ByteView payload) {
    auto hello = decode_hello(payload);
    if (hello.has_error()) return hello.error();
    partner_ = *hello;
    if (!dialled()) {
        if (intro_.prove) intro_.ours.proof = intro_.prove(text_of(StreamRole::Acceptor));
        put_hello();
    }
    if (auto why = objection(*partner_)) return std::move(*why);
    if (partner_->swarm.is_zero() && !ours().swarm.is_zero()) {
        stage_ = Stage::Guest;
        return Step::Taken;
    }
    if (intro_.prove && !dialled()) {
        stage_ = Stage::Owing;
        return Step::Taken;
    }
    if (intro_.prove) {
        const auto expected = intro_.prove(text_of(StreamRole::Acceptor));
        if (!equal(expected, std::as_bytes(std::span(partner_->proof)))) {
            return refuse(FaultCode::Refused, kWrongKey);
        }
        const auto proof = intro_.prove(text_of(StreamRole::Dialler));
        const auto bytes = std::as_bytes(std::span(proof));
        outgoing_.push_back({FrameType::Proof, Bytes(bytes.begin(), bytes.end())});
    }
    stage_ = Stage::Over;
    return Step::Over;
}

Result<Greeting::Step> Greeting::on_proof(ByteView payload) {
    const bool owed = stage_ == Stage::Owing;
    if (!owed || !equal(intro_.prove(text_of(StreamRole::Dialler)), payload)) {
        return refuse(FaultCode::Refused, kWrongKey);
    }
    stage_ = Stage::Over;
    return Step::Over;
}

/// Handles a frame that comes before the greeting is over.
Result<Greeting::Step> Greeting::on_other(FrameType type) {
    if (type == FrameType::DescriptorRequest) return Step::Pass;
    if (stage_ == Stage::Guest) return fail(FaultCode::Refused, "ask for the descriptor first");
    return refuse(FaultCode::Refused, "prove first that you hold the swarm's key");
}

/// Says why we do not want this partner. A peer that only asks for a descriptor takes it from
/// anybody, because the blob's hash says whether it is right.
std::optional<Fault> Greeting::objection(const Hello& partner) {
    if (ours().swarm.is_zero()) return std::nullopt;
    if (intro_.wanted && *intro_.wanted != partner.id) {
        return fail(FaultCode::Unreachable, "another peer lives there now");
    }
    // Another process with our identity gets in, so that the two can settle which of them ends.
    if (partner.id == ours().id && !other_process(partner, ours()))
        return refuse(FaultCode::Refused, "that is ourselves");
    if (!partner.swarm.is_zero() && partner.swarm != ours().swarm) {
        return refuse(
            FaultCode::SwarmMismatch,
            "peer " + partner.id.short_string() + " belongs to swarm " +
                partner.swarm.short_string() + ", this one to " + ours().swarm.short_string()
        );
    }
    return std::nullopt;
}

Fault Greeting::refuse(FaultCode code, std::string why) {
    refused_ = true;
    return fail(code, std::move(why));
}

void Greeting::put_hello() {
    outgoing_.push_back({FrameType::Hello, encode_hello(ours())});
}

}  // namespace starling::peer
