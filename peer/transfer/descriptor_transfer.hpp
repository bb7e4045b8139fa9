#pragma once

// How a newcomer gets the descriptor of its swarm: as one blob, in pieces, from any peer.
//
// DescriptorRequest: empty     DescriptorPiece: u32 total, u32 offset, bytes     NotYet: text

#include <functional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "peer/streams/connection.hpp"
#include "peer/transfer/descriptor_fetch.hpp"

namespace starling::peer {

class Loop;

/// Queues the blob in pieces for the peer that asked.
void send_descriptor(Connection& asker, ByteView blob);

/// Tells the peer that asked that there is no descriptor yet, with a line for people that says how far
/// the founding is, and ends the stream.
void send_not_yet(Connection& asker, const std::string& progress);

struct ProvenDescriptor : FetchedDescriptor {
    /// The text over which a seed that holds the swarm key made its MAC, and that MAC.
    Bytes proof_text;
    std::array<std::uint8_t, 32> proof{};
};

/// Looks the seeds up (HOST:PORT) and dials several at once, again and again, until one gives the
/// descriptor. Runs the loop meanwhile, and blocks for `patience` and at most one more round over
/// all addresses, of some 6 s for each eight. Calls `note` with one line for each address that fails
/// in the first round and for each name that is not known.
/// Errors    as DescriptorFetch::outcome; Cancelled, when the loop is stopped
[[nodiscard]] Result<ProvenDescriptor> fetch_descriptor(
    Loop& loop,
    const std::vector<std::string>& seeds,
    const Hello& ours,
    Duration patience,
    const std::function<void(const std::string&)>& note
);

}  // namespace starling::peer
