#include "peer/members/dial_back.hpp"

#include <algorithm>
#include <utility>

#include "peer/machine/clock.hpp"
#include "peer/streams/dial.hpp"

namespace starling::peer {

namespace {

constexpr std::size_t kAsked = 3;
constexpr std::size_t kTrialsMax = 8;
constexpr std::size_t kStreamsMax = 64;
constexpr Duration kTrialTimeout = std::chrono::seconds(3);
constexpr Duration kAskEvery = std::chrono::seconds(60);

}  // namespace

DialBack::DialBack(Loop& loop, Links& links, std::function<void(const std::string&)> note)
    : loop_(loop),
      links_(links),
      note_(std::move(note)) {
    links_.route(FrameType::ReachRequest, *this);
    links_.route(FrameType::ReachAnswer, *this);
}

void DialBack::begin(const PeerId& self, const Endpoint& announced) {
    self_ = self;
    announced_ = announced;
}

void DialBack::on_greeted(const PeerId& peer) {
    if (reach_ == Reach::Reached || asked_.size() + refusals_ >= kAsked) return;
    if (!asked_.insert(peer).second) return;
    Bytes payload;
    ByteWriter writer(payload);
    writer.put_array(announced_.address);
    writer.put(announced_.port);
    links_.send(peer, FrameType::ReachRequest, std::move(payload));
}

void DialBack::keep_streams(const membership::MemberList& members) {
    if (reach_ != Reach::NotReached) return;
    const bool ask = real_now() >= ask_again_;
    if (ask) {
        ask_again_ = real_now() + kAskEvery;
        refusals_ = 0;
        asked_.clear();
    }
    std::size_t dialled = 0;
    for (const auto& member : members) {
        const bool up = member.state <= membership::MemberState::Suspect && member.id != self_;
        if (!up) continue;
        if (links_.connected(member.id)) {
            if (ask) on_greeted(member.id);
        } else if (dialled < kStreamsMax) {
            ++dialled;
            links_.introduce(member.address, [](const Result<PeerId>&) {});
        }
    }
}

void DialBack::handle_frame(const PeerId& from, FrameType type, ByteView payload) {
    if (type == FrameType::ReachRequest) {
        on_request(from, payload);
    } else {
        on_answer(from, payload);
    }
}

/// Dials as a stranger, so that the asker closes this stream without touching the others, and
/// compares who answers with who has asked.
void DialBack::on_request(const PeerId& from, ByteView payload) {
    ByteReader reader(payload);
    Endpoint to;
    to.address = reader.take_array<16>();
    to.port = reader.take<std::uint16_t>();
    if (!reader.ok() || trials_.size() >= kTrialsMax || trials_.contains(from)) return;
    if (to.port == 0 || to.is_unspecified()) return answer(from, false);
    trials_[from].to = to;
    dial(loop_, to, kTrialTimeout, *this, [this, from](Result<ConnectionPtr> connection) {
        if (connection.has_error()) {
            trials_.erase(from);
            return answer(from, false);
        }
        auto& trial = trials_.at(from);
        trial.connection = std::move(*connection);
        Introduction stranger = links_.introduction();
        stranger.ours.swarm = {};
        trial.connection->start(std::move(stranger), kTrialTimeout);
    });
}

void DialBack::on_greeted(Connection& connection) {
    connection.close(fail(FaultCode::Closed, "you can be reached"));
}

void DialBack::on_frame(Connection& /*connection*/, FrameType /*type*/, ByteView /*payload*/) {}

void DialBack::on_sent(Connection& /*connection*/, FrameType /*type*/, Bytes /*payload*/) {}

void DialBack::on_closed(Connection& connection, const Fault& /*why*/) {
    const auto found = std::find_if(trials_.begin(), trials_.end(), [&](const auto& entry) {
        return entry.second.connection.get() == &connection;
    });
    const auto asker = found->first;
    const auto* partner = connection.partner();
    const bool reached = partner != nullptr && partner->id == asker;
    trials_.erase(found);
    answer(asker, reached);
}

void DialBack::answer(const PeerId& asker, bool reached) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.put(static_cast<std::uint8_t>(reached ? 1 : 0));
    links_.send(asker, FrameType::ReachAnswer, std::move(payload));
}

void DialBack::on_answer(const PeerId& from, ByteView payload) {
    if (asked_.erase(from) == 0) return;
    ByteReader reader(payload);
    const bool reached = reader.take<std::uint8_t>() == 1;
    if (!reader.ok()) return;
    if (reached) {
        if (reach_ == Reach::NotReached) {
            note_("others can dial this peer at " + announced_.to_string() + " now");
        }
        reach_ = Reach::Reached;
        return;
    }
    ++refusals_;
    // Others may still be trying; one that reaches us is enough.
    if (reach_ != Reach::Unknown || !asked_.empty()) return;
    reach_ = Reach::NotReached;
    ask_again_ = real_now() + kAskEvery;
    note_(
        "others cannot dial this peer at " + announced_.to_string() +
        ": check --advertise, the firewall and the forwarded port; meanwhile it dials them all"
    );
}

}  // namespace starling::peer
