#include "peer/streams/greeting.hpp"

#include <string>
#include <utility>

#include "base/check.hpp"

namespace starling::peer {

Greeting::Greeting(
    ChannelRole role, Introduction introduction, Admission admission, ChannelBinding binding
)
    : role_(role),
      intro_(std::move(introduction)),
      admission_(admission),
      binding_(binding) {
    STARLING_CHECK(intro_.notary != nullptr);
    intro_.ours.id = intro_.notary->id_of(intro_.notary->key());
    // The dialler greets first: what does not speak our protocol never hears who we are.
    if (dialled()) put_hello();
}

Result<Greeting::Step> Greeting::handle_frame(FrameType type, ByteView payload) {
    if ((type == FrameType::Hello) == partner_.has_value()) {
        return fail(FaultCode::BadFormat, "the greeting comes first, and once");
    }
    if (type == FrameType::Hello) return on_hello(payload);
    if (stage_ == Stage::Over) return Step::Pass;
    if (type == FrameType::DescriptorRequest) return Step::Pass;
    return refuse(FaultCode::Refused, "ask for the descriptor first");
}

std::optional<Greeting::Outgoing> Greeting::poll_transmit() {
    if (outgoing_.empty()) return std::nullopt;
    Outgoing frame = std::move(outgoing_.front());
    outgoing_.pop_front();
    return frame;
}

Result<Greeting::Step> Greeting::on_hello(ByteView payload) {
    const auto theirs = dialled() ? ChannelRole::Acceptor : ChannelRole::Dialler;
    auto hello = decode_hello(payload, {theirs, binding_}, *intro_.notary);
    if (hello.has_error()) return hello.error();
    partner_ = *hello;
    if (!dialled()) put_hello();
    if (auto why = objection(*partner_)) return std::move(*why);
    const bool guest = admission_ == Admission::Guest || partner_->swarm.is_zero();
    if (guest && !ours().swarm.is_zero()) {
        stage_ = Stage::Guest;
        return Step::Taken;
    }
    stage_ = Stage::Over;
    return Step::Over;
}

/// Says why we do not want this partner. A peer that only asks for a descriptor takes it from
/// anybody, because the blob's hash says whether it is right.
std::optional<Fault> Greeting::objection(const Hello& partner) {
    if (intro_.wanted && *intro_.wanted != partner.id) {
        return fail(FaultCode::Unreachable, "another peer lives there now");
    }
    if (ours().swarm.is_zero()) return std::nullopt;
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
    outgoing_.push_back({FrameType::Hello, encode_hello(ours(), {role_, binding_}, *intro_.notary)}
    );
}

}  // namespace starling::peer
