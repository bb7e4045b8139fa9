#pragma once

// The shards that this peer holds, verified, by id.

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "data/manifest.hpp"

namespace starling::data {

/// One shard's samples, in place over its bytes.
struct ShardView {
    std::span<const std::uint8_t> values;  ///< samples * sample_elements; a text's tokens, 16-bit
    std::span<const std::uint8_t>
        labels;  ///< samples * 2 bytes, little-endian 16-bit; a text: none
    std::uint32_t samples = 0;

    [[nodiscard]] std::size_t tokens() const { return values.size() / 2; }

    [[nodiscard]] std::uint16_t token(std::size_t at) const {
        return static_cast<std::uint16_t>(values[2 * at] | (values[2 * at + 1] << 8U));
    }

    [[nodiscard]] std::uint16_t label(std::size_t sample) const {
        return static_cast<std::uint16_t>(labels[2 * sample] | (labels[2 * sample + 1] << 8U));
    }
};

/// Thread    any; shards are immutable once put and shared by pointer
class ShardStore {
public:
    /// Requires  a manifest that decode_manifest accepts; sha256 as in the manifest
    ShardStore(const Manifest& manifest, HashFunction sha256);

    /// Takes one shard after checking size, hash and labels against the manifest.
    /// Errors    NotFound (its hash is not in the manifest: damaged or foreign), Corrupt (the
    /// manifest
    ///           gives another size), BadFormat (header or label); the bytes were dropped
    [[nodiscard]] Result<void> put(Bytes bytes);

    [[nodiscard]] bool has(const ShardId& id) const;

    /// The shard's bytes, or null. The caller's pointer keeps them alive.
    [[nodiscard]] std::shared_ptr<const Bytes> get(const ShardId& id) const;

    [[nodiscard]] std::size_t held() const;

    /// What the manifest says about a shard, or null; lives as long as the store.
    [[nodiscard]] const ShardInfo* info(const ShardId& id) const;

    [[nodiscard]] const Manifest& manifest() const { return manifest_; }

    /// Views a shard's samples. Requires bytes that came from get().
    [[nodiscard]] ShardView view(ByteView bytes) const;

private:
    Manifest manifest_;
    HashFunction sha256_;
    std::size_t elements_;
    std::unordered_map<ShardId, std::size_t> index_;  ///< into manifest_.shards
    mutable std::shared_mutex mutex_;
    std::unordered_map<ShardId, std::shared_ptr<const Bytes>> held_;
};

}  // namespace starling::data
