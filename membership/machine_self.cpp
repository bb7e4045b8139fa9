// What others say about ourselves: accusations to refute, and our own words from another life or
// from another process.

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "base/planted_fault.hpp"
#include "membership/codec.hpp"
#include "membership/machine.hpp"

namespace starling::membership {

namespace {

/// A member that says without a signature that it knows a later life of ours is believed up to so
/// many lives above this one, so that a liar cannot use up all of them.
constexpr std::uint64_t kHearsayLives = 1024;
/// A member that loses its link again and again may come back at once so often, then after this time, and each
/// further time after twice as long.
constexpr int kFreeFalls = 2;
constexpr Duration kQuietMin = std::chrono::seconds(20);
constexpr Duration kQuietMax = std::chrono::minutes(5);
/// Falls further apart than this are no series.
constexpr Duration kFallsMemory = std::chrono::minutes(10);

}  // namespace

void Swim::Machine::on_accusation_of_self(
    Instant now, const Statement& accusation, Conversation& talk
) {
    if (verdict_of(accusation) <= verdict_of(own_claim_)) return;
    if (planted(PlantedFault::NoRefutation)) return;
    // Nobody can have heard a claim of ours that we have not made. If an earlier life made it and
    // its state is lost, we shall hear our own signed claim as well.
    if (accusation.incarnation != incarnation_) return;
    if (holds_back(now, accusation.state)) return;
    // A liar that accuses us all the time must not drive our health to its worst.
    if (now - last_blame_ >= config_.probe_interval) {
        last_blame_ = now;
        awareness_.add(1);
    }
    rise_to(now, next_incarnation());
    talk.introduce = true;
}

Incarnation Swim::Machine::next_incarnation() const {
    const Incarnation next{incarnation_.epoch, incarnation_.counter + 1};
    return next.counter < kCounterMax ? next : Incarnation{incarnation_.epoch + 1, mark_};
}

/// Returns whether we leave others in the belief that we have failed. Each fall and each return costs all others
/// work: duties move, exchanges break off. So a member that falls out of the swarm again and again returns
/// later each time. It decides that itself, so all others agree about it. Being cut off together with others is no
/// fall, and neither is being accused while we hear the others: then the mistake is not ours.
bool Swim::Machine::holds_back(Instant now, MemberState accused) {
    if (quiet_until_) return true;
    if (accused != MemberState::Failed || !std::exchange(was_deaf_, false)) return false;
    if (now - fell_at_ > kFallsMemory) falls_ = 0;
    fell_at_ = now;
    if (++falls_ <= kFreeFalls) return false;
    const int doublings = std::min(falls_ - kFreeFalls - 1, 8);
    quiet_until_ = now + std::min<Duration>(kQuietMin * (1 << doublings), kQuietMax);
    return true;
}

void Swim::Machine::come_back(Instant now) {
    if (!quiet_until_ || now < *quiet_until_ || deaf()) return;
    quiet_until_.reset();
    was_deaf_ = false;
    fell_at_ = now;
    rise_to(now, next_incarnation());
    announce();
}

/// Takes our own words as they come back. This process may have said them; else an earlier life did,
/// or another process with our identity.
void Swim::Machine::on_claim_of_self(
    Instant now, const Statement& claim, Source source, Conversation& talk
) {
    if (verdict_of(claim) < verdict_of(own_claim_)) return;
    if (verdict_of(claim) == verdict_of(own_claim_) && claim.address == address_) return;
    if (!genuine(now, claim, source)) return;
    auto verdict = conflict_.on_claim(now, address_, claim.address);
    // Nothing is above the last epoch.
    if (claim.incarnation.epoch + 1 >= kCounterMax) verdict = IdentityConflict::Verdict::Yield;
    if (verdict != IdentityConflict::Verdict::EarlierLife) ++counters_.conflicts;
    if (verdict == IdentityConflict::Verdict::Yield) {
        events_.push_back({EventKind::Displaced, self_});
        return;
    }
    if (verdict == IdentityConflict::Verdict::Contest) {
        // Our goodbye is said; whoever goes on in our name may.
        if (left_) return;
        events_.push_back({EventKind::Contested, self_});
    }
    // A new epoch and not only a higher counter: the keys of our datagrams belong to the epoch, and
    // the other life has used its own.
    rise_to(now, {claim.incarnation.epoch + 1, mark_});
    talk.introduce = true;
    // Straight to the other process, which shares no member with us in a swarm of two.
    const Message own[] = {own_claim_};
    if (claim.address != address_) send(claim.address, std::nullopt, own);
}

/// Hears a packet whose sender has our id: our own came back, or another process has our key. Only
/// what that process signs about ourselves counts.
void Swim::Machine::on_packet_of_self(Instant now, const Packet& packet) {
    ++counters_.reflected;
    conflict_.note_contact(now);
    Conversation talk{packet.sender, std::nullopt, {}};
    for (const auto& message : packet.messages) {
        const auto* statement = std::get_if<Statement>(&message);
        if (statement == nullptr || statement->subject != self_) continue;
        if (!is_accusation(statement->state))
            on_claim_of_self(now, *statement, Source::Rumour, talk);
    }
}

void Swim::Machine::on_stranger(const Stranger& stranger, Conversation& talk) {
    if (stranger.subject == ShortId(self_)) talk.introduce = true;
}

void Swim::Machine::on_forgotten_self(
    Instant now, const Member& known, const Incarnation& forgotten, Conversation& talk
) {
    if (known.incarnation == forgotten) {
        on_accusation_of_self(now, accusation(known, MemberState::Failed, self_), talk);
        return;
    }
    if (known.incarnation < forgotten) {
        // Our state was restored from before that life. Its own words are forgotten as well.
        const bool credible = forgotten.epoch - known.incarnation.epoch <= kHearsayLives;
        if (!credible || !conflict_.arriving(now)) return;
        rise_to(now, {forgotten.epoch + 1, mark_});
    }
    // It is known from an earlier life there: introduce ourselves.
    talk.introduce = true;
}

void Swim::Machine::rise_to(Instant now, const Incarnation& incarnation) {
    ++counters_.refutations;
    restate(now, incarnation);
}

/// Claims another incarnation from now on.
void Swim::Machine::restate(Instant now, const Incarnation& incarnation) {
    if (incarnation.epoch != incarnation_.epoch) {
        life_since_ = now;
        table_.forget_hearing();
    }
    incarnation_ = incarnation;
    make_own_claim();
    table_.apply(now, own_claim_);
    rumours_.push(own_claim_);
}

}  // namespace starling::membership
