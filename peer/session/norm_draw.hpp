#pragma once

// Before the last evaluation: batch norm's running statistics are drawn anew. Each of the drawers runs the final
// parameters over some batches of its own data and sends what its norms have seen to everybody; everybody joins
// the parts to the moments of the whole and takes these. All have the same drawers, so all get the same.
// docs/decisions/0050-norms-drawn-anew.md says why.
//
// Use: begin() when the peers agree; give the trainer's moments to handle_drawn(), frames to handle_frame(), and call
// update() with each view. merged() goes to the trainer while stage() is Setting.
//
// Thread    network

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "compute/values/norm_moments.hpp"
#include "peer/terms/training.hpp"
#include "peer/transfer/outbox.hpp"

namespace starling::peer {

/// What one peer's norms have seen, as it travels: a frame of averaging's protocol, version 1.4, kind 9, which
/// older releases skip.
struct NormPart {
    std::uint32_t round = 0;  ///< of the end
    compute::NormMoments moments;
};

/// Returns whether the payload of an Exchange frame is such a part. The averager has no use for it.
[[nodiscard]] bool is_norm_part(ByteView payload);
/// Encodes a part. Means and variances travel as f32.
[[nodiscard]] Bytes encode_norm_part(const NormPart& part);
/// Returns how many channels of batch norms have a mean and a variance that run.
[[nodiscard]] std::size_t norm_channels(const compute::ParameterLayout& layout);

/// Errors    Truncated, BadFormat, BadValue (what no norm has seen)
[[nodiscard]] Result<NormPart> decode_norm_part(ByteView payload);

/// The peers with so many least ids draw, and the others only take.
inline constexpr std::size_t kNormDrawersMax = 32;
/// More channels than these do not fit a frame; then statistics stay as averaging leaves them.
inline constexpr std::size_t kNormChannelsMax = std::size_t{64} * 1024 - 64;

class NormDraw {
public:
    enum class Stage : std::uint8_t { Idle, Drawing, Gathering, Setting, Done };

    /// With 0 channels, or too many, nothing is ever drawn or sent. No part counts more than
    /// kNormBatches of `batch` samples.
    /// Requires  `out` outlives this
    NormDraw(const PeerId& self, std::size_t channels, std::uint32_t batch, Outbox& out);

    [[nodiscard]] bool wanted() const { return channels_ > 0; }

    [[nodiscard]] Stage stage() const { return stage_; }

    /// Returns a number that changes with each draw, for the trainer; 0: none yet.
    [[nodiscard]] std::uint64_t number() const { return number_; }

    /// Begins a draw with these partners. Does nothing in another stage than Idle.
    void begin(std::uint32_t round, std::span<const PeerId> partners);

    /// Takes what our own norms have seen; no samples: we have no data.
    void handle_drawn(Instant now, const compute::NormMoments& own);

    /// Takes a part of somebody's. Returns false, and forgets it, if it is none.
    bool handle_frame(const PeerId& from, ByteView payload);

    /// A stream broke: what was sent may be lost.
    void handle_broken(const PeerId& partner) { sent_.erase(partner); }

    /// Sends our part to those who lack it, and goes on when the drawers among the partners have sent theirs, or have
    /// been waited for long enough.
    void update(Instant now, std::span<const PeerId> partners);

    /// Returns the moments of the whole; null before Setting.
    [[nodiscard]] const std::shared_ptr<const compute::NormMoments>& merged() const {
        return merged_;
    }

    /// The trainer has taken them.
    void handle_set() { stage_ = Stage::Done; }

    /// The time is over. Returns whether something was left out.
    bool give_up();

    /// Training goes on: the next end draws anew.
    void reset();

    /// The drawers are waited for at most so long.
    static constexpr Duration kGatherMax = std::chrono::seconds(15);

private:
    [[nodiscard]] bool draws(const PeerId& peer, std::span<const PeerId> partners) const;
    [[nodiscard]] bool complete(std::span<const PeerId> partners) const;
    void send(std::span<const PeerId> partners);
    void merge(std::span<const PeerId> partners);

    PeerId self_;
    std::size_t channels_;
    double samples_max_;
    Outbox& out_;
    Stage stage_ = Stage::Idle;
    std::uint64_t number_ = 0;
    std::uint32_t round_ = 0;
    Instant gathers_since_;
    std::map<PeerId, NormPart> parts_;  ///< the newest of each drawer, ours among them
    std::optional<Bytes> own_;          ///< our part, if we draw
    std::set<PeerId> sent_;             ///< who was sent it
    std::shared_ptr<const compute::NormMoments> merged_;
};

}  // namespace starling::peer
