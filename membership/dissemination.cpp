#include "membership/dissemination.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

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
    push(Key{statement.subject, Lane::Claim}, is_accusation(statement.state), statement);
}

void Dissemination::push(const ProgressRecord& record) {
    push(Key{record.owner, Lane::Record}, false, record);
}

void Dissemination::push(const Key& key, bool bad_news, Message message) {
    const Rank rank{key.lane, 0, bad_news, next_age_--};
    const auto [place, added] = places_.try_emplace(key, rank);
    if (!added) {
        queue_.erase(place->second);
        place->second = rank;
    }
    const auto size = wire_size(message);
    queue_.emplace(rank, Rumour{key, std::move(message), size});
    if (queue_.size() <= kRumoursMax) return;
    const auto last = std::prev(queue_.end());
    places_.erase(last->second.key);
    queue_.erase(last);
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
            continue;
        }
        places_[node.mapped().key] = node.key();
        queue_.insert(std::move(node));
    }
}

}  // namespace starling::membership
