#pragma once

// One newcomer that fetches parameters from donors in virtual time, by the daemon's own machines. Its line
// has a rate, and each donor's may have one. Streams share the newcomer's line packet by packet, as TCP
// flows do in the mean; frames count with their headers, but not those of TCP and IP. Congestion control
// is not simulated: a stream is as fast as its line lets it.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/instant.hpp"

namespace starling::peer_virtual {

struct StateLines {
    double rate = 1.25e6;   ///< bytes per second of the newcomer's line
    Duration round_trip{};  ///< to each donor
    std::size_t donors = 1;
    std::vector<double> uplinks;  ///< bytes per second of each donor; missing ones have no limit
    std::size_t model_bytes = 2'100'000;
    std::uint64_t seed = 1;
    /// The first donor dies when so many bytes have come from all.
    std::optional<std::uint64_t> killed_at;
    /// Its machine loses power, so nobody is told; else its kernel ends the stream.
    bool dark = false;
    /// These donors give the opposite of their parameters.
    std::vector<std::size_t> liars;
    double lock = 0.0;  ///< probability that a chunk is locked by its trainer
    Duration patience = std::chrono::hours(2);
};

struct StateLinesResult {
    bool complete = false;
    bool right = false;  ///< what came is what the honest donors have
    double seconds = 0.0;
    std::uint64_t bytes = 0;  ///< that came over the newcomer's line
    std::size_t donors = 0;   ///< that were asked at the end
    std::vector<std::string> notes;
};

/// Thread    any (pure)
[[nodiscard]] StateLinesResult run(const StateLines& lines);

}  // namespace starling::peer_virtual
