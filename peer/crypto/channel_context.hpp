#pragma once

// What all channels of a process share. Only for channel.cpp and its tests.

#include <string>

struct ssl_ctx_st;

namespace starling::peer {

/// Returns the suites that channels offer, the faster on this machine first. All have one hash,
/// SHA-256, because a pre-shared key belongs to a hash (RFC 8446, section 4.2.11). Measured once, which
/// takes about a millisecond.
[[nodiscard]] const std::string& channel_suites();

/// In a build for tests (STARLING_KEY_LOG), writes the secrets of each session into the file that the
/// environment variable STARLING_KEY_LOG names, in the format of NSS. Does nothing in any other build.
void log_channel_secrets(ssl_ctx_st* context);

}  // namespace starling::peer
