#include "peer/session/jury.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.hpp"
#include "peer/terms/qualities.hpp"

namespace starling::peer {

namespace {

/// Returns the place of the median of some values; of two, the first one's.
std::size_t median_place(const std::vector<double>& values) {
    STARLING_CHECK(!values.empty());
    if (values.size() == 2) return 0;
    std::vector<std::size_t> places(values.size());
    for (std::size_t i = 0; i < places.size(); ++i) places[i] = i;
    std::stable_sort(places.begin(), places.end(), [&values](std::size_t a, std::size_t b) {
        return values[a] < values[b];
    });
    return places[places.size() / 2];
}

/// Returns how many things an evaluation counts at most in so many samples.
std::uint64_t counted_most(const data::Manifest& manifest, std::uint64_t samples) {
    const bool boxes = manifest.schema.label.kind == data::LabelKind::Boxes;
    const std::uint64_t each = boxes ? data::kBoxesMax : manifest.labels_per_sample();
    return samples * std::max<std::uint64_t>(1, each);
}

/// Returns the sums of a portion: loss and accuracy each by the median of what is said.
compute::EvalResult median_result(const std::vector<const PortionWord*>& voices) {
    std::vector<double> losses;
    std::vector<double> accuracies;
    for (const auto* voice : voices) {
        losses.push_back(voice->result.loss());
        accuracies.push_back(voice->result.accuracy());
    }
    auto result = voices[median_place(losses)]->result;
    const auto& right = voices[median_place(accuracies)]->result;
    const auto correct = right.accuracy() * static_cast<double>(result.samples);
    result.correct = right.samples == result.samples
                         ? right.correct
                         : static_cast<std::uint64_t>(std::llround(correct));
    return result;
}

}  // namespace

Jury::Jury(
    const PeerId& self,
    const data::Manifest& manifest,
    const data::SplitShares& shares,
    const Until& until,
    Outbox& out
)
    : self_(self),
      manifest_(manifest),
      shares_(shares),
      goal_(watched_quality(manifest, until)),
      out_(out),
      empty_(empty_tallies(manifest.schema.label)) {}

void Jury::follow(std::uint32_t round) {
    if (round == round_) return;
    round_ = round;
    own_done_ = false;
    complete_ = false;
    idle_since_.reset();
    own_.clear();
    said_.clear();
    sent_.clear();
    findings_.clear();
    check_ = {};
    ranked_of_.clear();
    judges_.clear();
}

void Jury::handle_own(Instant now, std::vector<PortionWord> words, Duration took) {
    if (own_done_) return;
    own_done_ = true;
    own_at_ = now;
    took_ = took;
    for (auto& word : words) {
        word.round = round_;
        word.portions = static_cast<std::uint16_t>(shares_.portions().size());
        fit_tallies(word.tallies, watched(), word_room(word.portions));
        // Sums that are none, as of a loss without a bound, are as if we had not judged.
        const bool sound = decode_portion_word(encode_portion_word(word)).has_value();
        if (sound && plausible(word)) own_[word.portion] = std::move(word);
    }
}

/// Returns the place of the tally that tells what is watched; behind the last one where none does.
std::size_t Jury::watched() const {
    const auto at = std::find_if(empty_.begin(), empty_.end(), [this](const compute::Tally& tally) {
        return compute::knows(tally, goal_);
    });
    return static_cast<std::size_t>(at - empty_.begin());
}

/// Returns whether a word can be one of an evaluation of this data set.
bool Jury::plausible(const PortionWord& word) const {
    const auto& portions = shares_.portions();
    if (word.portions != portions.size() || word.portion >= portions.size()) return false;
    const auto most = counted_most(manifest_, portions[word.portion].samples);
    if (word.result.samples > most || word.tallies.size() > empty_.size()) return false;
    std::size_t room = word_room(portions.size());
    for (std::size_t i = 0; i < word.tallies.size(); ++i) {
        const auto size = word.tallies[i].size();
        if (size == 0) continue;
        if (size > room) return false;
        room -= size;
        const auto tally = compute::decode_tally(word.tallies[i]);
        auto sum = empty_[i];
        if (!tally || compute::count(*tally) > most || !compute::merge(sum, *tally)) return false;
    }
    return true;
}

bool Jury::handle_frame(const PeerId& from, ByteView payload) {
    auto word = decode_portion_word(payload);
    if (word.has_error() || from == self_ || word->round != round_ || !plausible(*word)) {
        return false;
    }
    const std::size_t portion = word->portion;
    auto& words = said_[portion];
    words.insert_or_assign(from, std::move(*word));
    if (words.size() <= kVoicesMax) return true;
    std::vector<PeerId> senders;
    for (const auto& [peer, said] : words) senders.push_back(peer);
    words.erase(shares_.ranked(portion, round_, senders, senders.size()).back());
    return words.contains(from);
}

void Jury::handle_broken(const PeerId& partner) {
    std::erase_if(sent_, [&partner](const auto& entry) { return entry.first == partner; });
}

/// Finds who speaks of each portion: the first in rank of all.
void Jury::rank(const Others& others) {
    auto all = others.all;
    all.push_back(self_);
    std::sort(all.begin(), all.end());
    if (all == ranked_of_) return;
    ranked_of_ = std::move(all);
    judges_.clear();
    for (std::size_t i = 0; i < shares_.portions().size(); ++i) {
        judges_.push_back(shares_.ranked(i, round_, ranked_of_));
    }
}

void Jury::update(Instant now, const Others& others) {
    if (!own_done_) return;
    if (!others.votes) own_.clear();
    rank(others);
    for (std::size_t i = 0; i < judges_.size(); ++i) {
        const auto& judges = judges_[i];
        const bool ours = std::find(judges.begin(), judges.end(), self_) != judges.end();
        if (ours) send(i, others.all);
    }
    if (complete_ || waits(now, others)) return;
    compare();
    add_up();
    complete_ = true;
}

/// Who has not judged a portion says so: the others need not wait for it.
void Jury::send(std::size_t portion, const std::vector<PeerId>& to) {
    Bytes frame;
    for (const auto& partner : to) {
        if (!sent_.insert({partner, portion}).second) continue;
        if (frame.empty()) {
            PortionWord word;
            const auto own = own_.find(portion);
            if (own != own_.end()) word = own->second;
            word.round = round_;
            word.portion = static_cast<std::uint16_t>(portion);
            word.portions = static_cast<std::uint16_t>(shares_.portions().size());
            frame = encode_portion_word(word);
        }
        out_.push_back({partner, FrameType::Exchange, frame});
    }
}

bool Jury::waits(Instant now, const Others& others) {
    const auto awaited = missing();
    if (awaited.empty()) return false;
    if (now - own_at_ >= std::max(kGatherMin, took_)) return false;
    const bool busy = std::any_of(awaited.begin(), awaited.end(), [&others](const PeerId& peer) {
        return std::find(others.busy.begin(), others.busy.end(), peer) != others.busy.end();
    });
    if (busy) {
        idle_since_.reset();
    } else if (!idle_since_) {
        idle_since_ = now;
    }
    return !idle_since_ || now - *idle_since_ < kGrace;
}

/// Returns who should speak of a portion and has not.
std::vector<PeerId> Jury::missing() const {
    std::set<PeerId> missing;
    for (std::size_t i = 0; i < judges_.size(); ++i) {
        const auto words = said_.find(i);
        for (const auto& judge : judges_[i]) {
            const bool here = words != said_.end() && words->second.contains(judge);
            if (judge != self_ && !here) missing.insert(judge);
        }
    }
    return {missing.begin(), missing.end()};
}

bool Jury::suspected(const PeerId& peer) const {
    return std::any_of(
        check_.suspects.begin(),
        check_.suspects.end(),
        [&peer](const auto& suspect) { return suspect.peer == peer; }
    );
}

/// Returns what counts of a portion: the words of the first three in rank that have judged it, the first one first.
/// Whoever vanished after its word was one of them. Who is off is heard where nobody else has spoken.
std::vector<const PortionWord*> Jury::voices(std::size_t portion) const {
    std::map<PeerId, const PortionWord*> words;
    if (const auto own = own_.find(portion); own != own_.end()) words[self_] = &own->second;
    if (const auto said = said_.find(portion); said != said_.end()) {
        for (const auto& [peer, word] : said->second) {
            if (word.result.samples > 0) words[peer] = &word;
        }
    }
    std::vector<PeerId> peers;
    for (const auto& [peer, word] : words) {
        if (!suspected(peer)) peers.push_back(peer);
    }
    if (peers.empty()) {
        for (const auto& [peer, word] : words) peers.push_back(peer);
    }
    std::vector<const PortionWord*> first;
    for (const auto& peer : shares_.ranked(portion, round_, peers)) first.push_back(words[peer]);
    // Of two the first one counts, and ours before it.
    const auto own = words.find(self_);
    const bool two = first.size() == 2 && own != words.end();
    if (two && first[1] == own->second) std::swap(first[0], first[1]);
    return first;
}

std::vector<std::optional<compute::Tally>> Jury::tallies_of(const PortionWord& word) const {
    std::vector<std::optional<compute::Tally>> tallies(empty_.size());
    for (std::size_t i = 0; i < word.tallies.size(); ++i) {
        if (word.tallies[i].empty()) continue;
        if (auto tally = compute::decode_tally(word.tallies[i])) tallies[i] = std::move(*tally);
    }
    return tallies;
}

/// Returns by which quality of theirs tallies are compared.
compute::QualityKind Jury::kind_of(const compute::Tally& tally) const {
    if (compute::knows(tally, goal_)) return goal_;
    for (const auto kind : known_qualities(manifest_)) {
        if (compute::knows(tally, kind)) return kind;
    }
    return compute::QualityKind::Loss;
}

namespace {

/// The tallies of one split, added up.
struct Sums {
    compute::EvalResult result;
    std::uint64_t samples = 0;
    std::vector<compute::Tally> tallies;
    std::vector<bool> whole;  ///< no portion lacks this tally
};

}  // namespace

/// All who have the same words get the same bits: portions come in their order, voices in that of rank.
void Jury::add_up() {
    std::map<data::Split, Sums> sums;
    for (std::size_t i = 0; i < shares_.portions().size(); ++i) {
        const auto& portion = shares_.portions()[i];
        auto& sum = sums[portion.split];
        if (sum.whole.empty()) {
            sum.tallies = empty_;
            sum.whole.assign(empty_.size(), true);
        }
        const auto voices = this->voices(i);
        if (voices.empty()) continue;
        sum.samples += portion.samples;
        sum.result += median_result(voices);
        std::vector<std::vector<std::optional<compute::Tally>>> told;
        for (const auto* voice : voices) told.push_back(tallies_of(*voice));
        for (std::size_t k = 0; k < empty_.size(); ++k) {
            std::vector<const compute::Tally*> found;
            std::vector<double> values;
            for (const auto& tallies : told) {
                if (!tallies[k]) continue;
                found.push_back(&*tallies[k]);
                // One that cannot tell, without a positive for instance, is like the others.
                values.push_back(compute::quality(*tallies[k], kind_of(*tallies[k])).value_or(-1));
            }
            const bool added =
                !found.empty() && compute::merge(sum.tallies[k], *found[median_place(values)]);
            if (!added) sum.whole[k] = false;
        }
    }
    for (const auto& [split, sum] : sums) {
        auto& findings = findings_[split];
        findings.samples = sum.samples;
        findings.examined.result = sum.result;
        for (const auto kind : known_qualities(manifest_)) {
            // The sums of the engine tell these two.
            if (kind == compute::QualityKind::Accuracy || kind == compute::QualityKind::Loss) {
                continue;
            }
            for (std::size_t k = 0; k < empty_.size(); ++k) {
                if (!compute::knows(empty_[k], kind)) continue;
                const auto value = compute::quality(sum.tallies[k], kind);
                if (sum.whole[k] && value) findings.examined.qualities.push_back({kind, *value});
                break;
            }
        }
    }
}

PortionValues Jury::values_of(const PortionWord& word) const {
    PortionValues values{word.result, std::nullopt};
    const auto i = watched();
    const auto tallies = tallies_of(word);
    if (i < tallies.size() && tallies[i]) values.quality = compute::quality(*tallies[i], goal_);
    return values;
}

/// Each also judges its own share: what others say of it can be seen to be wrong.
void Jury::compare() {
    PortionFindings ours;
    for (const auto& [portion, word] : own_) ours[portion] = values_of(word);
    std::map<PeerId, PortionFindings> others;
    for (const auto& [portion, words] : said_) {
        if (!ours.contains(portion)) continue;
        for (const auto& [peer, word] : words) others[peer][portion] = values_of(word);
    }
    check_ = cross_check(ours, others, goal_);
}

const JointFindings& Jury::findings(data::Split split) const {
    STARLING_CHECK(complete_);
    return findings_.at(split);
}

}  // namespace starling::peer
