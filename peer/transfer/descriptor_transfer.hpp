#pragma once

// How a newcomer learns what swarm it joins: one blob, in pieces, from any peer.
//
// DescriptorRequest: empty     DescriptorPiece: u32 total, u32 offset, bytes

#include <functional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "peer/streams/connection.hpp"

namespace starling::peer {

/// Sends the blob to whoever asked.
void send_descriptor(Connection& asker, ByteView blob);

struct FetchedDescriptor {
    Bytes blob;
    SwarmId swarm;  ///< as the seed names it; equals the blob's hash
    Endpoint seed;  ///< who gave it
    /// What a seed that holds the swarm key made a MAC over, and that MAC.
    Bytes proof_text;
    std::array<std::uint8_t, 32> proof{};
};

/// Asks the addresses one after the other, again and again until one gives the descriptor or
/// `patience` is over. Runs the loop meanwhile. `note` gets one line per address that fails first.
/// Errors    Unreachable (none answered), BadVersion, Corrupt (hash), SwarmMismatch, Cancelled
[[nodiscard]] Result<FetchedDescriptor> fetch_descriptor(
    Loop& loop,
    const std::vector<Endpoint>& seeds,
    const Hello& ours,
    Duration patience,
    const std::function<void(const std::string&)>& note
);

}  // namespace starling::peer
