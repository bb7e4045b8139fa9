#pragma once

// The addresses that a peer's next life needs, in the file `members` of its state directory: its
// own, so that it listens there again, and those of other members. A checkpoint is written every
// 30 s; this file follows each change within seconds, because peers also die young.
//
//   swarm 64 HEX DIGITS
//   self HOST:PORT
//   member HOST:PORT      up to 64 times
//
// Thread    any; it uses files, but no sockets

#include <filesystem>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "peer/terms/config.hpp"

namespace starling::peer {

inline constexpr std::size_t kBookMembersMax = 64;

struct AddressBook {
    SwarmId swarm;
    Endpoint self;                  ///< where others dialled us
    std::vector<Endpoint> members;  ///< where others could be dialled

    bool operator==(const AddressBook&) const = default;
};

/// Returns the file with the addresses.
[[nodiscard]] std::filesystem::path address_book_path(const std::filesystem::path& state);

/// Errors    Io
[[nodiscard]] Result<void> write_address_book(
    const std::filesystem::path& state, const AddressBook& book
);

/// Errors    NotFound, BadFormat, Io
[[nodiscard]] Result<AddressBook> read_address_book(const std::filesystem::path& state);

/// Returns where peers of this swarm listened whose state directories lie beside this one. When all
/// peers of a machine start again, each finds the others there, whatever ports they have now.
[[nodiscard]] std::vector<Endpoint> neighbours(
    const std::filesystem::path& state, const SwarmId& swarm
);

/// Returns the members of a life that left no checkpoint, for a peer that is told neither what to
/// train on nor whom to join: it joins its swarm again. Empty for any other.
[[nodiscard]] std::vector<std::string> seeds_of_last_life(const PeerConfig& config);

}  // namespace starling::peer
