// The piece of StateFetch that asks donors for pieces of chunks, takes their answers, and compares an excerpt
// of them with what others have.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "base/finite.hpp"
#include "peer/transfer/state_fetch.hpp"
#include "peer/transfer/state_wire.hpp"

namespace starling::peer {

namespace {

bool finite(ByteView bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return all_finite(values);
}

}  // namespace

std::size_t StateFetch::in_flight() const {
    std::size_t sum = 0;
    for (const auto& [id, candidate] : candidates_) sum += candidate.pace.in_flight();
    return sum;
}

/// Returns when a donor that has not answered has been silent for too long.
std::optional<Instant> StateFetch::deadline(const Candidate& candidate) const {
    if (candidate.requests.empty()) return std::nullopt;
    const auto asked_at = candidate.requests.front().mark.asked_at;
    return std::max(asked_at, candidate.heard_at) + candidate.pace.patience();
}

/// Returns until when a donor may still answer a request for this piece that we have given up, if there is
/// one. Asking it anew before would only bring the piece twice.
std::optional<Instant> StateFetch::may_answer_until(const PeerId& donor, const Piece& piece) const {
    const auto at = candidates_.find(donor);
    const auto late = late_.lower_bound({donor, {piece.chunk, 0, 0}});
    std::optional<Instant> until;
    for (auto one = late; one != late_.end(); ++one) {
        const auto& [who, asked] = one->first;
        if (who != donor || asked.chunk != piece.chunk) break;
        const bool apart =
            asked.first + asked.count <= piece.first || piece.first + piece.count <= asked.first;
        if (apart || at == candidates_.end()) continue;
        const auto may = one->second.asked_at + at->second.pace.patience();
        until = until ? std::max(*until, may) : may;
    }
    return until;
}

/// Returns the bytes to ask a donor for at once.
std::size_t StateFetch::piece_of(const Candidate& donor) const {
    constexpr auto kWhole = ChunkPieces::kUnit * ChunkPieces::kUnitsMax;
    if (!donor.gives_pieces) return kWhole;
    return std::clamp(
        donor.pace.piece() / ChunkPieces::kUnit * ChunkPieces::kUnit, ChunkPieces::kUnit, kWhole
    );
}

/// Returns the donor with room in its window that would answer first.
StateFetch::Candidates::iterator StateFetch::readiest(
    Instant now, const std::set<PeerId>& without
) {
    auto best = candidates_.end();
    double best_wait = 0.0;
    const auto in_all = in_flight();
    for (auto at = candidates_.begin(); at != candidates_.end(); ++at) {
        const auto& donor = at->second;
        if (donor.stage != Stage::Donor || donor.due > now || without.contains(at->first)) continue;
        if (trial_.rests() == at->first) continue;
        const auto piece = piece_of(donor);
        const auto held = donor.pace.in_flight();
        if (held + piece > donor.pace.window(piece) || in_all + piece > kInFlightMax) continue;
        const double wait =
            static_cast<double>(held + piece) / std::max(donor.pace.rate(), DonorPace::kSlowest);
        if (best != candidates_.end() && wait >= best_wait) continue;
        best = at;
        best_wait = wait;
    }
    return best;
}

void StateFetch::request_more(Instant now) {
    requested_at_ = now;
    std::set<PeerId> without;  // donors for which nothing is left
    while (pieces_.any_free()) {
        const auto donor = readiest(now, without);
        if (donor == candidates_.end()) break;
        const auto& candidate = donor->second;
        const auto piece = pieces_.free_piece(
            piece_of(candidate) / ChunkPieces::kUnit,
            !candidate.gives_pieces,
            [&](const Piece& free) {
                const auto until = may_answer_until(donor->first, free);
                return !until || *until <= now;
            }
        );
        if (piece) {
            request(now, *donor, *piece);
        } else {
            without.insert(donor->first);
        }
    }
    check_copies(now);
}

void StateFetch::request(Instant now, Candidates::value_type& donor, const Piece& piece) {
    auto& [id, candidate] = donor;
    Request request;
    request.piece = piece;
    request.offset = pieces_.offset(piece);
    request.bytes = pieces_.bytes(piece);
    request.whole = pieces_.is_whole(piece);
    request.mark = candidate.pace.asked(now, request.bytes);
    pieces_.ask(piece);
    late_.erase({id, piece});
    Bytes payload;
    ByteWriter writer(payload);
    writer.put(piece.chunk);
    if (!request.whole) {
        writer.put(static_cast<std::uint32_t>(request.offset));
        writer.put(static_cast<std::uint32_t>(request.bytes));
    }
    candidate.requests.push_back(request);
    out_.push_back({id, FrameType::StateRequest, std::move(payload)});
}

void StateFetch::request_excerpt(Instant now, const CopyCheck::Question& question) {
    const auto at = candidates_.find(question.to);
    STARLING_CHECK(at != candidates_.end());
    const auto& place = check_.place(question.excerpt);
    Request request;
    request.piece.chunk = place.chunk;
    request.excerpt = question.excerpt;
    request.offset = place.offset;
    request.bytes = place.bytes;
    request.mark = at->second.pace.asked(now, request.bytes);
    at->second.requests.push_back(request);
    Bytes payload;
    ByteWriter writer(payload);
    writer.put(place.chunk);
    writer.put(static_cast<std::uint32_t>(place.offset));
    writer.put(static_cast<std::uint32_t>(place.bytes));
    out_.push_back({question.to, FrameType::StateRequest, std::move(payload)});
}

std::optional<StateFetch::Answer> StateFetch::read_answer(ByteView payload) {
    ByteReader reader(payload);
    Answer answer;
    answer.chunk = reader.take<std::uint32_t>();
    const auto status = reader.take<ChunkStatus>();
    answer.busy = status == ChunkStatus::Busy;
    answer.whole = status == ChunkStatus::Here || (answer.busy && reader.remaining() == 0);
    if (!answer.whole) answer.offset = reader.take<std::uint32_t>();
    answer.bytes = reader.take_bytes(reader.remaining());
    if (!reader.ok() || status > ChunkStatus::Piece) return std::nullopt;
    return answer;
}

/// Returns the request that this answers, which waits no longer. Answers come in the order of the
/// requests, so those that were made before will hardly be answered.
std::optional<StateFetch::Request> StateFetch::match(
    const PeerId& from, Candidate& candidate, const Answer& answer
) {
    auto& requests = candidate.requests;
    const auto at = std::find_if(requests.begin(), requests.end(), [&](const Request& request) {
        if (request.piece.chunk != answer.chunk || request.whole != answer.whole) return false;
        if (answer.whole) return true;
        const bool same = request.offset == answer.offset;
        return same && (answer.busy || request.bytes == answer.bytes.size());
    });
    if (at == requests.end()) return std::nullopt;
    for (auto before = at - requests.begin(); before > 0; --before) {
        give_up(from, requests.front(), true);
        requests.pop_front();
    }
    auto request = requests.front();
    requests.pop_front();
    return request;
}

void StateFetch::handle_chunk(Instant now, const PeerId& from, ByteView payload) {
    const auto answer = read_answer(payload);
    const auto at = candidates_.find(from);
    if (!answer || at == candidates_.end() || at->second.stage == Stage::Barred || settled_) return;
    auto& candidate = at->second;
    const auto asked = match(from, candidate, *answer);
    if (!asked) {
        // A request that we have given up may be answered all the same.
        const auto size = answer->bytes.size();
        const auto piece = answer->whole ? pieces_.whole(answer->chunk)
                                         : pieces_.piece_at(answer->chunk, answer->offset, size);
        if (!piece || answer->busy) return;
        const auto late = late_.find({from, *piece});
        if (late == late_.end()) return;
        candidate.heard_at = now;
        candidate.pace.answered_late(now, late->second.mark, size);
        late_.erase(late);
        take(now, from, *piece, answer->bytes);
        return;
    }
    candidate.heard_at = now;
    if (answer->busy) return handle_busy(now, from, *asked);
    candidate.pause = kBusyPause;
    candidate.pace.answered(now, asked->mark, asked->bytes);
    if (!asked->excerpt) {
        pieces_.release(asked->piece);
        take(now, from, asked->piece, answer->bytes);
    } else if (finite(answer->bytes)) {
        progress_ += 1;
        const CopyCheck::Place place{asked->piece.chunk, asked->offset, asked->bytes};
        check_.answered(*asked->excerpt, place, from, answer->bytes);
        request_more(now);
    } else {
        check_.unanswered(*asked->excerpt, from, false);
        lose_donor(now, from);
    }
}

void StateFetch::handle_busy(Instant now, const PeerId& from, const Request& request) {
    auto& candidate = candidates_.at(from);
    give_up(from, request, false);
    candidate.due = now + candidate.pause;
    candidate.pause = std::min(2 * candidate.pause, kBusyPauseMax);
    request_more(now);
}

/// Takes in a piece that we have asked `from` for.
void StateFetch::take(Instant now, const PeerId& from, const Piece& piece, ByteView bytes) {
    if (bytes.size() != pieces_.bytes(piece) || !finite(bytes)) return lose_donor(now, from);
    trial_.arrived(bytes.size());
    ++progress_;
    if (!pieces_.here(piece.chunk)) check_.keep(now, pieces_, piece, bytes, from);
    if (const auto whole = pieces_.fill(piece, bytes, from)) {
        const bool kept = parameters_.write(piece.chunk, *whole);
        pieces_.confirm(piece.chunk, kept);
        std::erase_if(late_, [&](const auto& one) {
            return kept && one.first.second.chunk == piece.chunk;
        });
    }
    try_donors(now);
    request_more(now);
}

/// Stops waiting for an answer. If it may come `late`, it is still welcome.
void StateFetch::give_up(const PeerId& donor, const Request& request, bool late) {
    candidates_.at(donor).pace.given_up(request.bytes);
    if (request.excerpt) return check_.unanswered(*request.excerpt, donor, !late);
    pieces_.release(request.piece);
    if (!late) return;
    late_.insert_or_assign({donor, request.piece}, Late{request.mark.asked_at, request.mark});
}

void StateFetch::give_up_all(const PeerId& donor, Candidate& candidate) {
    const auto requests = std::exchange(candidate.requests, {});
    for (const auto& request : requests) give_up(donor, request, true);
}

/// Lets go who brings nothing, and takes back who may.
void StateFetch::try_donors(Instant now) {
    if (!pieces_.any_free()) return;
    std::vector<DonorTrial::Donor> donors;
    for (const auto& [id, candidate] : candidates_) {
        if (candidate.stage != Stage::Donor) continue;
        const auto& pace = candidate.pace;
        donors.push_back({id, pace.rate(), pace.in_flight(), piece_of(candidate), pace.round_trip()}
        );
    }
    if (const auto idle = trial_.advance(now, donors)) {
        candidates_.at(*idle).stage = Stage::Spare;
    }
    if (trial_.fell()) {
        recall_spares(now);
        trial_.changed(now);
    }
}

/// Asks others for excerpts of what has come. The fetch is complete when all is here and nothing differs.
void StateFetch::check_copies(Instant now) {
    if (settled_) return;
    std::vector<PeerId> able;
    for (const auto& [id, candidate] : candidates_) {
        const bool gives = candidate.stage == Stage::Donor || candidate.stage == Stage::Spare;
        if (gives && candidate.gives_pieces) able.push_back(id);
    }
    std::stable_sort(able.begin(), able.end(), [this](const PeerId& a, const PeerId& b) {
        return candidates_.at(a).pace.rate() > candidates_.at(b).pace.rate();
    });
    // One that is busy is not asked for the moment, but it counts as one that can be.
    const auto step =
        check_.advance(now, pieces_, able, CopyCheck::bound(spread_, schedule_step()));
    while (const auto question = check_.poll_question()) {
        if (candidates_.at(question->to).due > now) {
            check_.unanswered(question->excerpt, question->to, true);
        } else {
            request_excerpt(now, *question);
        }
    }
    if (const auto verdict = check_.poll_verdict()) return refuse(now, *verdict);
    settled_ = step == CopyCheck::Step::Settled;
}

/// Takes what an earlier life has fetched, as if our disk had given it now.
void StateFetch::adopt_kept(Instant now) {
    for (const auto chunk : std::exchange(kept_, {})) {
        const auto piece = pieces_.whole(chunk);
        if (!piece || pieces_.here(chunk)) continue;
        Bytes bytes(pieces_.size(chunk));
        if (!parameters_.try_read(chunk, bytes) || !finite(bytes)) continue;
        ++progress_;
        check_.keep(now, pieces_, *piece, bytes, kOurDisk);
        if (pieces_.fill(*piece, bytes, kOurDisk)) pieces_.confirm(chunk, true);
    }
}

/// What we had fetched is too old, or somebody has lied to our last life: fetches all of it anew.
void StateFetch::refuse_kept(Instant now, double distance) {
    notes_.push_back(
        "the parameters that this peer had fetched before it was stopped differ by " +
        std::to_string(std::lround(100.0 * distance)) +
        " % of their norm from those of others; fetching them anew"
    );
    check_.forget(kOurDisk);
    pieces_.forget(kOurDisk);
    request_more(now);
}

/// Bars the peer whose copy is not believed, and asks others for what it gave.
void StateFetch::refuse(Instant now, const CopyCheck::Verdict& verdict) {
    if (verdict.believed == kOurDisk || verdict.refused == kOurDisk) {
        return refuse_kept(now, verdict.distance);
    }
    notes_.push_back(describe(verdict));
    ++refused_;
    check_.forget(verdict.refused);
    pieces_.forget(verdict.refused);
    std::erase_if(late_, [&](const auto& one) { return one.first.first == verdict.refused; });
    candidates_.at(verdict.refused).stage = Stage::Barred;
    lose_donor(now, verdict.refused);
    check_copies(now);
}

}  // namespace starling::peer
