#pragma once

// Whether what comes from one donor is like what others have. Donors train, so two honest copies differ
// by the swarm's spread and by the steps of a moment; a lie differs by more. Excerpts of some chunks are
// compared: of each a few floats, for which another peer is asked as soon as the giver has given them. So
// a giver cannot know what will be compared, and the two copies are of nearly one moment. If they are too
// far apart, a third one decides.
//
// Thread    network

#include <cstdint>
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
#include "base/rng.hpp"
#include "peer/transfer/chunk_pieces.hpp"

namespace starling::peer {

class CopyCheck {
public:
    static constexpr std::size_t kExcerpts = 16;
    /// Bytes of an excerpt. 4,096 floats in all say how far two copies are apart, to a few hundredths, and
    /// 16 KiB cost half a second where a line brings 0.25 Mbit/s.
    static constexpr std::size_t kExcerptBytes = 1024;
    /// Two honest copies may be so many times as far apart as partners are before they mix: the spread is
    /// a mean, an excerpt may be unlucky by a factor of two, and both copies went on meanwhile.
    static constexpr double kSpreads = 4.0;
    /// Below this distance, relative to the larger norm, copies are never called different. What is nearer
    /// than half of the norm a newcomer loses in its first exchanges, in which it counts for nobody.
    static constexpr double kNear = 0.5;
    /// Above this, copies are always called different. Zeros have the distance 1, another start 1.4, the
    /// opposite 2.
    static constexpr double kFar = 0.9;
    /// A model that has made fewer steps moves by much of its norm within a second, because it began near
    /// zero, so only kFar is a lie there.
    static constexpr std::uint64_t kYoungSteps = 1000;
    /// A copy is compared with none that is asked for so much later.
    static constexpr Duration kFresh = std::chrono::seconds(3);

    struct Question {
        std::size_t excerpt = 0;
        PeerId to;
    };

    struct Verdict {
        PeerId believed;
        PeerId refused;
        double distance = 0.0;
        bool majority = false;  ///< else there was no third copy that is like one of the two
    };

    enum class Step : std::uint8_t {
        Wait,     ///< for answers, or for chunks that are asked for
        Settled,  ///< all is here, and what could be compared is alike
    };

    /// Where an excerpt lies.
    struct Place {
        std::uint32_t chunk = 0;
        std::size_t offset = 0;
        std::size_t bytes = 0;
    };

    /// `salt` decides what is compared.
    CopyCheck(const ChunkPieces& pieces, std::uint64_t salt);

    /// Returns how far apart two honest copies may be.
    [[nodiscard]] static double bound(double spread, std::uint64_t schedule_step);

    /// Takes the excerpts that lie in a piece that comes now, before ChunkPieces::fill().
    void keep(
        Instant now,
        const ChunkPieces& pieces,
        const Piece& piece,
        ByteView bytes,
        const PeerId& giver
    );

    /// Goes on, with these peers to ask, the best first. Then drain questions and verdict.
    [[nodiscard]] Step advance(
        Instant now, const ChunkPieces& pieces, std::span<const PeerId> able, double bound
    );

    [[nodiscard]] std::optional<Question> poll_question();

    [[nodiscard]] std::optional<Verdict> poll_verdict() {
        return std::exchange(verdict_, std::nullopt);
    }

    [[nodiscard]] const Place& place(std::size_t excerpt) const { return excerpts_[excerpt].place; }

    void answered(std::size_t excerpt, const Place& place, const PeerId& from, ByteView bytes);

    /// No answer comes. With `again`, the same peer may be asked again.
    void unanswered(std::size_t excerpt, const PeerId& from, bool again);

    /// Forgets all that this peer gave or said.
    void forget(const PeerId& peer);

private:
    using Pair = std::pair<PeerId, PeerId>;

    struct Excerpt {
        Place place;
        std::optional<PeerId> giver;
        Instant given_at;
        std::vector<float> given;
        std::optional<PeerId> second;  ///< whose copy it is compared with
        std::optional<PeerId> third;   ///< whose copy decides
        std::map<PeerId, std::vector<float>> said;
        std::set<PeerId> pending;
        std::set<PeerId> mute;  ///< did not answer
    };

    [[nodiscard]] Place place_in(const ChunkPieces& pieces, std::uint32_t chunk);
    [[nodiscard]] bool ask(
        Excerpt& excerpt, std::optional<PeerId>& who, std::span<const PeerId> able, bool may_begin
    );
    [[nodiscard]] bool ask_all(
        Instant now, const ChunkPieces& pieces, std::span<const PeerId> able, double bound
    );
    void move(const ChunkPieces& pieces, Excerpt& excerpt);
    [[nodiscard]] double distance(const PeerId& a, const PeerId& b, const Pair& within) const;
    void judge(const Pair& pair, double apart, double bound);

    Rng rng_;
    std::vector<Excerpt> excerpts_;
    std::vector<Question> questions_;
    std::optional<Verdict> verdict_;
};

/// Returns a line for people about a verdict.
[[nodiscard]] std::string describe(const CopyCheck::Verdict& verdict);

}  // namespace starling::peer
