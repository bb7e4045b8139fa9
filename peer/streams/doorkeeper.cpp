#include "peer/streams/doorkeeper.hpp"

#include <algorithm>
#include <iterator>

namespace starling::peer {

namespace {

/// Sources that are remembered although nobody of them is here.
constexpr std::size_t kSourcesMax = 4096;

}  // namespace

Doorkeeper::Source Doorkeeper::source_of(const Endpoint& at) {
    Source source = at.address;
    constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const bool v4 = std::equal(kMapped.begin(), kMapped.end(), source.begin());
    if (!v4) std::fill(source.begin() + 8, source.end(), std::uint8_t{0});
    return source;
}

Doorkeeper::Ticket Doorkeeper::arrive(Instant now, const Endpoint& source) {
    if (sources_.size() >= kSourcesMax) forget_quiet_sources(now);
    const Stranger stranger{++last_, source_of(source), Stage::Silent, now};
    ++sources_[stranger.source].here;
    strangers_.push_back(stranger);
    if (strangers_.size() > kStrangersMax) dismiss_oldest_of_most();
    return last_;
}

void Doorkeeper::spoke(Instant now, Ticket ticket) {
    auto* stranger = find(ticket);
    if (stranger == nullptr || stranger->stage != Stage::Silent) return;
    stranger->stage = Stage::Waiting;
    stranger->since = now;
}

void Doorkeeper::greeted(Ticket ticket) {
    auto* stranger = find(ticket);
    if (stranger == nullptr || stranger->stage != Stage::Shaking) return;
    stranger->stage = Stage::Greeted;
    sources_.at(stranger->source).failures.give_back();
    failures_.give_back();
}

void Doorkeeper::proven(Ticket ticket) {
    greeted(ticket);
    gone(ticket);
}

void Doorkeeper::gone(Ticket ticket) {
    const auto* stranger = find(ticket);
    if (stranger == nullptr) return;
    auto& visits = sources_.at(stranger->source);
    --visits.here;
    if (stranger->stage >= Stage::Shaking) --visits.shaking;
    std::erase_if(strangers_, [ticket](const Stranger& one) { return one.ticket == ticket; });
}

std::optional<Doorkeeper::Ticket> Doorkeeper::poll_admitted(Instant now) {
    for (auto& stranger : strangers_) {
        if (stranger.stage != Stage::Waiting) continue;
        auto& visits = sources_.at(stranger.source);
        if (visits.shaking >= kPerSourceMax || visits.failures.next(now) > now) continue;
        if (!failures_.take(now)) return std::nullopt;
        if (!visits.failures.take(now)) continue;
        ++visits.shaking;
        stranger.stage = Stage::Shaking;
        stranger.since = now;
        return stranger.ticket;
    }
    return std::nullopt;
}

std::optional<Doorkeeper::Ticket> Doorkeeper::poll_dismissed(Instant now) {
    for (const auto& stranger : strangers_) {
        const bool silent = stranger.stage == Stage::Silent && now - stranger.since >= kSilenceMax;
        const bool waited = stranger.stage == Stage::Waiting && now - stranger.since >= kWaitMax;
        if (silent || waited) {
            dismissed_.push_back(stranger.ticket);
            break;
        }
    }
    if (dismissed_.empty()) return std::nullopt;
    const Ticket ticket = dismissed_.front();
    dismissed_.pop_front();
    gone(ticket);
    return ticket;
}

std::optional<Instant> Doorkeeper::poll_timeout(Instant now) {
    std::optional<Instant> next;
    const auto by = [&next](Instant at) { next = std::min(next.value_or(at), at); };
    for (const auto& stranger : strangers_) {
        if (stranger.stage == Stage::Silent) by(stranger.since + kSilenceMax);
        if (stranger.stage != Stage::Waiting) continue;
        by(stranger.since + kWaitMax);
        auto& visits = sources_.at(stranger.source);
        // One that waits for a place is admitted when somebody leaves, which is no matter of time.
        if (visits.shaking < kPerSourceMax) {
            by(std::max(visits.failures.next(now), failures_.next(now)));
        }
    }
    return next;
}

Doorkeeper::Stranger* Doorkeeper::find(Ticket ticket) {
    const auto found =
        std::find_if(strangers_.begin(), strangers_.end(), [ticket](const auto& one) {
            return one.ticket == ticket;
        });
    return found == strangers_.end() ? nullptr : &*found;
}

void Doorkeeper::dismiss_oldest_of_most() {
    const auto held = [this](const Stranger& one) { return sources_.at(one.source).here; };
    // The first of several: they are in the order in which they came.
    const auto oldest = std::max_element(
        strangers_.begin(),
        strangers_.end(),
        [&held](const Stranger& a, const Stranger& b) { return held(a) < held(b); }
    );
    const Ticket ticket = oldest->ticket;
    gone(ticket);
    dismissed_.push_back(ticket);
}

void Doorkeeper::forget_quiet_sources(Instant now) {
    for (auto at = sources_.begin(); at != sources_.end();) {
        const bool quiet = at->second.here == 0 && at->second.failures.full(now);
        at = quiet ? sources_.erase(at) : std::next(at);
    }
}

}  // namespace starling::peer
