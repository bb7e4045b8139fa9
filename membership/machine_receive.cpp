// What others say: packets in, claims merged, replies out.

#include <variant>

#include "membership/codec.hpp"
#include "membership/machine.hpp"

namespace starling::membership {

namespace {

/// Most corrections, and most messages in all, that one datagram can draw from us: at 101 B each
/// they fit one datagram beside our refutation, whatever the sender got wrong.
constexpr std::size_t kCorrectionsMax = 4;
constexpr std::size_t kRepliesMax = 8;

/// Members of its first page that a newcomer repeats as rumours.
constexpr std::size_t kRepeatedMax = 64;

/// A helper sends its nack after this share of the probe timeout, in per cent, so that it arrives
/// before the asker's period ends (Lifeguard has 80; our periods may be a tenth shorter).
constexpr int kNackShare = 75;
/// Probe intervals between two full exchanges that digests ask for, in a small swarm.
constexpr int kExchangeGap = 2;

template <class... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};

template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

}  // namespace

void Swim::Machine::handle_datagram(Instant now, const Endpoint& from, ByteView bytes) {
    advance(now);
    ++counters_.datagrams_received;
    counters_.bytes_received += bytes.size();
    const auto packet = decode_datagram(bytes, config_.swarm_tag);
    if (!packet) {
        count_fault(packet.error());
        return;
    }
    if (packet->sender == self_) {
        // Our own datagram came back, or somebody runs with our key: neither may change anything.
        ++counters_.reflected;
        return;
    }
    on_packet(now, from, *packet);
    arm_on_demand(now);
}

Result<void> Swim::Machine::handle_push_pull(Instant now, ByteView bytes) {
    advance(now);
    const auto page = decode_page(bytes, config_.swarm_tag);
    if (!page) {
        count_fault(page.error());
        return page.error();
    }
    if (page->sender == self_) {
        ++counters_.reflected;
        return {};
    }
    on_stream_answer(page->sender);
    Conversation talk{page->sender, {}, false};
    const auto source = table_.size() == 1 ? Source::FirstPage : Source::Page;
    for (const auto& message : page->messages) on_news(now, message, source, talk);
    answer_page(*page, talk);
    arm_on_demand(now);
    return {};
}

void Swim::Machine::count_fault(const Fault& fault) {
    if (fault.code == FaultCode::SwarmMismatch) {
        ++counters_.foreign;
    } else {
        ++counters_.malformed;
    }
}

void Swim::Machine::on_packet(Instant now, const Endpoint& from, const Packet& packet) {
    reach_.heard(packet.sender);
    Conversation talk{packet.sender, {}, false};
    // News first: the ack then carries our answer to it.
    for (const auto& message : packet.messages) on_news(now, message, Source::Rumour, talk);
    for (const auto& message : packet.messages) on_probe(now, from, message, talk);
    if (talk.introduce) talk.replies.emplace_back(own_statement());
    if (!talk.replies.empty()) send(from, &packet.sender, std::move(talk.replies));
}

void Swim::Machine::on_news(
    Instant now, const Message& message, Source source, Conversation& talk
) {
    std::visit(
        Overloaded{
            [&](const Statement& statement) { on_statement(now, statement, source, talk); },
            [&](const Forgotten& forgotten) { on_forgotten(now, forgotten, talk); },
            [&](const ProgressRecord& record) { on_record(record); },
            [](const auto& /*probe*/) {},
        },
        message
    );
}

void Swim::Machine::on_probe(
    Instant now, const Endpoint& from, const Message& message, Conversation& talk
) {
    std::visit(
        Overloaded{
            [&](const Ping& ping) { on_ping(ping, talk); },
            [&](const Ack& ack) { on_ack(ack, talk); },
            [&](const Nack& nack) { cycle_.nack(nack.probe); },
            [&](const TableDigest& digest) { on_digest(now, digest, talk); },
            [&](const PingRequest& request) { on_ping_request(now, from, request, talk); },
            [](const auto& /*news*/) {},
        },
        message
    );
}

void Swim::Machine::on_ping(const Ping& ping, Conversation& talk) {
    // A ping for another id was meant for a process that listened here before us.
    if (ping.target != self_ || talk.replies.size() >= kRepliesMax) return;
    talk.replies.emplace_back(Ack{ping.probe});
}

void Swim::Machine::on_ack(const Ack& ack, const Conversation& talk) {
    const auto probe = cycle_.open();
    if (cycle_.answer(ack.probe)) {
        disarm(Timer::AckWait);
        awareness_.add(-1);
        if (talk.sender == probe->target) {
            reach_.answered(talk.sender);
            round_trip_.sample(now_ - probe->sent);
        } else {
            reach_.missed(probe->target, probe->id);
        }
        note_reach(probe->target);
        return;
    }
    reach_.answered_late(talk.sender, ack.probe);
    if (const auto relay = relays_.take(ack.probe)) {
        send(relay->asker, nullptr, {Ack{relay->probe}});
    }
}

