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

/// Queues one piece of the blob for the peer that asked; there may be none with this number.
void send_descriptor_piece(Connection& asker, ByteView blob, std::size_t index);

/// Tells the peer that asked that there is no descriptor yet, with a line for people that says how far
/// the founding is, and ends the stream.
void send_not_yet(Connection& asker, const std::string& progress);

/// Returns what to say of a seed whose swarm has another key than that of `key_file`.
[[nodiscard]] Fault wrong_key(const Endpoint& seed, const std::string& key_file);

struct AdmittedDescriptor : FetchedDescriptor {
    /// Our key did not open the stream, so the seed is a member of an open swarm, or none of ours.
    bool as_guest = false;
};

/// Looks the seeds up (HOST:PORT) and dials several at once, again and again, until one gives the
/// descriptor. Runs the loop meanwhile, and blocks for `patience` and at most one more round over
/// all addresses, of some 12 s for each eight; for DescriptorFetch::kLongPatience while a seed seems to be cut off.
/// Calls `note` with one line for each address that fails in the first round, for each round after `patience`, and
/// for each name that is not known.
/// Introduces itself with `ours`; `key_file` is the file of its key, for people.
/// Errors    as DescriptorFetch::outcome; Refused (no seed takes our key, or one wants a key);
///           Cancelled, when the loop is stopped
[[nodiscard]] Result<AdmittedDescriptor> fetch_descriptor(
    Loop& loop,
    const std::vector<std::string>& seeds,
    Introduction ours,
    const std::string& key_file,
    Duration patience,
    const std::function<void(const std::string&)>& note
);

}  // namespace starling::peer
