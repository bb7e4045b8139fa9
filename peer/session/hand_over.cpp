#include "peer/session/hand_over.hpp"

#include <algorithm>
#include <set>

#include "base/check.hpp"
#include "data/ownership.hpp"
#include "peer/session/speed.hpp"

namespace starling::peer {

namespace {

/// So long the word of one that is gone may be newer than that of its heirs.
constexpr Duration kRecently = std::chrono::seconds(10);

/// A place is believed up to one epoch before and behind ours: whoever says more may lie, and nobody can
/// make up for many epochs of a single shard.
DutyPlace bounded(const DutyPlace& place, const std::optional<DutyPlace>& reference) {
    if (!reference) return place;
    auto low = *reference;
    auto high = *reference;
    low = low.epoch > 0 ? DutyPlace{low.epoch - 1, low.key} : DutyPlace{};
    high.epoch += high.epoch < kEpochMax ? 1 : 0;
    return std::clamp(place, low, high);
}

DutyPlace rounded(const data::EpochPlace& place) {
    const auto epoch = std::min<std::uint64_t>(place.epoch, kEpochMax);
    const auto key = std::min<std::uint64_t>(place.next >> kDutyKeyShift, 0xffff);
    return {static_cast<std::uint32_t>(epoch), static_cast<std::uint16_t>(key)};
}

data::EpochPlace exact(const DutyPlace& place) {
    return {place.epoch, std::uint64_t{place.key} << kDutyKeyShift};
}

}  // namespace

HandOver::HandOver(const PeerId& self, const data::Manifest& manifest)
    : self_(self),
      manifest_(manifest) {
    for (std::size_t i = 0; i < manifest.shards.size(); ++i) {
        const auto& shard = manifest.shards[i];
        if (shard.split == data::Split::Train) {
            numbers_.emplace(shard.id, static_cast<std::uint16_t>(i));
            train_.push_back(i);
        }
    }
}

/// Returns where most of the others are: the median of what they say.
std::optional<DutyPlace> HandOver::usual() const {
    std::vector<DutyPlace> places;
    for (const auto& [id, said] : said_) {
        const bool is_gone = std::any_of(gone_.begin(), gone_.end(), [&](const Gone& one) {
            return one.peer.id == id;
        });
        if (!is_gone) places.push_back(said.base);
    }
    if (places.empty()) return std::nullopt;
    const auto middle = places.begin() + static_cast<std::ptrdiff_t>((places.size() - 1) / 2);
    std::nth_element(places.begin(), middle, places.end());
    return *middle;
}

HandOver::LastWords HandOver::last_words(std::span<const TrainingPeer> owners) const {
    LastWords recent{{owners.begin(), owners.end()}, {}};
    for (const auto& gone : gone_) {
        if (!gone.recent) continue;
        const auto counted = [&](const TrainingPeer& peer) { return peer.id == gone.peer.id; };
        if (std::none_of(owners.begin(), owners.end(), counted)) recent.owners.push_back(gone.peer);
        recent.words[gone.peer.id] = &gone.said;
    }
    return recent;
}

void HandOver::change(
    std::span<const TrainingPeer> owners,
    std::span<const ShardId> duty,
    const std::optional<DutyPlace>& own
) {
    auto before = std::move(starts_);
    starts_.clear();
    std::vector<std::size_t> came;
    for (const auto& id : duty) {
        const auto number = numbers_.at(id);
        const auto known = before.find(number);
        starts_[number] = known == before.end() ? std::nullopt : known->second;
        if (known == before.end()) came.push_back(number);
    }
    if (owners.empty() || came.empty()) return;
    const auto reference = own ? own : usual();
    const auto recent = last_words(owners);
    const auto owner = data::owners_of(came, weigh(owners), manifest_);
    const auto before_that = data::owners_of(came, weigh(recent.owners), manifest_);
    for (std::size_t i = 0; i < came.size(); ++i) {
        const auto said = said_.find(owner[i]);
        const auto number = static_cast<std::uint16_t>(came[i]);
        if (owner[i] != self_ && said != said_.end()) {
            auto word = said->second.of(number);
            const auto last = recent.words.find(before_that[i]);
            if (last != recent.words.end()) word = std::min(word, last->second->of(number));
            starts_[number] = exact(bounded(word, reference));
        } else if (!own && reference) {
            // A newcomer has no place of its own to begin at.
            starts_[number] = exact(*reference);
        }
    }
}

void HandOver::note(Instant now, const SwarmView& view) {
    std::map<PeerId, DutyProgress> said;
    std::vector<Gone> gone;
    for (const auto& peer : view.others) {
        // Places are believed within an epoch, signed or not, and those of the last second repeat least.
        const auto& newest = peer.newest();
        if (!peer.record || !newest->duty) continue;
        said.emplace(peer.id, *newest->duty);
        if (peer.trains()) continue;
        const auto known = std::find_if(gone_.begin(), gone_.end(), [&](const Gone& one) {
            return one.peer.id == peer.id;
        });
        gone.push_back(
            known != gone_.end() ? std::move(*known)
                                 : Gone{{peer.id, peer.record->speed}, *newest->duty, now}
        );
        gone.back().recent = gone.back().recent && now - gone.back().since < kRecently;
    }
    said_ = std::move(said);
    gone_ = std::move(gone);
}

double HandOver::lead(const data::EpochPlace& own) const {
    const auto most = usual();
    if (!most) return 0.0;
    return epochs_of(rounded(own)) - epochs_of(*most);
}

std::vector<data::ShardStart> HandOver::starts() const {
    std::vector<data::ShardStart> starts;
    starts.reserve(starts_.size());
    for (const auto& [number, from] : starts_) {
        starts.push_back({manifest_.shards[number].id, from});
    }
    return starts;
}

/// Returns how far each of our shards is, rounded down.
std::vector<std::pair<std::uint16_t, DutyPlace>> HandOver::places_of(const TrainerReport& report
) const {
    const auto position = data::place_of(report.position);
    static const std::vector<data::ShardPlace> kNone;
    const auto& told = report.places ? *report.places : kNone;
    std::vector<std::pair<std::uint16_t, DutyPlace>> places;
    for (const auto& [number, from] : starts_) {
        const auto& id = manifest_.shards[number].id;
        const auto found = std::lower_bound(
            told.begin(), told.end(), id, [](const auto& a, const auto& b) { return a.id < b; }
        );
        auto place = from.value_or(position);
        if (found != told.end() && found->id == id) {
            place = found->held ? std::max(found->from, position) : found->from;
            // The trainer may not have heard of it yet.
            if (from) place = std::max(place, *from);
        }
        places.emplace_back(number, rounded(place));
    }
    return places;
}

double HandOver::left(
    const TrainerReport& report,
    const DutyPlace& target,
    const std::function<bool(const ShardId&)>& holds
) const {
    double samples = 0.0;
    for (const auto& [number, place] : places_of(report)) {
        const auto& shard = manifest_.shards[number];
        if (place >= target || !holds(shard.id)) continue;
        samples += (epochs_of(target) - epochs_of(place)) * shard.samples;
    }
    return samples;
}

void HandOver::know(KnownOwners& owners, std::span<const TrainingPeer> among) const {
    if (std::equal(among.begin(), among.end(), owners.among.begin(), owners.among.end())) return;
    owners.among.assign(among.begin(), among.end());
    owners.of = data::owners_of(train_, weigh(among), manifest_);
}

std::vector<PeerId> HandOver::behind(
    std::span<const TrainingPeer> owners, const TrainerReport& report, const DutyPlace& target
) {
    const auto recent = last_words(owners);
    know(now_owned_, owners);
    know(before_owned_, recent.owners);
    const auto ours = places_of(report);
    auto mine = ours.begin();
    std::set<PeerId> late;
    for (std::size_t i = 0; i < train_.size(); ++i) {
        const auto number = static_cast<std::uint16_t>(train_[i]);
        const auto& owner = now_owned_.of[i];
        while (mine != ours.end() && mine->first < number) ++mine;
        std::optional<DutyPlace> place;
        if (owner == self_) {
            if (mine != ours.end() && mine->first == number) place = mine->second;
        } else if (const auto said = said_.find(owner); said != said_.end()) {
            place = said->second.of(number);
            const auto last = recent.words.find(before_owned_.of[i]);
            if (last != recent.words.end()) place = std::min(*place, last->second->of(number));
        }
        if (!place || *place < target) late.insert(owner);
    }
    return {late.begin(), late.end()};
}

std::optional<DutyProgress> HandOver::progress(const TrainerReport& report) const {
    if (starts_.empty()) return std::nullopt;
    const auto places = places_of(report);
    std::map<DutyPlace, std::size_t> counts;
    for (const auto& [number, place] : places) ++counts[place];
    DutyProgress progress;
    const auto most = std::max_element(counts.begin(), counts.end(), [](auto& a, auto& b) {
        return a.second < b.second;
    });
    progress.base = most->first;
    for (const auto& [number, place] : places) {
        if (place != progress.base) progress.others.push_back({number, place});
    }
    if (!progress.fits()) return DutyProgress{counts.begin()->first, {}};
    return progress;
}

}  // namespace starling::peer
