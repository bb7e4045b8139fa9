#include "peer/virtual/liars.hpp"

#include <span>
#include <utility>

#include "base/check.hpp"
#include "membership/codec.hpp"
#include "peer/virtual/virtual_notary.hpp"

namespace starling::peer_virtual {

namespace {

using membership::MemberState;
using membership::Message;
using membership::ProgressRecord;
using membership::Statement;

constexpr std::size_t kHeardMax = 4096;
/// Its own records are this far apart, so that the honest ones in between change nothing.
constexpr std::uint64_t kVersionsApart = 1'000'000;

NodeIndex draw_other(const Swarm& swarm, NodeIndex self, Rng& rng) {
    const auto drawn = static_cast<NodeIndex>(rng.below(swarm.size() - 1));
    return drawn < self ? drawn : drawn + 1;
}

void send(Swarm& swarm, NodeIndex from, NodeIndex to, const membership::Packet& packet) {
    swarm.inject(
        from, to, membership::encode(packet, membership::swarm_tag({}), membership::kPacketMax)
    );
}

}  // namespace

MemberLiar::MemberLiar(Swarm& swarm, NodeIndex node, Rng rng)
    : swarm_(swarm),
      node_(node),
      rng_(rng) {
    STARLING_CHECK(swarm.size() > 1);
    swarm.observe(*this);
}

void MemberLiar::on_packet(NodeIndex /*from*/, NodeIndex to, ByteView packet) {
    if (to == node_ && heard_.size() < kHeardMax) heard_.emplace_back(packet.begin(), packet.end());
}

NodeIndex MemberLiar::other() {
    return draw_other(swarm_, node_, rng_);
}

PeerId MemberLiar::anybody() {
    return swarm_.id(static_cast<NodeIndex>(rng_.below(swarm_.size())));
}

void MemberLiar::lie() {
    const auto to = other();
    if (rng_.chance(0.2) && !heard_.empty()) {
        swarm_.inject(node_, to, rng_.pick(std::span<const Bytes>(heard_)));
        return;
    }
    std::vector<Message> lies;
    const auto count = 1 + rng_.below(5);
    for (std::uint64_t i = 0; i < count; ++i) lies.push_back(draw());
    // Sometimes the packet's sender is another peer, too.
    const auto sender = rng_.chance(0.3) ? anybody() : swarm_.id(node_);
    send(swarm_, node_, to, {sender, std::move(lies)});
}

Message MemberLiar::draw() {
    const auto victim = other();
    Statement lie;
    lie.subject = swarm_.id(victim);
    lie.key = lie.subject.bytes;
    lie.incarnation.epoch = swarm_.epoch(victim);
    if (swarm_.exists(victim)) lie.incarnation = swarm_.swim(victim).incarnation();
    // Whom it moves, it moves to its own address.
    lie.address = swarm_.endpoint(node_);
    lie.accuser = rng_.chance(0.5) ? swarm_.id(node_) : anybody();
    if (rng_.chance(0.2)) lie.incarnation.counter += rng_.below(1000);
    if (rng_.chance(0.1)) lie.incarnation.epoch += rng_.below(1000);
    const auto kind = rng_.below(6);
    if (kind == 4) return membership::Forgotten{lie.subject, lie.incarnation};
    if (kind == 5) {
        for (auto& byte : lie.key) byte = static_cast<std::uint8_t>(rng_.below(256));
        ++lie.incarnation.counter;
        return lie;
    }
    lie.state = static_cast<MemberState>(kind);
    if (!membership::is_accusation(lie.state)) ++lie.incarnation.counter;
    return lie;
}

RecordLiar::RecordLiar(Swarm& swarm, NodeIndex node, Rng rng)
    : swarm_(swarm),
      node_(node),
      rng_(rng) {
    STARLING_CHECK(swarm.size() > 1);
}

PeerId RecordLiar::other() {
    return swarm_.id(draw_other(swarm_, node_, rng_));
}

void RecordLiar::lie() {
    std::vector<Message> lies{own(), forged(), invented(), shown()};
    const auto to = draw_other(swarm_, node_, rng_);
    send(swarm_, node_, to, {swarm_.id(node_), std::move(lies)});
}

peer::Record RecordLiar::absurd() {
    peer::Record record;
    record.state = peer::PeerState::Training;
    record.samples = std::uint64_t{1} << 62U;
    record.round = rng_.chance(0.5) ? 0 : 0xfffffff0U;
    record.reached = record.ending = rng_.chance(0.5);
    record.shards = 3;
    return record;
}

ProgressRecord RecordLiar::record_of(const PeerId& owner, std::uint64_t version) {
    ProgressRecord record;
    record.owner = owner;
    record.epoch = swarm_.epoch(node_);
    record.version = version;
    record.bytes = peer::encode_record(absurd());
    return record;
}

ProgressRecord RecordLiar::own() {
    auto record = record_of(swarm_.id(node_), kVersionsApart * ++lies_);
    const VirtualNotary notary(record.owner);
    record.is_signed = true;
    record.key = notary.key();
    record.signature = notary.sign(membership::signed_text(record, {}));
    said_.push_back(record.bytes);
    return record;
}

ProgressRecord RecordLiar::forged() {
    auto record = record_of(other(), 1U << 30U);
    record.is_signed = true;
    record.key = record.owner.bytes;
    record.signature.fill(7);
    return record;
}

ProgressRecord RecordLiar::invented() {
    PeerId nobody;
    for (auto& byte : nobody.bytes) byte = static_cast<std::uint8_t>(rng_.below(256));
    auto record = record_of(nobody, 5);
    const VirtualNotary notary(record.owner);
    record.is_signed = true;
    record.key = notary.key();
    record.signature = notary.sign(membership::signed_text(record, {}));
    return record;
}

/// Without a signature, which is for people.
ProgressRecord RecordLiar::shown() {
    return record_of(other(), 1 + rng_.below(400));
}

}  // namespace starling::peer_virtual
