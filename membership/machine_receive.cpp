// What others say: packets in, claims merged, replies out.

#include <algorithm>
#include <optional>
#include <variant>

#include "base/planted_fault.hpp"
#include "membership/codec.hpp"
#include "membership/machine.hpp"

namespace starling::membership {

namespace {

/// Most corrections, and most messages in all, that one datagram can draw from us, and most bytes of
/// the corrections: they fit one datagram beside our refutation and our introduction, whatever the
/// sender got wrong and however long the tails of the claims are.
constexpr std::size_t kCorrectionsMax = 4;
constexpr std::size_t kCorrectionBytesMax = 512;
constexpr std::size_t kRepliesMax = 8;

/// Members of its first page that a newcomer repeats as rumours.
constexpr std::size_t kRepeatedMax = 64;

/// After so many forged statements the rest of a page is not read.
constexpr std::uint32_t kForgedMax = 3;

/// A helper sends its nack after this share of the probe timeout, in per cent, so that it arrives
/// before the asker's period ends (Lifeguard has 80; our periods may be a tenth shorter).
constexpr int kNackShare = 75;
/// Probe intervals between two full exchanges that digests ask for, in a small swarm.
constexpr int kExchangeGap = 2;
/// Round trips that an exchange takes, and then its news to others.
constexpr int kTripsOfExchange = 4;
/// So many members, on average, probe a suspect as soon as they hear of the suspicion.
constexpr double kLookers = 5.0;
/// Bounds that are shorter than this share, in per cent, take effect on open suspicions.
constexpr int kTighter = 90;
/// Suspects that wait for such a probe here; more would keep the regular round from going on.
constexpr std::size_t kUrgentMax = 16;

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
    auto& incoming = workspace_->incoming;
    const auto decoded = decode_datagram(bytes, swarm_tag(config_.swarm), *notary_, incoming);
    if (!decoded) {
        count_fault(decoded.error());
        return;
    }
    if (incoming.sender == ShortId(self_)) {
        on_packet_of_self(now, incoming);
    } else {
        on_packet(now, from, incoming);
    }
    arm_on_demand(now);
}

Result<StreamAnswer> Swim::Machine::handle_push_pull(
    Instant now, ByteView bytes, const std::optional<PeerId>& from
) {
    advance(now);
    Packet page;
    const auto decoded = decode_page(bytes, swarm_tag(config_.swarm), *notary_, page);
    if (!decoded) {
        count_fault(decoded.error());
        return decoded.error();
    }
    if (from && page.sender != ShortId(*from)) {
        ++counters_.malformed;
        return fail(FaultCode::BadValue, "a page in another member's name");
    }
    if (page.sender == ShortId(self_)) {
        on_packet_of_self(now, page);
        arm_on_demand(now);
        return StreamAnswer{};
    }
    conflict_.note_contact(now);
    const auto source = table_.size() == 1 ? Source::FirstPage : Source::Page;
    if (source == Source::FirstPage) first_sender_ = page.sender;
    // The records stand on the last pages of several.
    const bool first = first_sender_ == page.sender && conflict_.arriving(now);
    const auto source_of_record = first ? Source::FirstPage : source;
    prove(now, page.sender);
    Conversation talk{page.sender, id_of(page.sender), {}};
    forged_in_page_ = 0;
    for (const auto& message : page.messages) {
        const bool told = std::holds_alternative<ProgressRecord>(message);
        on_news(now, message, told ? source_of_record : source, talk);
        if (forged_in_page_ >= kForgedMax) break;
        // A page begins with its sender's own claim.
        if (!talk.sender) talk.sender = id_of(page.sender);
    }
    if (talk.sender) on_stream_answer(*talk.sender);
    if (source == Source::FirstPage) {
        if (incarnation_.counter < mark_) restate(now, {incarnation_.epoch, mark_});
        announce();
    }
    answer_page(talk);
    arm_on_demand(now);
    if (!talk.asked) return StreamAnswer{kAllSlices, false, forged_in_page_};
    return StreamAnswer{table_.differing(talk.asked->values), true, forged_in_page_};
}

std::optional<PeerId> Swim::Machine::id_of(const ShortId& id) const {
    const auto* known = table_.id_of(id);
    if (known == nullptr) return std::nullopt;
    return *known;
}

void Swim::Machine::count_fault(const Fault& fault) {
    if (fault.code == FaultCode::SwarmMismatch) {
        ++counters_.foreign;
    } else {
        ++counters_.malformed;
    }
}

void Swim::Machine::on_packet(Instant now, const Endpoint& from, const Packet& packet) {
    conflict_.note_contact(now);
    auto& replies = workspace_->replies;
    prove(now, packet.sender);
    Conversation talk{packet.sender, id_of(packet.sender), std::move(replies)};
    talk.probing =
        std::any_of(packet.messages.begin(), packet.messages.end(), [](const Message& message) {
            return std::holds_alternative<Ping>(message) || std::holds_alternative<Ack>(message);
        });
    heard_at_ = now_;
    if (talk.sender) {
        reach_.heard(*talk.sender);
        if (!doubts_.empty()) doubts_.erase(*talk.sender);
        cycle_.hear(*talk.sender);
        if (!lost_.empty()) on_lost_heard(now, *talk.sender, from);
    }
    // News first: the ack then carries our answer to it, and a stranger may have named itself.
    for (const auto& message : packet.messages) on_news(now, message, Source::Rumour, talk);
    if (!talk.sender) talk.sender = id_of(packet.sender);
    for (const auto& message : packet.messages) on_probe(now, from, message, talk);
    if (talk.introduce) talk.replies.emplace_back(own_claim_);
    if (!talk.replies.empty()) send(from, packet.sender, talk.replies);
    replies = std::move(talk.replies);
    replies.clear();
}

void Swim::Machine::on_news(
    Instant now, const Message& message, Source source, Conversation& talk
) {
    std::visit(
        Overloaded{
            [&](const Statement& statement) { on_statement(now, statement, source, talk); },
            [&](const Stranger& stranger) { on_stranger(stranger, talk); },
            [&](const Forgotten& forgotten) { on_forgotten(now, forgotten, talk); },
            [&](const SliceDigests& digests) { on_slices(digests, talk); },
            [&](const ProgressRecord& record) {
                const bool owner = talk.from == ShortId(record.owner);
                const auto told = talk.probing ? Teller::OwnerInProbe : Teller::Owner;
                on_record(now, record, source, owner ? told : Teller::Other);
            },
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
            [&](const Nack& nack) { cycle_.nack(nack.probe, talk.from); },
            [&](const TableDigest& digest) { on_digest(now, digest, talk); },
            [&](const PingRequest& request) { on_ping_request(now, from, request, talk); },
            [](const auto& /*news*/) {},
        },
        message
    );
}

void Swim::Machine::on_ping(const Ping& ping, Conversation& talk) {
    // A ping for another id was meant for a process that listened here before us.
    if (ping.target != self_ || talk.replies.size() >= kRepliesMax || quiet_until_) return;
    talk.replies.emplace_back(Ack{ping.probe});
}

void Swim::Machine::handle_stream_pong(Instant now, const PeerId& peer) {
    advance(now);
    prove(now, peer);
    on_stream_answer(peer);
}

void Swim::Machine::on_stream_answer(const PeerId& peer) {
    // A probe asks for a stream when it asks its helpers; before that, its ack may still come.
    heard_at_ = now_;
    const auto probe = cycle_.answer_by_stream(peer);
    if (!probe) return;
    answered(*probe);
    cycle_.keep_late(*probe);
    path_loss_.rescued();
    ++counters_.probes_by_stream;
    reach_.missed(peer, probe->id);
    note_reach(peer);
}

/// A member lives. If it had been silent as a helper, we are the ones that hear badly.
void Swim::Machine::answered(const ProbeCycle::Probe& probe) {
    awareness_.add(probe.of_silent_helper ? 1 : -1);
    doubts_.erase(probe.target);
}

void Swim::Machine::note_reach(const PeerId& peer) {
    const auto member = table_.find(peer);
    const auto now = reach_.directions(peer);
    if (!member || (member->udp_out == now.out && member->udp_in == now.in)) return;
    table_.set_reach(peer, now.out, now.in);
}

void Swim::Machine::on_digest(Instant now, const TableDigest& digest, const Conversation& talk) {
    // What a stranger misses is ourselves, and it is told so anyway.
    const auto sender = table_.resolve(talk.from);
    if (left_ || !sender || !is_up(sender->state)) return;
    // Whoever has our table has our claim in it.
    if (digest.value == table_.digest()) {
        table_.set_hearing(sender->id, MemberTable::Hearing::Heard);
    }
    agreement_.hear(sender->id, digest.value, table_.digest());
    const auto gap = scaled_for_size(
        kExchangeGap * config_.probe_interval + kTripsOfExchange * round_trip_.usual()
    );
    const auto peer = agreement_.take_due(now, table_.digest(), gap);
    if (!peer) return;
    if (const auto member = table_.find(*peer)) request_exchange(*peer, member->address);
}

void Swim::Machine::on_ping_request(
    Instant now, const Endpoint& from, const PingRequest& request, const Conversation& talk
) {
    const auto target = table_.find(request.target);
    if (!target || request.target == self_ || request.target == talk.sender) return;
    const auto id = probe_id_rng_.next();
    const auto nack_at = now + config_.probe_timeout * kNackShare / 100;
    const auto deadline = now + 2 * (config_.probe_interval + round_trip_.usual());
    if (!relays_.add(id, {from, request.probe, nack_at, deadline})) return;
    const Message ping[] = {Ping{id, request.target}};
    send(target->address, request.target, ping);
}

void Swim::Machine::on_statement(
    Instant now, const Statement& statement, Source source, Conversation& talk
) {
    if (statement.subject == self_) {
        if (is_accusation(statement.state)) {
            on_accusation_of_self(now, statement, talk);
        } else {
            on_claim_of_self(now, statement, source, talk);
        }
    } else if (is_accusation(statement.state)) {
        on_accusation(now, statement, source, talk);
    } else {
        on_claim(now, statement, source, talk);
    }
}

void Swim::Machine::on_accusation(
    Instant now, Statement accusation, Source source, Conversation& talk
) {
    const auto known = table_.find(accusation.subject);
    if (!known) return;
    const bool left = known->state == MemberState::Left;
    const bool refuted =
        known->state == MemberState::Alive && known->incarnation > accusation.incarnation;
    if (left || refuted) {
        // It said goodbye, or it has refuted this; without our word its departure would end as a
        // failure, or its refutation as a death, wherever that news got lost. Each suspecting
        // member spreads its accusation, so it meets somebody who knows better in time.
        const Message correction = table_.claim_of(accusation.subject);
        std::size_t bytes = wire_size(correction);
        for (const auto& reply : talk.replies) bytes += wire_size(reply);
        if (talk.replies.size() < kCorrectionsMax && bytes <= kCorrectionBytesMax) {
            talk.replies.push_back(correction);
        }
        return;
    }
    // If it is about a claim that we have not heard yet, it will come again together with the
    // claim.
    if (known->incarnation != accusation.incarnation || !is_up(known->state)) return;
    if (accusation.state == MemberState::Failed) {
        // A verdict is hearsay, as in memberlist's pages: else a single liar could kill whom it
        // likes. It counts when the accused has had its time to refute here as well.
        const bool heard_in_time = source == Source::Rumour;
        if (heard_in_time && suspicions_.ripe(accusation.subject, now)) {
            apply(now, accusation, source);
            return;
        }
        accusation.state = MemberState::Suspect;
        if (heard_in_time) suspicions_.note_verdict(accusation.subject);
        if (!heard_in_time) {
            if (!talk.sender) return;
            accusation.accuser = *talk.sender;
        }
    }
    raise_suspicion(now, *known, accusation, source, talk);
}

/// Takes the suspicion of a member that is `known` to be up at the incarnation that it is about.
void Swim::Machine::raise_suspicion(
    Instant now,
    const Member& known,
    const Statement& accusation,
    Source source,
    const Conversation& talk
) {
    if (known.state == MemberState::Suspect) {
        confirm(accusation);
    } else if (throttle_.admit(now, talk.from, table_.up_count())) {
        apply(now, accusation, source);
    } else {
        ++counters_.throttled;
    }
}

/// Counts a further accuser of a suspect.
void Swim::Machine::confirm(const Statement& suspicion) {
    // In a disaster most accusations repeat what is known, so the cheap question comes first.
    if (!suspicions_.wants(suspicion.subject, suspicion.accuser)) return;
    // Only members count, so that nobody confirms with identities that it has made up.
    const auto accuser = table_.find(suspicion.accuser);
    if (!accuser || accuser->state != MemberState::Alive || suspicion.accuser == suspicion.subject)
        return;
    suspicions_.confirm(suspicion.subject, suspicion.accuser);
    rumours_.push(suspicion);
}

void Swim::Machine::accuse(Instant now, const Statement& claim) {
    if (!apply(now, claim, Source::Rumour)) confirm(claim);
}

void Swim::Machine::on_forgotten(Instant now, const Forgotten& forgotten, Conversation& talk) {
    const auto known = table_.find(forgotten.subject);
    if (!known || !is_up(known->state)) return;
    if (forgotten.subject == self_) {
        on_forgotten_self(now, *known, forgotten.incarnation, talk);
        return;
    }
    if (known->incarnation != forgotten.incarnation || !talk.sender) return;
    const auto suspicion = accusation(*known, MemberState::Suspect, *talk.sender);
    raise_suspicion(now, *known, suspicion, Source::Rumour, talk);
}

void Swim::Machine::on_slices(const SliceDigests& digests, Conversation& talk) {
    if (!digests.answer) {
        talk.asked = digests;
        return;
    }
    // Only the member that we asked may make us tell, and only once: our table is larger than its
    // answer.
    if (!talk.sender || compared_ != talk.sender) return;
    compared_.reset();
    const auto differing = table_.differing(digests.values);
    const auto member = table_.find(*talk.sender);
    if (differing == 0 || !member) return;
    request_stream({member->id, member->address, StreamRequest::Kind::Tell, differing});
}

void Swim::Machine::answer_page(const Conversation& talk) {
    if (!talk.introduce && !accusation_of(talk.from)) return;
    // Both sides of a stream may have made their pages before they read any, so what this page made
    // us say goes by datagram, to the address that we hold for its sender.
    std::optional<Endpoint> to;
    if (const auto member = table_.resolve(talk.from)) {
        to = member->address;
    } else if (const auto id = departed_.resolve(talk.from)) {
        to = departed_.find(*id)->address;
    }
    if (!to) return;
    const Message own[] = {own_claim_};
    send(*to, talk.from, own);
}

bool Swim::Machine::apply(Instant now, const Statement& statement, Source source) {
    const auto change = table_.apply(now, statement);
    if (!change) return false;
    settle(now, *change, statement.accuser);
    if (is_accusation(statement.state) && planted(PlantedFault::FailureUntold)) return true;
    // The member that gave a newcomer its first page knows what is in it, and so do most others. A
    // small swarm hears it all the same: peers that start together have met only the seed.
    if (source != Source::FirstPage || table_.size() <= kRepeatedMax) rumours_.push(statement);
    return true;
}

void Swim::Machine::settle(Instant now, const MemberTable::Change& change, const PeerId& accuser) {
    const Member& after = change.after;
    const PeerId& id = after.id;
    if (after.state == MemberState::Suspect) {
        bounds_ = present_bounds();
        suspicions_.start(id, now, bounds_, accuser);
        // Its last words reach its heirs before it is gone: each of us was told at another time.
        if (const auto* said = records_.find_signed(id)) rumours_.push(*said);
        // A few of the members that hear of a suspicion probe the suspect at once. So a crash is
        // confirmed within two periods, and a member that lives hears what is said of it.
        const auto up = static_cast<double>(table_.up_count());
        if (accuser != self_ && target_rng_.chance(kLookers / up) && urgent_.size() < kUrgentMax) {
            urgent_.push_back(id);
        }
    } else {
        suspicions_.cancel(id);
    }
    tighten();
    if (!is_up(after.state)) {
        reach_.forget(id);
        cycle_.drop(id);
    }
    if (is_up(after.state)) {
        if (id != self_ && !table_.set_in_round(id, true)) order_.insert(id);
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

/// Only members that answer can confirm anything, and hear a suspicion early: they count, and the suspect.
SuspicionBounds Swim::Machine::present_bounds() const {
    return bounds_of(table_.count(MemberState::Alive) + 1);
}

/// When most of a swarm dies, the first suspicions begin with bounds of a swarm that is no more. But whoever
/// hears nobody has lost its own link, and waits.
void Swim::Machine::tighten() {
    if (suspicions_.empty() || deaf()) return;
    const auto present = present_bounds();
    const bool fewer = present.confirmations < bounds_.confirmations;
    if (!fewer && present.min > bounds_.min * kTighter / 100) return;
    bounds_ = present;
    suspicions_.tighten(present);
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
