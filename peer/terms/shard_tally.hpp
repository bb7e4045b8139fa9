#pragma once

// What `starling data inspect` counts in shards as they are cut, so that none of them needs to be kept.

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "data/manifest.hpp"

namespace starling::peer {

/// The boxes of the training pictures.
struct BoxCounts {
    std::vector<std::uint64_t> of_class;
    std::uint64_t boxes = 0;
    std::uint64_t pictures = 0;
    std::size_t most = 0;  ///< in one picture
};

class ShardTally {
public:
    /// Says how the coming shards are laid out, where they are containers of records: schema and recipe
    /// count.
    void expect(data::Manifest like) { like_ = std::move(like); }

    /// Counts what is in a shard.
    /// Requires  bytes of a shard that was cut here
    void add(ByteView shard);

    /// Returns how many training samples each class has; all 0 for other labels.
    [[nodiscard]] std::vector<std::uint64_t> classes(std::size_t count) const;

    /// Returns the boxes of each class.
    [[nodiscard]] BoxCounts boxes(std::size_t classes) const;

    /// Returns the tokens of the training part, and of the others together.
    [[nodiscard]] const std::array<std::uint64_t, 2>& tokens() const { return tokens_; }

private:
    void add_records(ByteView shard);
    void count(std::size_t label);

    data::Manifest like_;
    std::vector<std::uint64_t> classes_;
    BoxCounts boxes_;
    std::array<std::uint64_t, 2> tokens_{};
};

}  // namespace starling::peer
