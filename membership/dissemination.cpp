#include "membership/dissemination.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/check.hpp"
#include "membership/codec.hpp"

namespace starling::membership {

namespace {

/// Rumours looked at that do not fit before we give up: bounds the work on a long queue.
constexpr std::size_t kMissesMax = 16;

/// A record is sent so often by each member: one in 3,000 misses it. Where many peers join or end at once,
/// one in 50 does, and all know sooner. Among up to seven members each has it from several in any case.
constexpr std::size_t kRecordSends = 8;
constexpr std::size_t kRecordSendsOfMany = 4;
constexpr std::size_t kManyRumours = 128;

// The fields of a rank.
constexpr unsigned kTopicShift = 62;
constexpr unsigned kSentShift = 55;
constexpr unsigned kBadNewsShift = 54;
constexpr std::uint64_t kSentOnce = std::uint64_t{1} << kSentShift;
constexpr std::size_t kSentMax = (1U << (kTopicShift - kSentShift)) - 1;
constexpr std::uint64_t kAgeMax = (std::uint64_t{1} << kBadNewsShift) - 1;

std::size_t times_sent(std::uint64_t rank) {
    return rank >> kSentShift & kSentMax;
}

const PeerId& peer_of(const Message& message) {
    const auto* claim = std::get_if<Statement>(&message);
    return claim != nullptr ? claim->subject : std::get<ProgressRecord>(message).owner;
}

}  // namespace

std::size_t transmit_limit(std::size_t n) {
    const double members = std::max(1.0, static_cast<double>(n));
    return static_cast<std::size_t>(std::ceil(std::log(members) + 5.0));
}

void Dissemination::push(const Statement& statement) {
    push(statement.subject, Topic::Claim, is_accusation(statement.state), statement);
}

void Dissemination::push(const ProgressRecord& record) {
    // A signed record is newer than what waits, and an unsigned one must not keep it from spreading.
    if (record.is_signed) {
        if (const auto older = find(record.owner, Topic::Record); older != queue_.end())
            drop(older);
    }
    push(record.owner, record.is_signed ? Topic::SignedRecord : Topic::Record, false, record);
}

void Dissemination::pass_on(const ProgressRecord& record, std::size_t times) {
    STARLING_CHECK(times > 0 && times <= kRecordSends);
    const auto topic = record.is_signed ? Topic::SignedRecord : Topic::Record;
    push(record.owner, topic, false, record, kRecordSends - times);
}

void Dissemination::push(
    const PeerId& peer, Topic topic, bool bad_news, Message message, std::size_t sent
) {
    if (const auto older = find(peer, topic); older != queue_.end()) drop(older);
    Place place;
    // The newest has the smallest age.
    place.rank = static_cast<std::uint64_t>(topic) << kTopicShift |
                 std::uint64_t{sent} << kSentShift | std::uint64_t{bad_news} << kBadNewsShift |
                 (kAgeMax - pushed_++);
    place.prefix = peer.prefix64();
    place.size = static_cast<std::uint32_t>(wire_size(message));
    if (free_.empty()) {
        place.slot = static_cast<std::uint32_t>(messages_.size());
        messages_.push_back(std::move(message));
    } else {
        place.slot = free_.back();
        free_.pop_back();
        messages_[place.slot] = std::move(message);
    }
    if (topic == Topic::Claim) claim_bytes_ += place.size;
    queue_.insert(std::upper_bound(queue_.begin(), queue_.end(), place), place);
    if (queue_.size() > kRumoursMax) drop(std::prev(queue_.end()));
}

Dissemination::Places::iterator Dissemination::find(const PeerId& peer, Topic topic) {
    const auto prefix = peer.prefix64();
    return std::find_if(queue_.begin(), queue_.end(), [&](const Place& place) {
        return place.prefix == prefix &&
               place.rank >> kTopicShift == static_cast<std::uint64_t>(topic) &&
               peer_of(messages_[place.slot]) == peer;
    });
}

void Dissemination::drop(Places::iterator place) {
    release(*place);
    queue_.erase(place);
}

void Dissemination::release(const Place& place) {
    free_.push_back(place.slot);
    if (place.rank >> kTopicShift == 0) claim_bytes_ -= place.size;
}

void Dissemination::fill(std::vector<Message>& out, std::size_t budget, std::size_t limit) {
    STARLING_CHECK(limit <= kSentMax);
    // A member that misses a record hears it from its owner in time, so a few sends less save much.
    const bool few = limit < kRecordSends || queue_.size() > kManyRumours;
    const auto record_limit = std::min(limit, few ? kRecordSendsOfMany : kRecordSends);
    std::size_t misses = 0;
    auto kept = queue_.begin();
    auto place = queue_.begin();
    for (; place != queue_.end() && misses < kMissesMax; ++place) {
        if (place->size > budget) {
            ++misses;
            *kept++ = *place;
            continue;
        }
        budget -= place->size;
        out.push_back(messages_[place->slot]);
        const bool claim = place->rank >> kTopicShift == 0;
        if (times_sent(place->rank) + 1 >= (claim ? limit : record_limit)) {
            release(*place);
        } else {
            sent_.push_back(*place);
            sent_.back().rank += kSentOnce;
        }
    }
    queue_.erase(kept, place);
    // Those that were sent are still in order among themselves: merge from the back.
    auto from = queue_.insert(queue_.end(), sent_.size(), Place{});
    for (auto to = queue_.end(); !sent_.empty(); sent_.pop_back()) {
        const auto larger = std::upper_bound(queue_.begin(), from, sent_.back());
        to = std::move_backward(larger, from, to);
        from = larger;
        *--to = sent_.back();
    }
}

}  // namespace starling::membership
