#pragma once

// What has come of the parameters, and what is asked of whom. A chunk is asked for in pieces, and a piece
// is a run of units, so that a slow link carries something small. A chunk is handed on when it is whole.
//
// Thread    network

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"

namespace starling::peer {

/// A run of units of one chunk.
struct Piece {
    std::uint32_t chunk = 0;
    std::uint32_t first = 0;
    std::uint32_t count = 0;

    friend auto operator<=>(const Piece&, const Piece&) = default;
};

class ChunkPieces {
public:
    /// The smallest piece that is asked for: its headers are less than a hundredth of it.
    static constexpr std::size_t kUnit = 8192;
    static constexpr std::size_t kUnitsMax = 32;  ///< of a chunk

    /// `sizes` are the bytes of the chunks. Requires  each is at most kUnit * kUnitsMax, and not 0
    explicit ChunkPieces(const std::vector<std::size_t>& sizes);

    /// Returns the first run of units that are neither here nor asked for, of at most `units` units and
    /// at least one, in a chunk that `may` allows. With `whole`, it is a chunk of which nothing is here
    /// or asked for.
    [[nodiscard]] std::optional<Piece> free_piece(
        std::size_t units, bool whole, const std::function<bool(const Piece&)>& may
    ) const;

    [[nodiscard]] bool any_free() const { return !free_.empty(); }

    [[nodiscard]] std::size_t offset(const Piece& piece) const { return piece.first * kUnit; }

    [[nodiscard]] std::size_t bytes(const Piece& piece) const;

    [[nodiscard]] bool is_whole(const Piece& piece) const;

    /// Returns the piece of these bytes, if there is one. Errors    none
    [[nodiscard]] std::optional<Piece> piece_at(
        std::uint32_t chunk, std::size_t offset, std::size_t bytes
    ) const;

    [[nodiscard]] std::optional<Piece> whole(std::uint32_t chunk) const;

    void ask(const Piece& piece);
    /// Undoes ask(). What is here stays here.
    void release(const Piece& piece);

    /// Takes in what `giver` gave of a piece; what is here already stays as it is. Returns the bytes of
    /// the chunk if they are whole now; the chunk counts once confirm() is called.
    /// Requires  data has the piece's size
    [[nodiscard]] std::optional<Bytes> fill(const Piece& piece, ByteView data, const PeerId& giver);

    /// The chunk that fill() has made whole is kept, or all of it is asked for anew.
    void confirm(std::uint32_t chunk, bool kept);

    /// Forgets what this peer gave. Returns how many bytes that were.
    std::size_t forget(const PeerId& giver);

    /// Returns who gave the unit at this offset of a chunk that is here.
    [[nodiscard]] PeerId giver(std::uint32_t chunk, std::size_t offset) const {
        return names_[gave_[chunk * kUnitsMax + offset / kUnit]];
    }

    /// Returns whether the unit at this offset is here.
    [[nodiscard]] bool unit_here(std::uint32_t chunk, std::size_t offset) const {
        return (chunks_[chunk].here >> (offset / kUnit) & 1U) != 0;
    }

    /// Returns the chunks of which nothing is here or asked for.
    [[nodiscard]] std::vector<std::uint32_t> untouched() const;

    [[nodiscard]] bool here(std::uint32_t chunk) const { return chunks_[chunk].whole; }

    [[nodiscard]] std::size_t count() const { return chunks_.size(); }

    [[nodiscard]] std::size_t size(std::uint32_t chunk) const { return chunks_[chunk].bytes; }

    /// Returns the number of chunks that are here.
    [[nodiscard]] std::size_t done() const { return done_; }

    [[nodiscard]] bool complete() const { return done_ == chunks_.size(); }

    /// Returns how many units have come.
    [[nodiscard]] std::size_t units_here() const { return units_here_; }

private:
    struct Chunk {
        std::size_t bytes = 0;
        std::uint32_t here = 0;   ///< a bit a unit
        std::uint32_t asked = 0;  ///< likewise
        bool whole = false;
    };

    [[nodiscard]] std::uint32_t units(const Chunk& chunk) const;
    [[nodiscard]] static std::uint32_t mask(std::uint32_t first, std::uint32_t count);
    void note_free(std::uint32_t chunk);
    [[nodiscard]] std::uint8_t number_of(const PeerId& giver);

    std::vector<Chunk> chunks_;
    std::map<std::uint32_t, Bytes> open_;  ///< chunks of which some units are here
    std::set<std::uint32_t> free_;         ///< chunks of which units are free
    std::vector<PeerId> names_;       ///< of who gave something; later ones share the last number
    std::vector<std::uint8_t> gave_;  ///< of each unit of each chunk
    std::size_t done_ = 0;
    std::size_t units_here_ = 0;
};

}  // namespace starling::peer
