#include "peer/transfer/copy_check.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/rng.hpp"

namespace starling::peer {

namespace {

constexpr std::uint64_t kExcerptPurpose = 0x636f7079;

std::vector<float> floats_of(ByteView bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

/// Adds what two copies of the same floats say about their distance.
struct Apart {
    double apart = 0.0;
    double norm_a = 0.0;
    double norm_b = 0.0;

    void add(const std::vector<float>& a, const std::vector<float>& b) {
        for (std::size_t i = 0; i < a.size(); ++i) {
            const double x = a[i];
            const double y = b[i];
            apart += (x - y) * (x - y);
            norm_a += x * x;
            norm_b += y * y;
        }
    }

    [[nodiscard]] double relative() const {
        const double norm = std::max(norm_a, norm_b);
        return norm > 0.0 ? std::sqrt(apart / norm) : 0.0;
    }
};

std::pair<PeerId, PeerId> pair_of(const PeerId& a, const PeerId& b) {
    return a < b ? std::pair{a, b} : std::pair{b, a};
}

}  // namespace

CopyCheck::CopyCheck(const ChunkPieces& pieces, std::uint64_t salt)
    : rng_(mix64(salt ^ kExcerptPurpose)) {
    std::vector<std::uint32_t> chunks(pieces.count());
    for (std::uint32_t i = 0; i < pieces.count(); ++i) chunks[i] = i;
    rng_.shuffle(std::span(chunks));
    chunks.resize(std::min(kExcerpts, chunks.size()));
    for (const auto chunk : chunks) {
        Excerpt excerpt;
        excerpt.place = place_in(pieces, chunk);
        excerpts_.push_back(std::move(excerpt));
    }
}

/// Returns a random place within one unit of a chunk, so that one peer gives all of it.
CopyCheck::Place CopyCheck::place_in(const ChunkPieces& pieces, std::uint32_t chunk) {
    const auto units = (pieces.size(chunk) + ChunkPieces::kUnit - 1) / ChunkPieces::kUnit;
    const auto from = static_cast<std::size_t>(rng_.below(units)) * ChunkPieces::kUnit;
    const auto room = std::min(ChunkPieces::kUnit, pieces.size(chunk) - from);
    const auto bytes = std::min(kExcerptBytes, room);
    const auto at = static_cast<std::size_t>(rng_.below((room - bytes) / sizeof(float) + 1));
    return {chunk, from + at * sizeof(float), bytes};
}

double CopyCheck::bound(double spread, std::uint64_t schedule_step) {
    if (schedule_step < kYoungSteps) return kFar;
    return std::clamp(kSpreads * spread, kNear, kFar);
}

void CopyCheck::keep(
    Instant now, const ChunkPieces& pieces, const Piece& piece, ByteView bytes, const PeerId& giver
) {
    const auto from = pieces.offset(piece);
    for (auto& excerpt : excerpts_) {
        const auto& place = excerpt.place;
        const bool within = place.chunk == piece.chunk && place.offset >= from &&
                            place.offset + place.bytes <= from + bytes.size();
        if (!within || pieces.unit_here(place.chunk, place.offset)) continue;
        // What was said before compares with an earlier copy.
        const auto mute = std::move(excerpt.mute);
        excerpt = Excerpt{
            place,
            giver,
            now,
            floats_of(bytes.subspan(place.offset - from, place.bytes)),
            {},
            {},
            {},
            {},
            {}};
        excerpt.mute = mute;
    }
}

/// Makes sure that somebody of those who may be asked has said, or is asked, what the excerpt is; a new
/// question is only asked if it may begin. Returns whether an answer is awaited.
bool CopyCheck::ask(
    Excerpt& excerpt, std::optional<PeerId>& who, std::span<const PeerId> able, bool may_begin
) {
    if (who && excerpt.said.contains(*who)) return false;
    if (who && excerpt.pending.contains(*who)) return true;
    who.reset();
    if (!may_begin) return false;
    for (const auto& peer : able) {
        if (peer == excerpt.giver || peer == excerpt.second || excerpt.mute.contains(peer))
            continue;
        who = peer;
        if (excerpt.said.contains(peer)) return false;
        excerpt.pending.insert(peer);
        questions_.push_back({static_cast<std::size_t>(&excerpt - excerpts_.data()), peer});
        return true;
    }
    return false;
}

bool CopyCheck::ask_all(
    Instant now, const ChunkPieces& pieces, std::span<const PeerId> able, double bound
) {
    bool waits = false;
    for (auto& excerpt : excerpts_) {
        if (!excerpt.giver) continue;
        const bool fresh = now - excerpt.given_at <= kFresh;
        if (ask(excerpt, excerpt.second, able, fresh)) waits = true;
        if (!excerpt.second && !fresh) move(pieces, excerpt);
        if (!excerpt.second || !excerpt.said.contains(*excerpt.second)) continue;
        Apart apart;
        apart.add(excerpt.given, excerpt.said.at(*excerpt.second));
        if (apart.relative() <= bound) continue;
        const bool soon = now - excerpt.given_at <= 2 * kFresh;
        if (ask(excerpt, excerpt.third, able, soon)) waits = true;
    }
    return waits;
}

/// Nobody could be asked for an excerpt while it was fresh. Takes one of what is still to come instead.
void CopyCheck::move(const ChunkPieces& pieces, Excerpt& excerpt) {
    const auto chunks = pieces.untouched();
    if (chunks.empty()) return;
    const auto place = place_in(pieces, chunks[rng_.below(chunks.size())]);
    excerpt = Excerpt{};
    excerpt.place = place;
}

/// Returns how far the copies of two peers are apart where this pair was compared; 0 if nothing was.
double CopyCheck::distance(const PeerId& a, const PeerId& b, const Pair& within) const {
    Apart apart;
    const auto copy = [](const Excerpt& excerpt, const PeerId& peer) -> const std::vector<float>* {
        if (excerpt.giver == peer) return &excerpt.given;
        const auto at = excerpt.said.find(peer);
        return at == excerpt.said.end() ? nullptr : &at->second;
    };
    for (const auto& excerpt : excerpts_) {
        if (!excerpt.giver || !excerpt.second) continue;
        if (pair_of(*excerpt.giver, *excerpt.second) != within) continue;
        const auto* x = copy(excerpt, a);
        const auto* y = copy(excerpt, b);
        if (x != nullptr && y != nullptr) apart.add(*x, *y);
    }
    return apart.relative();
}

CopyCheck::Step CopyCheck::advance(
    Instant now, const ChunkPieces& pieces, std::span<const PeerId> able, double bound
) {
    if (ask_all(now, pieces, able, bound) || !pieces.complete()) return Step::Wait;
    std::set<Pair> pairs;
    for (const auto& excerpt : excerpts_) {
        if (excerpt.giver && excerpt.second) pairs.insert(pair_of(*excerpt.giver, *excerpt.second));
    }
    for (const auto& pair : pairs) {
        const double apart = distance(pair.first, pair.second, pair);
        if (apart <= bound) continue;
        judge(pair, apart, bound);
        return Step::Wait;
    }
    return Step::Settled;
}

void CopyCheck::judge(const Pair& pair, double apart, double bound) {
    const auto& [a, b] = pair;
    std::map<PeerId, int> like;
    std::set<PeerId> thirds;
    for (const auto& excerpt : excerpts_) {
        const bool theirs = excerpt.giver && excerpt.second &&
                            pair_of(*excerpt.giver, *excerpt.second) == pair && excerpt.third;
        if (theirs && excerpt.said.contains(*excerpt.third)) thirds.insert(*excerpt.third);
    }
    for (const auto& third : thirds) {
        const bool like_a = distance(third, a, pair) <= bound;
        const bool like_b = distance(third, b, pair) <= bound;
        if (like_a != like_b) ++like[like_a ? a : b];
    }
    const bool majority = like[a] != like[b];
    const bool first = !majority || like[a] > like[b];  // the lower id, if nobody can say
    verdict_ = Verdict{first ? a : b, first ? b : a, apart, majority};
}

std::optional<CopyCheck::Question> CopyCheck::poll_question() {
    if (questions_.empty()) return std::nullopt;
    const auto question = questions_.back();
    questions_.pop_back();
    return question;
}

void CopyCheck::answered(
    std::size_t number, const Place& place, const PeerId& from, ByteView bytes
) {
    auto& excerpt = excerpts_[number];
    // It may have moved, or come anew, since this was asked.
    const bool same = excerpt.place.chunk == place.chunk && excerpt.place.offset == place.offset;
    if (excerpt.pending.erase(from) == 0 || !same) return;
    excerpt.said.insert_or_assign(from, floats_of(bytes));
}

void CopyCheck::unanswered(std::size_t excerpt, const PeerId& from, bool again) {
    excerpts_[excerpt].pending.erase(from);
    if (!again) excerpts_[excerpt].mute.insert(from);
}

void CopyCheck::forget(const PeerId& peer) {
    for (auto& excerpt : excerpts_) {
        excerpt.said.erase(peer);
        excerpt.pending.erase(peer);
        if (excerpt.second == peer) excerpt.second.reset();
        if (excerpt.third == peer) excerpt.third.reset();
        if (excerpt.giver == peer) excerpt.giver.reset();
    }
}

std::string describe(const CopyCheck::Verdict& verdict) {
    const auto percent = std::to_string(std::lround(100.0 * verdict.distance)) + " %";
    const auto believed = verdict.believed.short_string();
    const auto refused = verdict.refused.short_string();
    const auto apart = "the parameters of " + believed + " and " + refused + " differ by " +
                       percent + " of their norm";
    if (verdict.majority) {
        return apart + ", and a third peer's are like those of " + believed + "; " + refused +
               " is not believed";
    }
    return apart + ", and no third peer says which are right; taking those of " + believed +
           ", the lower id";
}

}  // namespace starling::peer
