#pragma once

// How far a partner is, measured before anything is sent. A responder that will average on a lattice
// says the values of a few of its parameters in Accept. The initiator holds its own beside them and
// gets the distance of the pair as it is now, whether the two have ever met or not.
//
// 48 normal differences give their deviation within a tenth. What the samples say can only make a
// scale finer or coarser: too fine, and the block's hash shows it; too coarse, and the pair comes less
// near than it could. A lie does no more than that, for the clip looks at what is decoded.

#include <span>

#include "base/ids.hpp"
#include "gossip/messages.hpp"
#include "gossip/workbench.hpp"

namespace starling::gossip {

/// The distance of a pair is believed to be in this range, in units of the distance at our last exchange.
/// Whoever has averaged over a gap has moved by half of it, so no other partner is much nearer. Beyond the
/// upper bound a chunk travels twice.
inline constexpr double kApartMin = 0.5;
inline constexpr double kApartMax = 32.0;

/// Reads our values at the places that belong to this exchange, of a few chunks.
[[nodiscard]] Samples take_samples(Workbench& bench, ExchangeId id, const Part& part);

/// Returns how far the partner is from us now, in units of the distance at our last exchange: the root of
/// the mean square over the samples, each against the deviation of its own block. 1 when too few are known.
[[nodiscard]] double measure_apart(
    Workbench& bench,
    const GapMemory& memory,
    ExchangeId id,
    const Part& part,
    const Samples& theirs
);

}  // namespace starling::gossip
