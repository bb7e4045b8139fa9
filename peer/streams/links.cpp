#include "peer/streams/links.hpp"

#include <utility>
#include <vector>

#include "base/check.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/loop.hpp"
#include "peer/streams/dial.hpp"

namespace starling::peer {

namespace {

/// One round trip, and a second try of the kernel where a second goes one way.
constexpr Duration kDialTimeout = std::chrono::seconds(6);
/// From the first byte to both signatures, of those that dial us: one round trip, and room for a lost packet on a
/// link of a second one way; and of those whom we dial, whose side may have us wait for a place.
constexpr Duration kGreetingTimeout = std::chrono::seconds(5);
constexpr Duration kDialledTimeout = std::chrono::seconds(12);
constexpr Duration kCareEvery = std::chrono::seconds(5);
/// Frames that may wait for one dial: an Open and a few requests. More means that a dial hangs.
constexpr std::size_t kWaitingMax = 64;
constexpr std::size_t kSmallMax = 1024;

}  // namespace

Links::Links(Loop& loop, LinkHandler& handler)
    : loop_(loop),
      handler_(handler),
      listener_(loop, *this),
      idle_timer_(loop, [this] { close_idle_lanes(); }),
      care_timer_(loop, [this] { look_after_streams(); }) {}

Links::~Links() = default;

Result<Endpoint> Links::bind(const Endpoint& at) {
    owner_.check();
    return listener_.bind(at);
}

void Links::open(Introduction ours) {
    owner_.check();
    ours_ = std::move(ours);
    care_timer_.arm_after(kCareEvery);
    if (!std::exchange(early_, false)) return listener_.accept();
    for (const auto& [connection, stream] : streams_) {
        connection->close(fail(FaultCode::Closed, "we have a swarm now, greet again"));
    }
}

void Links::open_early(Introduction ours) {
    owner_.check();
    STARLING_CHECK(ours.ours.swarm.is_zero());
    ours_ = std::move(ours);
    early_ = true;
    care_timer_.arm_after(kCareEvery);
    listener_.accept();
}

void Links::on_accepted(ConnectionPtr connection) {
    owner_.check();
    ++counters_.accepted;
    adopt({std::move(connection), Stage::Greeting, {}, real_now()}, ours_);
}

void Links::adopt(Stream stream, Introduction introduction) {
    auto connection = stream.connection;
    const auto patience = connection->dialled() ? kDialledTimeout : kGreetingTimeout;
    streams_.emplace(connection.get(), std::move(stream));
    connection->start(std::move(introduction), patience);
}

Connection* Links::main_of(const PeerId& id) const {
    const auto found = partners_.find(id);
    if (found == partners_.end() || found->second.mains.empty()) return nullptr;
    return found->second.mains.front();
}

void Links::route(FrameType type, FrameReceiver& receiver) {
    owner_.check();
    auto& taken = routes_.at(static_cast<std::size_t>(type));
    STARLING_CHECK(taken == nullptr);
    taken = &receiver;
}

void Links::send(const PeerId& to, FrameType type, Bytes payload) {
    owner_.check();
    if (closing_) return;
    auto& partner = partners_[to];
    if (!partner.mains.empty()) {
        partner.mains.front()->send(type, std::move(payload));
        return;
    }
    auto& waiting = partner.waiting;
    if (waiting.size() >= kWaitingMax) {
        ++counters_.dropped_frames;
        return;
    }
    waiting.push_back(Waiting{type, std::move(payload)});
    if (waiting.size() > 1) return;
    const auto address = handler_.address_of(to);
    if (address) {
        dial_partner(to, *address);
        return;
    }
    // Report from the loop: the caller is in the middle of sending and does not expect a callback.
    loop_.post([this, to] {
        drop_waiting(to, fail(FaultCode::NotFound, "no address of " + to.short_string()));
    });
}

void Links::dial_partner(const PeerId& partner, const Endpoint& to) {
    dial_stream(to, StreamKind::Main, partner, [this, partner](const Result<PeerId>& greeted) {
        if (greeted.has_error()) drop_waiting(partner, greeted.error());
    });
}

void Links::introduce(const Endpoint& to, Introduced done) {
    owner_.check();
    dial_stream(to, StreamKind::Main, std::nullopt, std::move(done));
}

/// Calls `introduced` when the stream has greeted or failed.
void Links::dial_stream(
    const Endpoint& to, StreamKind kind, std::optional<PeerId> wanted, Introduced introduced
) {
    ++counters_.dialled;
    auto dialled = [this, kind, wanted, introduced = std::move(introduced)](
                       const Result<ConnectionPtr>& connection
                   ) mutable {
        if (closing_) return;
        if (connection.has_error()) {
            ++counters_.dial_failures;
            introduced(connection.error());
            return;
        }
        Introduction introduction = ours_;
        introduction.wanted = wanted;
        introduction.ours.kind = kind;
        adopt(
            {*connection, Stage::Greeting, std::move(introduced), real_now()},
            std::move(introduction)
        );
    };
    const auto segments = small_.contains(to) ? Segments::Small : Segments::Usual;
    dial(loop_, to, kDialTimeout, *this, std::move(dialled), segments);
}

void Links::on_hello(Connection& connection) {
    owner_.check();
    listener_.greeted(connection);
    if (!connection.greeting().over()) streams_.at(&connection).stage = Stage::Guest;
}

void Links::on_greeted(Connection& connection) {
    owner_.check();
    if (early_) return;
    listener_.proven(connection);
    auto& stream = streams_.at(&connection);
    const PeerId partner = connection.greeting().partner()->id;
    if (strikes_.barred(real_now(), partner)) {
        ++counters_.refused;
        return connection.close(fail(FaultCode::Refused, "too many breaches of the protocol"));
    }
    if (connection.greeting().kind() == StreamKind::Lane) {
        welcome_lane(partner, connection, stream);
    } else {
        welcome_main(partner, connection, stream);
    }
}

void Links::welcome_main(const PeerId& id, Connection& connection, Stream& stream) {
    stream.stage = Stage::Main;
    replace_older_process(id, connection);
    auto& partner = partners_[id];
    partner.mains.push_back(&connection);
    if (partner.mains.size() > kMainsMax) replace_oldest(partner, id);
    auto introduced = std::exchange(stream.introduced, {});
    for (auto& frame : std::exchange(partner.waiting, {})) {
        connection.send(frame.type, std::move(frame.payload));
    }
    if (introduced) introduced(id);
}

/// What was on its way there may be lost, as when a stream breaks.
void Links::replace_oldest(Partner& partner, const PeerId& id) {
    auto* oldest = partner.mains.front();
    partner.mains.erase(partner.mains.begin());
    streams_.at(oldest).stage = Stage::Dismissed;
    const auto why = fail(FaultCode::Closed, "a newer stream takes its place");
    oldest->close(why);
    handler_.on_broken(id, why);
}

/// Closes the streams of an earlier process of this peer. They may look alive for minutes, and what we
/// sent on them would reach nobody, or a process that it is not meant for.
void Links::replace_older_process(const PeerId& id, const Connection& newer) {
    const auto found = partners_.find(id);
    if (found == partners_.end()) return;
    const Hello& now = *newer.greeting().partner();
    std::vector<Connection*> older;
    for (auto* main : found->second.mains) {
        if (other_process(*main->greeting().partner(), now)) older.push_back(main);
    }
    if (older.empty()) return;
    // The new stream is not among them yet, so the partner's entry goes, with its lanes.
    for (auto* main : older) {
        streams_.at(main).stage = Stage::Dismissed;
        const auto why = fail(FaultCode::Closed, "a newer process of this peer has greeted");
        on_main_closed(id, *main, why);
        main->close(why);
    }
}

void Links::drop_waiting(const PeerId& id, const Fault& why) {
    const auto found = partners_.find(id);
    if (found == partners_.end() || found->second.waiting.empty()) return;
    counters_.dropped_frames += found->second.waiting.size();
    partners_.erase(found);  // there is no main stream, or nothing would wait
    handler_.on_broken(id, why);
}

void Links::on_frame(Connection& connection, FrameType type, ByteView payload) {
    owner_.check();
    if (type == FrameType::DescriptorRequest) return give_descriptor(connection);
    const auto stage = streams_.at(&connection).stage;
    if (stage == Stage::Dismissed) return;
    if (early_) return connection.close(fail(FaultCode::Refused, "no swarm is here yet"));
    if (stage == Stage::Lane && type != FrameType::Exchange) {
        ++counters_.garbage;
        connection.close(fail(FaultCode::BadFormat, "a lane carries exchanges only"));
        return;
    }
    auto* receiver = routes_.at(static_cast<std::size_t>(type));
    if (receiver == nullptr) {
        ++counters_.garbage;
        return;
    }
    receiver->handle_frame(connection.greeting().partner()->id, type, payload);
}

/// Whoever asks twice wants our work and not the descriptor.
void Links::give_descriptor(Connection& connection) {
    auto& stream = streams_.at(&connection);
    if (stream.pieces > 0) {
        ++counters_.garbage;
        return connection.close(fail(FaultCode::Refused, "a stream gets the descriptor once"));
    }
    handler_.on_descriptor_wanted(connection, stream.pieces++);
}

void Links::on_sent(Connection& connection, FrameType type, Bytes payload) {
    owner_.check();
    if (type == FrameType::DescriptorPiece) {
        return handler_.on_descriptor_wanted(connection, streams_.at(&connection).pieces++);
    }
    handler_.on_sent(type, std::move(payload));
}

void Links::on_closed(Connection& connection, const Fault& why) {
    owner_.check();
    const auto found = streams_.find(&connection);
    STARLING_CHECK(found != streams_.end());
    // Keep the connection alive until we return: the caller is one of its coroutines.
    const Stream stream = std::move(found->second);
    streams_.erase(found);
    count_closed(connection, why);
    listener_.gone(connection);
    if (stream.introduced) stream.introduced(why);
    if (stream.stage == Stage::Main) {
        on_main_closed(connection.greeting().partner()->id, connection, why);
    } else if (stream.stage == Stage::Lane) {
        on_lane_closed(connection.greeting().partner()->id, connection, why);
    }
}

void Links::count_closed(const Connection& connection, const Fault& why) {
    const bool stranger = connection.partner() == nullptr;
    const bool broken = why.code == FaultCode::BadFormat || why.code == FaultCode::Oversized ||
                        why.code == FaultCode::BadVersion;
    if (connection.refused()) {
        ++counters_.refused;
    } else if (stranger ? !connection.dialled() : broken) {
        ++counters_.garbage;
    }
    // Whoever has signed this stream has sent it: nobody else can.
    if (!stranger && broken && connection.greeting().over()) {
        strikes_.strike(real_now(), connection.partner()->id);
    }
    closed_bytes_sent_ += connection.bytes_sent();
    closed_bytes_received_ += connection.bytes_received();
}

void Links::strike(const PeerId& partner) {
    owner_.check();
    if (!strikes_.strike(real_now(), partner)) return;
    const auto found = partners_.find(partner);
    if (found == partners_.end()) return;
    const auto mains = found->second.mains;
    for (auto* main : mains) {
        main->close(fail(FaultCode::Refused, "too many breaches of the protocol"));
    }
}

/// With the last main stream of a partner its lanes end.
void Links::on_main_closed(const PeerId& id, Connection& connection, const Fault& why) {
    const auto found = partners_.find(id);
    auto& partner = found->second;
    std::erase(partner.mains, &connection);
    if (partner.mains.empty()) {
        const Partner gone = std::move(partner);
        partners_.erase(found);
        const Fault end = fail(FaultCode::Closed, "the main stream has ended");
        dismiss(gone.our_lanes, end);
        dismiss(gone.their_lanes, end);
    }
    if (closing_) return;
    if (why.code == FaultCode::Timeout) redial_with_small_segments(id, connection);
    handler_.on_broken(id, why);
}

/// The greetings came through and what followed did not. Either the partner has vanished, and then
/// the dial fails, too; or large packets get lost on the way, without the ICMP message that would
/// tell the kernel. Then both sides send on the new stream.
void Links::redial_with_small_segments(const PeerId& id, const Connection& stuck) {
    if (silences_.lately(real_now(), id)) return;
    auto at = handler_.address_of(id);
    if (!at && stuck.dialled()) at = stuck.remote();
    if (!stuck.dialled()) listener_.limit_segments();
    if (!at) return;
    if (small_.erase(*at) > 0) return;  // small ones did not come through either
    use_small_segments(*at);
    dial_stream(*at, StreamKind::Main, id, [this, to = *at](const Result<PeerId>& greeted) {
        if (greeted.has_error()) {
            small_.erase(to);
        } else {
            handler_.on_small_segments(to);
        }
    });
}

void Links::note_silence(const PeerId& partner) {
    owner_.check();
    silences_.note(real_now(), partner);
}

void Links::use_small_segments(const Endpoint& to) {
    if (small_.size() < kSmallMax) small_.insert(to);
}

/// Ends streams that hold memory or a place for too long: of guests, and of partners in the middle of a
/// frame.
void Links::look_after_streams() {
    const Instant now = real_now();
    std::vector<std::pair<Connection*, Fault>> over;
    for (const auto& [connection, stream] : streams_) {
        if (stream.stage == Stage::Guest && now - stream.since > kGuestMax) {
            over.emplace_back(
                connection, fail(FaultCode::Timeout, "a guest may not stay for ever")
            );
        } else if (connection->overdue(now)) {
            over.emplace_back(connection, fail(FaultCode::Timeout, "a frame took too long"));
        }
    }
    for (const auto& [connection, why] : over) connection->close(why);
    if (!closing_) care_timer_.arm_after(kCareEvery);
}

std::size_t Links::queued_bytes(const PeerId& to) const {
    owner_.check();
    const Connection* main = main_of(to);
    return main == nullptr ? 0 : main->queued_bytes();
}

std::size_t Links::queued_in_all() const {
    owner_.check();
    std::size_t total = 0;
    for (const auto& [connection, stream] : streams_) total += connection->queued_bytes();
    return total;
}

const LinkCounters& Links::counters() const {
    counters_.bytes_sent = closed_bytes_sent_;
    counters_.bytes_received = closed_bytes_received_;
    for (const auto& [connection, stream] : streams_) {
        counters_.bytes_sent += connection->bytes_sent();
        counters_.bytes_received += connection->bytes_received();
    }
    return counters_;
}

void Links::close_all(const std::string& why) {
    owner_.check();
    closing_ = true;
    care_timer_.cancel();
    listener_.stop();
    for (const auto& [connection, stream] : streams_) {
        connection->close(fail(FaultCode::Cancelled, why));
    }
}

}  // namespace starling::peer
