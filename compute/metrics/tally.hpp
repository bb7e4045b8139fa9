#pragma once

// One tally of any kind: what an evaluation hands on, merges and sends.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/metrics/box_tally.hpp"
#include "compute/metrics/class_tally.hpp"
#include "compute/metrics/labels_tally.hpp"
#include "compute/metrics/number_tally.hpp"
#include "compute/metrics/quality.hpp"
#include "compute/metrics/score_tally.hpp"
#include "compute/metrics/token_tally.hpp"

namespace starling::compute {

/// The place of a kind here is its number in the bytes, so new kinds go to the end.
using Tally = std::variant<ClassTally, ScoreTally, LabelsTally, TokenTally, NumberTally, BoxTally>;

inline constexpr std::uint8_t kTallyVersion = 1;
inline constexpr std::size_t kTallyBytesMax = std::size_t{32} << 20U;

/// Adds another tally up. The result does not depend on the order in which several are merged: equal
/// sets of tallies give equal bytes.
/// Errors    BadValue: another kind or shape, or counts beyond 2^48; nothing was merged
/// Thread    any
[[nodiscard]] Result<void> merge(Tally& into, const Tally& from);

/// Returns a quality, or nothing where the tally does not know it or it would be 0 / 0.
///
/// | tally | qualities |
/// |---|---|
/// | ClassTally | accuracy, balanced, f1 (macro), loss |
/// | ScoreTally | accuracy, balanced, auc, ap, f1 (best), loss |
/// | LabelsTally | accuracy (not OneVsRest), auc, ap, f1 (macro of best), loss |
/// | TokenTally | loss, bpb |
/// | NumberTally | loss (squared error), mae |
/// | BoxTally | map50, map |
///
/// Errors    none
/// Thread    any
[[nodiscard]] std::optional<double> quality(const Tally& tally, QualityKind kind);

/// Returns whether a tally of this kind tells the quality once it has seen enough: the table above.
/// Errors    none
/// Thread    any
[[nodiscard]] bool knows(const Tally& tally, QualityKind kind);

/// Returns the mean loss; boxes have none.
/// Errors    none
/// Thread    any
[[nodiscard]] std::optional<double> loss(const Tally& tally);

/// Returns how many samples, tokens, numbers or images were added.
/// Errors    none
/// Thread    any
[[nodiscard]] std::uint64_t count(const Tally& tally);

/// Returns version, kind and the tally's own bytes. Equal tallies have equal bytes.
/// Errors    none
/// Thread    any
[[nodiscard]] Bytes encode(const Tally& tally);

/// Reads what encode() writes, and nothing else: each tally has one form. Memory stays within
/// 1 MiB and a constant times the bytes, and no length is believed before its bytes are there.
/// Errors    Oversized, BadVersion, BadFormat (unknown kind, cut, too long, contradictions)
/// Thread    any
[[nodiscard]] Result<Tally> decode_tally(ByteView bytes);

}  // namespace starling::compute