void Swim::Machine::handle_stream_pong(Instant now, const PeerId& peer) {
    advance(now);
    on_stream_answer(peer);
}

void Swim::Machine::on_stream_answer(const PeerId& peer) {
    const auto probe = cycle_.open();
    // Before its helpers are asked a probe has asked for no stream, and the ack may yet come.
    if (!probe || probe->target != peer || !probe->indirect) return;
    cycle_.answer(probe->id);
    awareness_.add(-1);
    ++counters_.probes_by_stream;
    reach_.missed(peer, probe->id);
    note_reach(peer);
}

void Swim::Machine::note_reach(const PeerId& peer) {
    const Member* member = table_.find(peer);
    const auto now = reach_.directions(peer);
    if (member == nullptr || (member->udp_out == now.out && member->udp_in == now.in)) return;
    table_.set_reach(peer, now.out, now.in);
}

void Swim::Machine::on_digest(Instant now, const TableDigest& digest, const Conversation& talk) {
    const Member* sender = table_.find(talk.sender);
    // What a stranger misses is ourselves, and it is told so anyway.
    if (left_ || sender == nullptr || !is_up(sender->state)) return;
    agreement_.hear(talk.sender, digest.value, table_.digest());
    const auto gap = scaled_for_size(kExchangeGap * config_.probe_interval);
    const auto peer = agreement_.take_due(now, table_.digest(), gap);
    if (!peer) return;
    if (const Member* member = table_.find(*peer)) request_stream({*peer, member->address});
}

void Swim::Machine::on_ping_request(
    Instant now, const Endpoint& from, const PingRequest& request, const Conversation& talk
) {
    const Member* target = table_.find(request.target);
    if (target == nullptr || request.target == self_ || request.target == talk.sender) return;
    const auto id = probe_id_rng_.next();
    const auto nack_at = now + config_.probe_timeout * kNackShare / 100;
    if (!relays_.add(id, {from, request.probe, nack_at, now + 2 * config_.probe_interval})) return;
    send(target->address, &request.target, {Ping{id, request.target}});
}

void Swim::Machine::on_statement(
    Instant now, Statement statement, Source source, Conversation& talk
) {
    if (statement.subject == self_) {
        on_claim_about_self(now, statement, talk);
        return;
    }
    const Member* known = table_.find(statement.subject);
    const bool hearsay = source != Source::Rumour && statement.state == MemberState::Failed;
    if (hearsay && known != nullptr && is_up(known->state)) {
        // Of unknown age: give the member a chance to refute it, as memberlist does.
        statement.state = MemberState::Suspect;
        statement.accuser = talk.sender;
    }
    if (apply(now, statement, source) || known == nullptr) return;
    if (confirms(statement)) {
        if (suspicions_.confirm(statement.subject, statement.accuser)) rumours_.push(statement);
        return;
    }
    const bool mourned =
        statement.state == MemberState::Suspect || statement.state == MemberState::Failed;
    const bool left = known->state == MemberState::Left;
    const bool refuted =
        known->state == MemberState::Alive && known->incarnation > statement.incarnation;
    if (mourned && (left || refuted) && talk.replies.size() < kCorrectionsMax) {
        // It said goodbye, or it has refuted this; without our word its departure would end as a
        // failure, or its refutation as a death, wherever that news got lost. Each suspecting
        // member spreads its accusation, so it meets somebody who knows better in time.
        talk.replies.emplace_back(statement_of(*known));
    }
}

void Swim::Machine::on_claim_about_self(
    Instant now, const Statement& statement, Conversation& talk
) {
    const auto own = verdict_of(own_statement());
    if (verdict_of(statement) <= own) return;
    // Alive of ours at a higher incarnation means that an earlier life was forgotten here (a lost
    // state directory): go above it, or nothing we say will ever be believed.
    rise_above(now, statement.incarnation);
    if (statement.state != MemberState::Alive) awareness_.add(1);
    talk.introduce = true;
}

bool Swim::Machine::confirms(const Statement& statement) const {
    const Member* known = table_.find(statement.subject);
    if (known == nullptr || statement.state != MemberState::Suspect ||
        verdict_of(*known) != verdict_of(statement)) {
        return false;
    }
    // Only members count, so that nobody confirms with identities that it has made up.
    const Member* accuser = table_.find(statement.accuser);
    return accuser != nullptr && accuser->state == MemberState::Alive &&
           statement.accuser != statement.subject;
}

void Swim::Machine::accuse(Instant now, const Statement& claim) {
    if (apply(now, claim, Source::Rumour)) return;
    if (confirms(claim) && suspicions_.confirm(claim.subject, claim.accuser)) rumours_.push(claim);
}

void Swim::Machine::rise_above(Instant now, const Incarnation& accused) {
    ++counters_.refutations;
    incarnation_ = {accused.epoch, accused.counter + 1};
    if (incarnation_.counter >= kCounterMax) {
        // Only a liar gets here. One more epoch keeps us above it and inside the wire's range.
        incarnation_ = {accused.epoch + 1, 0};
    }
    table_.apply(now, own_statement());
    rumours_.push(own_statement());
}

