#pragma once

// How a newcomer gets the present parameters, as a machine without I/O. It asks trained peers what they
// offer, then fetches pieces of chunks from several donors at once, which go on training. What is on the
// way follows each donor's measured rate and round trip, and so does how long we wait: a slow link is
// slow, not dead. A donor that vanishes costs only what it had not yet answered. Chunks of different
// donors differ by the swarm's spread, and the newcomer's first exchanges average this away; that they
// do not differ by more is checked on an excerpt before the fetch is complete.
//
// Thread    network

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "peer/transfer/chunk_pieces.hpp"
#include "peer/transfer/copy_check.hpp"
#include "peer/transfer/donor_pace.hpp"
#include "peer/transfer/donor_trial.hpp"
#include "peer/transfer/outbox.hpp"
#include "peer/transfer/parameter_chunks.hpp"

namespace starling::peer {

/// It knows each peer that may give parameters as a candidate and keeps up to four of them as donors. A
/// candidate that does not answer makes room for another one, and is asked again later: so one peer that
/// answers is enough, whoever else is silent.
class StateFetch {
public:
    static constexpr std::size_t kDonorsMax = 4;
    /// Stands for our own disk among those that gave chunks. It is nobody's id.
    static constexpr PeerId kOurDisk{};
    /// Bytes on the way from all donors together.
    static constexpr std::size_t kInFlightMax = std::size_t{16} << 20U;
    /// A candidate may take so long to say what it offers.
    static constexpr Duration kAnswerTimeout = std::chrono::seconds(1);
    /// A candidate that is not ready, or whose stream broke, is asked again after so long.
    static constexpr Duration kAskAgain = std::chrono::milliseconds(250);
    /// A silent candidate is asked again after so long; twice as long after each further silence.
    static constexpr Duration kSilenceMin = std::chrono::milliseconds(500);
    static constexpr Duration kSilenceMax = std::chrono::seconds(8);
    /// A donor that is busy is not asked for so long; twice as long each time in a row.
    static constexpr Duration kBusyPause = std::chrono::milliseconds(2);
    static constexpr Duration kBusyPauseMax = std::chrono::milliseconds(256);

    /// `salt` decides whom to ask first; newcomers with different salts ask different peers. Of `kept` chunks
    /// the parameters hold what an earlier life has fetched.
    /// Requires  `parameters` and `out` outlive the fetch
    StateFetch(
        ParameterChunks& parameters,
        const LayoutHash& layout,
        std::uint64_t salt,
        Outbox& out,
        std::vector<std::uint32_t> kept = {}
    );

    /// Replaces the peers that may be donors. It may be called as often as one likes: it changes
    /// nothing for candidates that stay.
    void set_candidates(Instant now, std::span<const PeerId> candidates);

    /// Says how far apart peers that train are, relative to the norm.
    void set_spread(double spread) { spread_ = spread; }

    void handle_info(Instant now, const PeerId& from, ByteView payload);
    void handle_chunk(Instant now, const PeerId& from, ByteView payload);
    void handle_broken(Instant now, const PeerId& partner);
    void handle_timeout(Instant now);

    /// Returns when to call handle_timeout, or nothing when the fetch is complete.
    [[nodiscard]] std::optional<Instant> timeout() const;

    /// Returns whether all is here, and like what others have, where there are others.
    [[nodiscard]] bool complete() const { return settled_; }

    [[nodiscard]] std::size_t chunks_done() const { return pieces_.done(); }

    /// Returns a number that changes whenever something has come.
    [[nodiscard]] std::uint64_t progress() const { return progress_; }

    /// Returns the furthest place in the schedule that a donor named.
    [[nodiscard]] std::uint64_t schedule_step() const;

    [[nodiscard]] std::size_t donors() const { return count(Stage::Donor); }

    /// Returns how many donors gave what is not like what others have.
    [[nodiscard]] std::size_t refused() const { return refused_; }

