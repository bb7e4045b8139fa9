#pragma once

// A shard as a store has it: its bytes, or the list of the extents where they lie.

#include <memory>
#include <utility>

#include "base/result.hpp"
#include "base/shared_bytes.hpp"
#include "data/shard_extents.hpp"

namespace starling::data {

/// Thread    any; what it holds does not change
struct StoredShard {
    SharedBytes bytes;                            ///< the whole shard; of one in extent, the list
    std::shared_ptr<const ShardExtents> extents;  ///< null: the bytes are the shard

    explicit operator bool() const { return static_cast<bool>(bytes); }

    /// Returns the bytes of the whole shard.
    [[nodiscard]] std::size_t size() const { return extents ? extents->size() : bytes.view.size(); }

    /// Returns `length` bytes from `offset` on. `room` holds them where they lie elsewhere.
    /// Requires  offset + length <= size()
    /// Errors    those of ShardExtents::read
    [[nodiscard]] Result<ByteView> read(std::size_t offset, std::size_t length, Bytes& room) const {
        if (!extents) return bytes.view.subspan(offset, length);
        room.clear();
        if (auto read = extents->read(offset, length, room); !read) return read.error();
        return ByteView(room);
    }
};

/// Returns a shard that is there as a whole.
[[nodiscard]] inline StoredShard whole_shard(SharedBytes bytes) {
    return {std::move(bytes), nullptr};
}

/// Returns a shard that stays where a list says.
/// Errors    those of ShardExtents::open
[[nodiscard]] inline Result<StoredShard> shard_in_place(SharedBytes list) {
    auto extents = ShardExtents::open(list);
    if (!extents) return extents.error();
    return StoredShard{std::move(list), std::move(*extents)};
}

}  // namespace starling::data
