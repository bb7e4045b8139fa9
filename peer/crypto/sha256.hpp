#pragma once

// SHA-256, by OpenSSL: names of peers, swarms and shards, and the seal on a checkpoint.

#include <array>
#include <cstdint>
#include <memory>

#include "base/bytes.hpp"

struct evp_md_ctx_st;

namespace starling::peer {

using Digest = std::array<std::uint8_t, 32>;

/// Returns the hash of some bytes. Fits data::HashFunction.
/// Thread    any
[[nodiscard]] Digest sha256(ByteView bytes);

/// The same piece by piece.
class Sha256 {
public:
    Sha256();

    void update(ByteView bytes);

    /// Returns the hash of all that was given; afterwards the object is spent.
    [[nodiscard]] Digest finish();

private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const;
    };

    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace starling::peer