    /// Returns a line for people.
    [[nodiscard]] std::optional<std::string> poll_note();

private:
    enum class Stage : std::uint8_t {
        Waiting,
        Asked,
        Donor,
        Spare,   ///< would give, but brings nothing more
        Barred,  ///< gave what it should not
    };

    struct Request {
        Piece piece;  ///< or the chunk alone, if an excerpt is asked for
        std::optional<std::size_t> excerpt;
        std::size_t offset = 0;
        std::size_t bytes = 0;
        bool whole = false;  ///< asked for in the words of earlier releases
        DonorPace::Mark mark;
    };

    struct Candidate {
        Stage stage = Stage::Waiting;
        bool listed = true;  ///< set_candidates() named it the last time
        Instant due;         ///< Waiting: when to ask; Asked: until when to wait; Donor: when to
                             ///< go on after "busy"
        Instant asked_at;    ///< for what it offers
        Duration silence = kSilenceMin;
        Duration pause = kBusyPause;
        Instant heard_at;  ///< when its last answer came
        bool gives_pieces = false;
        std::optional<std::uint64_t> step;  ///< its place in the schedule
        DonorPace pace;
        std::deque<Request> requests;  ///< in the order in which the answers come
    };

    struct Answer {
        std::uint32_t chunk = 0;
        bool busy = false;
        bool whole = false;  ///< of a request in the words of earlier releases
        std::size_t offset = 0;
        ByteView bytes;
    };

    struct Late {
        Instant asked_at;  ///< long ago, if the stream broke
        DonorPace::Mark mark;
    };

    using Candidates = std::map<PeerId, Candidate>;
    using LateKey = std::pair<PeerId, Piece>;

    // state_fetch.cpp
    [[nodiscard]] std::size_t count(Stage stage) const;
    [[nodiscard]] std::size_t engaged() const;
    [[nodiscard]] Candidates::iterator next_to_ask(Instant now);
    void ask_around(Instant now);
    void lose_donor(Instant now, const PeerId& donor);
    void recall_spares(Instant now);
    void adopt_kept(Instant now);

    // state_requests.cpp
    [[nodiscard]] static std::optional<Answer> read_answer(ByteView payload);
    [[nodiscard]] std::optional<Request> match(
        const PeerId& from, Candidate& candidate, const Answer& answer
    );
    [[nodiscard]] std::size_t piece_of(const Candidate& donor) const;
    [[nodiscard]] Candidates::iterator readiest(Instant now, const std::set<PeerId>& without);
    [[nodiscard]] std::optional<Instant> may_answer_until(const PeerId& donor, const Piece& piece)
        const;
    void request_more(Instant now);
    void request(Instant now, Candidates::value_type& donor, const Piece& piece);
    void request_excerpt(Instant now, const CopyCheck::Question& question);
    void take(Instant now, const PeerId& from, const Piece& piece, ByteView bytes);
    void handle_busy(Instant now, const PeerId& from, const Request& request);
    void give_up(const PeerId& donor, const Request& request, bool late);
    void give_up_all(const PeerId& donor, Candidate& candidate);
    void try_donors(Instant now);
    void check_copies(Instant now);
    void refuse(Instant now, const CopyCheck::Verdict& verdict);
    void refuse_kept(Instant now, double distance);
    [[nodiscard]] std::size_t in_flight() const;
    [[nodiscard]] std::optional<Instant> deadline(const Candidate& candidate) const;

    ParameterChunks& parameters_;
    LayoutHash layout_;
    std::uint64_t salt_;
    Outbox& out_;
    std::vector<std::uint32_t> kept_;
    Candidates candidates_;
    ChunkPieces pieces_;
    DonorTrial trial_;
    CopyCheck check_;
    /// Requests that were given up. Their answers are still welcome.
    std::map<LateKey, Late> late_;
    double spread_ = 0.0;
    bool settled_ = false;
    std::uint64_t progress_ = 0;
    std::size_t refused_ = 0;
    Instant requested_at_;  ///< when we last looked for something to request
    std::deque<std::string> notes_;
};

}  // namespace starling::peer
