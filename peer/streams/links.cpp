#include "peer/streams/links.hpp"

#include <utility>

#include "base/check.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/loop.hpp"
#include "peer/streams/dial.hpp"

namespace starling::peer {

namespace {

constexpr Duration kDialTimeout = std::chrono::seconds(3);
constexpr Duration kHelloTimeout = std::chrono::seconds(10);
/// Frames that may wait for one dial: an Open and a few requests. More means that a dial hangs.
constexpr std::size_t kWaitingMax = 64;
constexpr std::size_t kSmallMax = 1024;

}  // namespace

Links::Links(Loop& loop, LinkHandler& handler)
    : loop_(loop),
      handler_(handler),
      listener_(loop, *this),
      idle_timer_(loop, [this] { close_idle_lanes(); }) {}

Links::~Links() = default;

Result<Endpoint> Links::bind(const Endpoint& at) {
    owner_.check();
    return listener_.bind(at);
}

void Links::open(const Hello& ours, ProveKey prove) {
    owner_.check();
    ours_ = ours;
    prove_ = std::move(prove);
    if (!std::exchange(early_, false)) return listener_.accept();
    for (const auto& [connection, stream] : streams_) {
        connection->close(fail(FaultCode::Closed, "we have a swarm now, greet again"));
    }
}

void Links::open_early(const Hello& ours) {
    owner_.check();
    STARLING_CHECK(ours.swarm.is_zero());
    ours_ = ours;
    early_ = true;
    listener_.accept();
}

void Links::on_accepted(ConnectionPtr connection) {
    owner_.check();
    ++counters_.accepted;
    adopt({std::move(connection), Stage::Stranger, {}}, {ours_, prove_});
}

void Links::adopt(Stream stream, Introduction introduction) {
    auto connection = stream.connection;
    streams_.emplace(connection.get(), std::move(stream));
    connection->start(std::move(introduction), kHelloTimeout);
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
    dial_stream(to, std::nullopt, [this, partner](Result<PeerId> greeted) {
        if (greeted.has_error()) {
            drop_waiting(partner, greeted.error());
        } else if (*greeted != partner) {
            drop_waiting(partner, fail(FaultCode::Unreachable, "another peer lives there now"));
        }
    });
}

void Links::introduce(const Endpoint& to, Introduced done) {
    owner_.check();
    dial_stream(to, std::nullopt, std::move(done));
}

/// Opens a main stream, or a lane of a partner. Calls `introduced` when it has greeted or failed.
void Links::dial_stream(const Endpoint& to, std::optional<PeerId> lane_of, Introduced introduced) {
    ++counters_.dialled;
    auto dialled = [this, lane_of, introduced = std::move(introduced)](
                       const Result<ConnectionPtr>& connection
                   ) mutable {
        if (closing_) return;
        if (connection.has_error()) {
            ++counters_.dial_failures;
            introduced(connection.error());
            return;
        }
        Introduction introduction{ours_, prove_, lane_of};
        if (lane_of) introduction.ours.kind = StreamKind::Lane;
        adopt({*connection, Stage::Greeting, std::move(introduced)}, std::move(introduction));
    };
    const auto segments = small_.contains(to) ? Segments::Small : Segments::Usual;
    dial(loop_, to, kDialTimeout, *this, std::move(dialled), segments);
}

void Links::on_hello(Connection& connection) {
    owner_.check();
    auto& stream = streams_.at(&connection);
    if (stream.stage == Stage::Stranger) listener_.release_stranger(connection.remote());
    stream.stage = Stage::Greeting;
}

void Links::on_greeted(Connection& connection) {
    owner_.check();
    if (early_) return;
    auto& stream = streams_.at(&connection);
    const PeerId partner = connection.greeting().partner()->id;
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
    auto introduced = std::exchange(stream.introduced, {});
    for (auto& frame : std::exchange(partner.waiting, {})) {
        connection.send(frame.type, std::move(frame.payload));
    }
    if (introduced) introduced(id);
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
    if (type == FrameType::DescriptorRequest) {
        handler_.on_descriptor_wanted(connection);
        return;
    }
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

void Links::on_sent(Connection& /*connection*/, FrameType type, Bytes payload) {
    owner_.check();
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
    if (stream.stage == Stage::Stranger) listener_.release_stranger(connection.remote());
    if (stream.introduced) stream.introduced(why);
    if (stream.stage == Stage::Main) {
        on_main_closed(connection.greeting().partner()->id, connection, why);
    } else if (stream.stage == Stage::Lane) {
        on_lane_closed(connection.greeting().partner()->id, connection, why);
    }
}

void Links::count_closed(const Connection& connection, const Fault& why) {
    const bool stranger = connection.greeting().partner() == nullptr;
    const bool broken = why.code == FaultCode::BadFormat || why.code == FaultCode::Oversized ||
                        why.code == FaultCode::BadVersion;
    if (stranger ? !connection.dialled() : broken) ++counters_.garbage;
    if (connection.greeting().refused()) ++counters_.refused;
    closed_bytes_sent_ += connection.bytes_sent();
    closed_bytes_received_ += connection.bytes_received();
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
    auto at = handler_.address_of(id);
    if (!at && stuck.dialled()) at = stuck.remote();
    if (!stuck.dialled()) listener_.limit_segments();
    if (!at) return;
    if (small_.erase(*at) > 0) return;  // small ones did not come through either
    use_small_segments(*at);
    dial_stream(*at, std::nullopt, [this, to = *at](const Result<PeerId>& greeted) {
        if (greeted.has_error()) {
            small_.erase(to);
        } else {
            handler_.on_small_segments(to);
        }
    });
}

void Links::use_small_segments(const Endpoint& to) {
    if (small_.size() < kSmallMax) small_.insert(to);
}

std::optional<std::uint16_t> Links::minor_of(const PeerId& partner) const {
    const Connection* main = main_of(partner);
    if (main == nullptr) return std::nullopt;
    return main->greeting().partner()->minor;
}

std::size_t Links::queued_bytes(const PeerId& to) const {
    owner_.check();
    const Connection* main = main_of(to);
    return main == nullptr ? 0 : main->queued_bytes();
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
    listener_.stop();
    for (const auto& [connection, stream] : streams_) {
        connection->close(fail(FaultCode::Cancelled, why));
    }
}

}  // namespace starling::peer
