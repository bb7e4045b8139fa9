#pragma once

// SHA-256 from OpenSSL. It names peers, swarms and shards, and shows damage to a checkpoint.

#include <array>
#include <cstdint>
#include <memory>

#include "base/bytes.hpp"

struct evp_md_ctx_st;

namespace starling::peer {

using Digest = std::array<std::uint8_t, 32>;

/// Returns the hash of some bytes. It can be used as a data::HashFunction.
/// Thread    any
[[nodiscard]] Digest sha256(ByteView bytes);

/// Computes the same hash of bytes that come piece by piece.
class Sha256 {
public:
    Sha256();

    void update(ByteView bytes);

    /// Returns the hash of all bytes given. The object must not be used afterwards.
    [[nodiscard]] Digest finish();

private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const;
    };

    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace starling::peer