void Swim::Machine::on_forgotten(Instant now, const Forgotten& forgotten, Conversation& talk) {
    const Member* known = table_.find(forgotten.subject);
    if (known == nullptr || !is_up(known->state)) return;
    if (known->incarnation > forgotten.incarnation) {
        // We are merely unknown there, or known from an earlier life: introduce ourselves.
        if (forgotten.subject == self_) talk.introduce = true;
        return;
    }
    Statement claim = statement_of(*known);
    claim.incarnation = forgotten.incarnation;
    claim.state = MemberState::Suspect;
    claim.accuser = talk.sender;
    if (forgotten.subject == self_) {
        on_claim_about_self(now, claim, talk);
    } else {
        apply(now, claim, Source::Rumour);
    }
}

void Swim::Machine::on_record(const ProgressRecord& record) {
    if (record.owner == self_) {
        on_record_of_self(record);
        return;
    }
    if (!records_.merge(record, table_.find(record.owner) != nullptr)) return;
    rumours_.push(record);
    events_.push_back({EventKind::Record, record.owner});
}

void Swim::Machine::on_record_of_self(const ProgressRecord& record) {
    const auto* ours = records_.find(self_);
    if (ours == nullptr) {
        // From an earlier life; the next set_record goes above it.
        records_.merge(record, true);
        events_.push_back({EventKind::Record, self_});
        return;
    }
    ProgressRecord again = *ours;
    if (!records_.merge(record, true)) return;
    // An earlier life counted further than we do: what we say now must win all the same.
    again.epoch = record.epoch;
    again.version = record.version;
    advance_version(again);
    records_.merge(again, true);
    rumours_.push(again);
}

void Swim::Machine::answer_page(const Packet& page, const Conversation& talk) {
    const auto accusation = accusation_of(page.sender);
    if (!talk.introduce && !accusation) return;
    // Both sides of a stream may have made their pages before they read any, so what this page made
    // us say goes by datagram, to the address that we hold for its sender.
    std::optional<Endpoint> to;
    if (const auto* member = table_.find(page.sender)) to = member->address;
    if (const auto* ghost = ghosts_.find(page.sender); ghost && !to) to = ghost->address;
    if (to) send(*to, &page.sender, {own_statement()});
}

bool Swim::Machine::apply(Instant now, const Statement& statement, Source source) {
    if (const auto* ghost = ghosts_.find(statement.subject)) {
        if (verdict_of(statement) <= ghost->verdict) return false;
        ghosts_.remove(statement.subject);
    }
    const auto change = table_.apply(now, statement);
    if (!change) return false;
    settle(now, *change, statement.accuser);
    // Whoever gave a newcomer its first page knows all that, and so do most others. In a small
    // swarm it is repeated all the same: peers that start together have met only the seed.
    if (source != Source::FirstPage || table_.size() <= kRepeatedMax) rumours_.push(statement);
    return true;
}

void Swim::Machine::settle(Instant now, const MemberTable::Change& change, const PeerId& accuser) {
    const Member& after = change.after;
    const PeerId& id = after.id;
    if (after.state == MemberState::Suspect) {
        const auto bounds = suspicion_bounds(config_, table_.size(), table_.up_count());
        suspicions_.start(id, now, bounds, accuser);
    } else {
        suspicions_.cancel(id);
    }
    if (!is_up(after.state)) reach_.forget(id);
    if (is_up(after.state)) {
        order_.insert(id);
        records_.owner_present(id);
    }
    if (after.state != MemberState::Failed) {
        lost_.remove(id);
    } else if (!change.before || change.before->state != MemberState::Failed) {
        lost_.add(now, after);
        const auto retry = now + jittered(2 * config_.probe_interval, 0.25);
        if (!left_ && retry < timers_[static_cast<std::size_t>(Timer::Rejoin)]) {
            arm(Timer::Rejoin, retry);
        }
    }
    announce(change);
}

void Swim::Machine::announce(const MemberTable::Change& change) {
    const auto emit = [&](EventKind kind) { events_.push_back({kind, change.after.id}); };
    const auto state = change.after.state;
    if (!change.before || !is_up(change.before->state)) {
        if (is_up(state)) emit(EventKind::Up);
        if (state == MemberState::Suspect) emit(EventKind::Suspected);
        // A tombstone that we first hear of after the fact is no news for the layers above.
        if (change.before && change.before->state == MemberState::Failed &&
            state == MemberState::Left) {
            emit(EventKind::Left);
        }
        return;
    }
    const auto before = change.before->state;
    if (is_up(state) && change.after.address != change.before->address) emit(EventKind::Moved);
    if (state == before) return;
    if (state == MemberState::Alive) emit(EventKind::Refuted);
    if (state == MemberState::Suspect) emit(EventKind::Suspected);
    if (state == MemberState::Failed) emit(EventKind::Failed);
    if (state == MemberState::Left) emit(EventKind::Left);
}

}  // namespace starling::membership
