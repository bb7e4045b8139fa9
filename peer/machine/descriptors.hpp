#pragma once

// How many files and sockets this process may have open (RLIMIT_NOFILE), and who goes without when
// they run short. Streams of others stop first, so that a peer can still be asked over HTTP, and then
// HTTP, so that checkpoints are still written.
//
// Thread    any

#include <cstddef>

namespace starling::peer {

/// More than a peer needs with a thousand members. Some systems allow a billion, and a program that
/// this one starts may close each possible descriptor.
inline constexpr std::size_t kDescriptorsMax = 65536;

/// With fewer descriptors than this, streams may have to wait even in a small swarm.
inline constexpr std::size_t kDescriptorsFew = 128;

/// Raises the limit of this process as far as its user may, but not above kDescriptorsMax. A limit
/// that is higher already stays. Returns the limit.
std::size_t raise_descriptor_limit();

enum class DescriptorUse {
    Stream,  ///< to or from another peer
    Http,    ///< of somebody who asks this peer
};

/// Returns how many descriptors may be open, under a limit, for this use to open one more.
[[nodiscard]] std::size_t descriptors_below(std::size_t limit, DescriptorUse use);

/// Returns whether one more descriptor may be opened for this use.
[[nodiscard]] bool descriptor_free(DescriptorUse use);

}  // namespace starling::peer
