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

}  // namespace

Links::Links(Loop& loop, Callbacks callbacks)
    : loop_(loop),
      callbacks_(std::move(callbacks)),
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
    listener_.accept([this](ConnectionPtr connection) {
        ++counters_.accepted;
        adopt(Entry{std::move(connection), {}});
    });
}

void Links::adopt(Entry entry) {
    auto connection = entry.connection;
    entry.stranger = !connection->dialled();
    Introduction introduction{ours_, prove_, entry.wanted};
    if (entry.lane) introduction.ours.kind = StreamKind::Lane;
    connections_.emplace(connection.get(), std::move(entry));
    connection->start(std::move(introduction), kHelloTimeout);
}

void Links::send(const PeerId& to, FrameType type, Bytes payload) {
    owner_.check();
    if (closing_) return;
    if (const auto found = preferred_.find(to); found != preferred_.end()) {
        found->second->send(type, std::move(payload));
        return;
    }
    auto [waiting, first] = waiting_.try_emplace(to);
    if (waiting->second.size() >= kWaitingMax) {
        ++counters_.dropped_frames;
        return;
    }
    waiting->second.push_back(Waiting{type, std::move(payload)});
    if (!first) return;
    const auto address = callbacks_.address(to);
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
    Entry entry;
    entry.introduced = [this, partner](Result<PeerId> greeted) {
        if (greeted.has_error()) {
            drop_waiting(partner, greeted.error());
        } else if (*greeted != partner) {
            drop_waiting(partner, fail(FaultCode::Unreachable, "another peer lives there now"));
        }
    };
    dial_stream(to, std::move(entry));
}

void Links::introduce(const Endpoint& to, std::function<void(Result<PeerId>)> done) {
    owner_.check();
    Entry entry;
    entry.introduced = std::move(done);
    dial_stream(to, std::move(entry));
}

/// Opens a stream for an entry that has none yet. Calls `introduced` if the dial fails.
void Links::dial_stream(const Endpoint& to, Entry entry) {
    ++counters_.dialled;
    auto dialled = [this, entry = std::move(entry)](Result<ConnectionPtr> connection) mutable {
        if (closing_) return;
        if (connection.has_error()) {
            ++counters_.dial_failures;
            entry.introduced(connection.error());
            return;
        }
        entry.connection = *connection;
        adopt(std::move(entry));
    };
    dial(loop_, to, kDialTimeout, *this, std::move(dialled));
}

void Links::release_stranger(Entry& entry) {
    if (!entry.stranger) return;
    entry.stranger = false;
    listener_.release_stranger(entry.connection->remote());
}

void Links::on_hello(Connection& connection) {
    owner_.check();
    auto& entry = connections_.at(&connection);
    release_stranger(entry);
    entry.lane = connection.greeting().kind() == StreamKind::Lane;
}

void Links::on_greeted(Connection& connection) {
    owner_.check();
    auto& entry = connections_.at(&connection);
    const PeerId partner = connection.greeting().partner()->id;
    if (entry.lane) {
        welcome_lane(partner, connection, entry);
        return;
    }
    preferred_.try_emplace(partner, &connection);
    auto introduced = std::exchange(entry.introduced, {});
    flush_waiting(partner, connection);
    if (introduced) introduced(partner);
}

void Links::flush_waiting(const PeerId& partner, Connection& connection) {
    const auto found = waiting_.find(partner);
    if (found == waiting_.end()) return;
    auto frames = std::move(found->second);
    waiting_.erase(found);
    for (auto& frame : frames) connection.send(frame.type, std::move(frame.payload));
}

void Links::drop_waiting(const PeerId& partner, const Fault& why) {
    const auto found = waiting_.find(partner);
    if (found == waiting_.end()) return;
    counters_.dropped_frames += found->second.size();
    waiting_.erase(found);
    callbacks_.broken(partner, why);
}

void Links::on_frame(Connection& connection, FrameType type, ByteView payload) {
    owner_.check();
    if (type == FrameType::DescriptorRequest) {
        callbacks_.descriptor_wanted(connection);
        return;
    }
    auto& entry = connections_.at(&connection);
    if (entry.lane && type != FrameType::Exchange) {
        ++counters_.garbage;
        connection.close(fail(FaultCode::BadFormat, "a lane carries exchanges only"));
        return;
    }
    callbacks_.frame(connection.greeting().partner()->id, type, payload);
}

void Links::on_sent(Connection& /*connection*/, FrameType type, Bytes payload) {
    owner_.check();
    callbacks_.sent(type, std::move(payload));
}

void Links::on_closed(Connection& connection, const Fault& why) {
    owner_.check();
    const auto found = connections_.find(&connection);
    STARLING_CHECK(found != connections_.end());
    release_stranger(found->second);
    const Greeting& greeting = connection.greeting();
    const bool broken = why.code == FaultCode::BadFormat || why.code == FaultCode::Oversized ||
                        why.code == FaultCode::BadVersion;
    const bool stranger = greeting.partner() == nullptr;
    if (stranger ? !connection.dialled() : broken) ++counters_.garbage;
    if (greeting.refused()) ++counters_.refused;
    closed_bytes_sent_ += connection.bytes_sent();
    closed_bytes_received_ += connection.bytes_received();
    // Keep the connection alive until we return: the caller is one of its coroutines.
    Entry entry = std::move(found->second);
    connections_.erase(found);
    if (entry.introduced) entry.introduced(why);
    if (stranger) return;
    const PeerId partner = greeting.partner()->id;
    if (entry.lane) {
        on_lane_closed(partner, connection, entry, why);
        return;
    }
    const auto preferred = preferred_.find(partner);
    if (preferred != preferred_.end() && preferred->second == &connection) {
        preferred_.erase(preferred);
        for (const auto& [other, candidate] : connections_) {
            const bool sound = other->greeting().over() && !candidate.lane;
            if (sound && other->greeting().partner()->id == partner) {
                preferred_.emplace(partner, other);
                break;
            }
        }
    }
    if (!preferred_.contains(partner)) close_lanes(partner);
    if (greeting.over() && !closing_) callbacks_.broken(partner, why);
}

std::size_t Links::queued_bytes(const PeerId& to) const {
    owner_.check();
    const auto found = preferred_.find(to);
    return found == preferred_.end() ? 0 : found->second->queued_bytes();
}

const LinkCounters& Links::counters() const {
    counters_.bytes_sent = closed_bytes_sent_;
    counters_.bytes_received = closed_bytes_received_;
    for (const auto& [connection, entry] : connections_) {
        counters_.bytes_sent += connection->bytes_sent();
        counters_.bytes_received += connection->bytes_received();
    }
    return counters_;
}

void Links::close_all(const std::string& why) {
    owner_.check();
    closing_ = true;
    listener_.stop();
    for (const auto& [connection, entry] : connections_) {
        connection->close(fail(FaultCode::Cancelled, why));
    }
}

}  // namespace starling::peer
