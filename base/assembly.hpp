#pragma once

// One blob that somebody sends in pieces, each with its offset and the total size. The first piece fixes
// the total; whoever changes it afterwards is refused. Memory grows with what has arrived, never with
// what was announced.

#include <cstddef>
#include <utility>

#include "base/bytes.hpp"
#include "base/checked.hpp"

namespace starling {

class Assembly {
public:
    /// `limit` is the largest total that is taken.
    explicit Assembly(std::size_t limit) : limit_(limit) {}

    /// Takes the next piece in. Returns false, and changes nothing, for a piece that does not belong
    /// there: a total of zero, above the limit or other than before; an offset that is not where the last
    /// piece ended; no bytes, or more than the total leaves.
    [[nodiscard]] bool take(std::size_t total, std::size_t offset, ByteView piece) {
        const bool first = bytes_.empty();
        if (total > limit_ || (!first && total != total_)) return false;
        if (offset != bytes_.size() || piece.empty()) return false;
        if (!lies_within(offset, piece.size(), total)) return false;
        total_ = total;
        bytes_.insert(bytes_.end(), piece.begin(), piece.end());
        return true;
    }

    /// Returns whether the last piece has come.
    [[nodiscard]] bool complete() const { return !bytes_.empty() && bytes_.size() == total_; }

    /// Returns what has come so far.
    [[nodiscard]] ByteView bytes() const { return bytes_; }

    /// Gives the bytes away and begins anew.
    [[nodiscard]] Bytes release() { return std::exchange(bytes_, {}); }

    /// Begins anew.
    void clear() { bytes_ = {}; }

private:
    std::size_t limit_;
    std::size_t total_ = 0;  ///< as the first piece said
    Bytes bytes_;
};

}  // namespace starling
