// How a datagram is put together, and whether it has to introduce us.

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "membership/codec.hpp"
#include "membership/machine.hpp"

namespace starling::membership {

namespace {

/// Datagrams whose memory is kept.
constexpr std::size_t kSpareMax = 16;
/// Up to this size, every member has to show that it knows us before datagrams to it leave our claim
/// out. In a larger swarm the first datagrams to all members would double the bytes of minutes.
constexpr std::size_t kIntroducedMax = 16;
/// After so many gossip ticks a rumour has reached nearly every member of a swarm: each tick
/// multiplies those that know it by about four.
constexpr int kSpreadTicks = 8;

}  // namespace

/// Returns whether the member can open a datagram that does not introduce us. A wrong guess costs a
/// direct probe, whose target is doubted then.
bool Swim::Machine::hears_us(const Member& member) const {
    if (member.state != MemberState::Alive) return false;
    const auto hearing = table_.hearing(member.id);
    if (hearing != MemberTable::Hearing::Unknown) return hearing == MemberTable::Hearing::Heard;
    const auto spread = kSpreadTicks * config_.gossip_interval;
    return table_.size() > kIntroducedMax && now_ - life_since_ >= spread &&
           now_ - member.since >= spread;
}

void Swim::Machine::send(
    const Endpoint& to, std::optional<ShortId> peer, std::span<const Message> messages
) {
    auto& out = workspace_->outgoing;
    out.assign(messages.begin(), messages.end());
    if (peer) {
        if (auto accusation = accusation_of(*peer)) out.push_back(std::move(*accusation));
    }
    const bool probing = std::any_of(out.begin(), out.end(), [](const Message& m) {
        return std::holds_alternative<Ping>(m) || std::holds_alternative<Ack>(m) ||
               std::holds_alternative<Nack>(m);
    });
    if (probing && !left_) out.emplace_back(TableDigest{table_.digest()});
    Datagram datagram{to, {}};
    std::size_t room = kPacketMax;
    const auto member = peer ? table_.resolve(*peer) : std::nullopt;
    if (member && hears_us(*member)) {
        datagram.receiver = table_.claim_of(member->id).key;
    } else {
        room -= introduction_.size();
    }
    std::size_t used = kPacketOverhead;
    for (const auto& message : out) used += wire_size(message);
    if (probing && member && member->state == MemberState::Alive && room > used) {
        const auto before = out.size();
        add_own_record(*member, out, room - used);
        if (out.size() > before) used += wire_size(out.back());
    }
    // Rumours would be spent on the dead, and there may be many. One that lives after all learns what it
    // has missed when it has refuted.
    if (!member || !is_accusation(member->state)) {
        rumours_.fill(out, room - used, transmit_limit(table_.count(MemberState::Alive)));
    }
    if (out.empty()) return;
    if (auto& spare = workspace_->spare; !spare.empty()) {
        datagram.bytes = std::move(spare.back());
        spare.pop_back();
    }
    encode_into(datagram.bytes, self_, out, swarm_tag(config_.swarm), room);
    ++counters_.datagrams_sent;
    counters_.bytes_sent += datagram.bytes.size() + kPacketMax - room;
    transmits_.push_back(std::move(datagram));
}

void Swim::Machine::recycle(Bytes bytes) {
    auto& spare = workspace_->spare;
    if (spare.size() < kSpareMax) spare.push_back(std::move(bytes));
}

std::optional<Message> Swim::Machine::accusation_of(const ShortId& peer) const {
    if (const auto member = table_.resolve(peer)) {
        if (!is_accusation(member->state)) return std::nullopt;
        return accusation_of(*member);
    }
    const auto id = departed_.resolve(peer);
    if (!id) return Stranger{peer};
    // One that has said goodbye hears it as well: its state may be a copy from before that.
    return Forgotten{*id, departed_.find(*id)->verdict.incarnation};
}

}  // namespace starling::membership
