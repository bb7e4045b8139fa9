#include "peer/streams/links.hpp"

#include <utility>

#include "base/check.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/loop.hpp"

namespace starling::peer {

namespace {

constexpr Duration kDialTimeout = std::chrono::seconds(3);
constexpr Duration kHelloTimeout = std::chrono::seconds(10);
/// Frames that may wait for one dial: an Open and a few requests. More means that a dial hangs.
constexpr std::size_t kWaitingMax = 64;
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
    Hello ours = ours_;
    if (entry.lane) ours.kind = StreamKind::Lane;
    connections_.emplace(connection.get(), std::move(entry));
    connection->start(ours, prove_, kHelloTimeout);
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

std::optional<Fault> Links::objection(const Hello& hello) const {
    if (hello.id == ours_.id) {
        return fail(FaultCode::Refused, "that is ourselves");
    }
    const bool both_know = !hello.swarm.is_zero() && !ours_.swarm.is_zero();
    if (both_know && hello.swarm != ours_.swarm) {
        return fail(
            FaultCode::SwarmMismatch,
            "peer " + hello.id.short_string() + " belongs to swarm " + hello.swarm.short_string() +
                ", this one to " + ours_.swarm.short_string()
        );
    }
    return std::nullopt;
}

void Links::release_stranger(Entry& entry) {
    if (!entry.stranger) return;
    entry.stranger = false;
    listener_.release_stranger(entry.connection->remote());
}

void Links::on_hello(Connection& connection, const Hello& hello) {
    owner_.check();
    auto& entry = connections_.at(&connection);
    release_stranger(entry);
    if (!connection.dialled()) entry.lane = hello.kind == StreamKind::Lane;
    if (entry.wanted && *entry.wanted != hello.id) {
        connection.close(fail(FaultCode::Unreachable, "another peer lives there now"));
        return;
    }
    if (const auto why = objection(hello)) {
        ++counters_.refused;
        connection.close(*why);
        return;
    }
    // A peer that does not know its swarm yet only asks for the descriptor: never send to it.
    if (hello.swarm.is_zero()) return;
    // A peer that dialled us still has to prove that it holds the key.
    if (!connection.dialled() && prove_) return;
    if (prove(connection)) {
        welcome(connection, entry);
    } else {
        ++counters_.refused;
        connection.close(fail(FaultCode::Refused, kWrongKey));
    }
}

/// Checks that the peer which we dialled holds the key, and proves to it that we do.
bool Links::prove(Connection& connection) {
    if (!prove_) return true;
    const auto& theirs = *connection.hello();
    const auto text = proof_text(StreamRole::Acceptor, theirs.swarm, connection.ours(), theirs);
    if (!equal(prove_(text), std::as_bytes(std::span(theirs.proof)))) return false;
    const auto ours =
        prove_(proof_text(StreamRole::Dialler, theirs.swarm, connection.ours(), theirs));
    const auto bytes = std::as_bytes(std::span(ours));
    connection.send(FrameType::Proof, Bytes(bytes.begin(), bytes.end()));
    return true;
}

void Links::on_proof(Connection& connection, Entry& entry, ByteView proof) {
    const auto& theirs = *connection.hello();
    const auto text = proof_text(StreamRole::Dialler, ours_.swarm, theirs, connection.ours());
    if (entry.proven || connection.dialled() || (prove_ && !equal(prove_(text), proof))) {
        ++counters_.refused;
        connection.close(fail(FaultCode::Refused, kWrongKey));
        return;
    }
    welcome(connection, entry);
}

void Links::welcome(Connection& connection, Entry& entry) {
    const PeerId partner = connection.hello()->id;
    entry.proven = true;
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
    const Hello& hello = *connection.hello();
    if (hello.swarm.is_zero() && type != FrameType::DescriptorRequest) {
        connection.close(fail(FaultCode::Refused, "ask for the descriptor first"));
        return;
    }
    if (type == FrameType::DescriptorRequest) {
        callbacks_.descriptor_wanted(connection);
        return;
    }
    auto& entry = connections_.at(&connection);
    if (type == FrameType::Proof) {
        on_proof(connection, entry, payload);
        return;
    }
    if (prove_ && !entry.proven) {
        ++counters_.refused;
        connection.close(fail(FaultCode::Refused, "prove first that you hold the swarm's key"));
        return;
    }
    if (entry.lane && type != FrameType::Exchange) {
        ++counters_.garbage;
        connection.close(fail(FaultCode::BadFormat, "a lane carries exchanges only"));
        return;
    }
    callbacks_.frame(hello.id, type, payload);
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
    if (connection.hello() == nullptr && !connection.dialled()) ++counters_.garbage;
    const bool broken = why.code == FaultCode::BadFormat || why.code == FaultCode::Oversized ||
                        why.code == FaultCode::BadVersion;
    if (broken && connection.hello() != nullptr) ++counters_.garbage;
    closed_bytes_sent_ += connection.bytes_sent();
    closed_bytes_received_ += connection.bytes_received();
    // Keep the connection alive until we return: the caller is one of its coroutines.
    Entry entry = std::move(found->second);
    connections_.erase(found);
    if (entry.introduced) entry.introduced(why);
    if (connection.hello() == nullptr) return;
    const PeerId partner = connection.hello()->id;
    if (entry.lane) {
        on_lane_closed(partner, connection, entry, why);
        return;
    }
    const auto preferred = preferred_.find(partner);
    if (preferred != preferred_.end() && preferred->second == &connection) {
        preferred_.erase(preferred);
        for (const auto& [other, candidate] : connections_) {
            const bool sound = candidate.proven && !candidate.lane;
            if (sound && other->hello() != nullptr && other->hello()->id == partner) {
                preferred_.emplace(partner, other);
                break;
            }
        }
    }
    if (!preferred_.contains(partner)) close_lanes(partner);
    if (entry.proven && !closing_) callbacks_.broken(partner, why);
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
