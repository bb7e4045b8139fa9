#include "membership/dissemination.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "membership/codec.hpp"

namespace starling::membership {

namespace {

/// Rumours looked at that do not fit before we give up: bounds the work on a long queue.
constexpr std::size_t kMissesMax = 16;

}  // namespace

std::size_t transmit_limit(std::size_t n) {
    const double members = std::max(1.0, static_cast<double>(n));
    return static_cast<std::size_t>(std::ceil(std::log(members) + 5.0));
}

void Dissemination::push(const Statement& statement) {
    push(Key{statement.subject, Topic::Claim}, is_accusation(statement.state), statement);
}

void Dissemination::push(const ProgressRecord& record) {
    push(Key{record.owner, Topic::Record}, false, record);
}

void Dissemination::insert(const Rank& rank, Rumour rumour) {
    if (rank.topic == Topic::Claim) claim_bytes_ += rumour.size;
    queue_.emplace(rank, std::move(rumour));
}

Dissemination::Rumour Dissemination::take(std::map<Rank, Rumour>::iterator place) {
    if (place->first.topic == Topic::Claim) claim_bytes_ -= place->second.size;
    Rumour rumour = std::move(place->second);
    queue_.erase(place);
    return rumour;
}

void Dissemination::push(const Key& key, bool bad_news, Message message) {
    const Rank rank{key.topic, 0, bad_news, next_age_--};
    const auto [place, added] = places_.try_emplace(key, rank);
    if (!added) {
        take(queue_.find(place->second));
        place->second = rank;
    }
    const auto size = wire_size(message);
    insert(rank, Rumour{key, std::move(message), size});
    if (queue_.size() <= kRumoursMax) return;
    places_.erase(take(std::prev(queue_.end())).key);
}

void Dissemination::fill(std::vector<Message>& out, std::size_t budget, std::size_t limit) {
    std::vector<std::map<Rank, Rumour>::node_type> sent;
    std::size_t misses = 0;
    for (auto place = queue_.begin(); place != queue_.end() && misses < kMissesMax;) {
        const auto current = place++;
        if (current->second.size > budget) {
            ++misses;
            continue;
        }
        budget -= current->second.size;
        out.push_back(current->second.message);
        sent.push_back(queue_.extract(current));
    }
    for (auto& node : sent) {
        if (++node.key().sent >= limit) {
            places_.erase(node.mapped().key);
            if (node.key().topic == Topic::Claim) claim_bytes_ -= node.mapped().size;
            continue;
        }
        places_[node.mapped().key] = node.key();
        queue_.insert(std::move(node));
    }
}

}  // namespace starling::membership
