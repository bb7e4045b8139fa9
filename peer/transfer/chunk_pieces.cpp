#include "peer/transfer/chunk_pieces.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.hpp"

namespace starling::peer {

namespace {

constexpr std::size_t kNamesMax = 255;

}  // namespace

ChunkPieces::ChunkPieces(const std::vector<std::size_t>& sizes) : gave_(sizes.size() * kUnitsMax) {
    chunks_.reserve(sizes.size());
    for (const auto size : sizes) {
        STARLING_CHECK(size > 0 && size <= kUnit * kUnitsMax);
        free_.insert(free_.end(), static_cast<std::uint32_t>(chunks_.size()));
        chunks_.push_back({size, 0, 0, false});
    }
}

std::uint32_t ChunkPieces::units(const Chunk& chunk) const {
    return static_cast<std::uint32_t>((chunk.bytes + kUnit - 1) / kUnit);
}

std::uint32_t ChunkPieces::mask(std::uint32_t first, std::uint32_t count) {
    const std::uint32_t ones = count >= kUnitsMax ? ~0U : (1U << count) - 1U;
    return ones << first;
}

std::optional<Piece> ChunkPieces::free_piece(
    std::size_t most, bool whole, const std::function<bool(const Piece&)>& may
) const {
    for (const auto index : free_) {
        const auto& chunk = chunks_[index];
        const auto all = mask(0, units(chunk));
        const auto taken = chunk.here | chunk.asked;
        if (whole && taken != 0) continue;
        const auto first = static_cast<std::uint32_t>(std::countr_one(taken));
        const auto run = static_cast<std::uint32_t>(std::countr_one((~taken & all) >> first));
        Piece piece{index, first, run};
        if (!whole)
            piece.count = std::min(run, static_cast<std::uint32_t>(std::max<std::size_t>(most, 1)));
        if (may(piece)) return piece;
    }
    return std::nullopt;
}

std::size_t ChunkPieces::bytes(const Piece& piece) const {
    const auto end = std::min((piece.first + piece.count) * kUnit, chunks_[piece.chunk].bytes);
    return end - offset(piece);
}

bool ChunkPieces::is_whole(const Piece& piece) const {
    return piece.first == 0 && piece.count == units(chunks_[piece.chunk]);
}

std::optional<Piece> ChunkPieces::piece_at(
    std::uint32_t chunk, std::size_t offset, std::size_t bytes
) const {
    if (chunk >= chunks_.size() || offset % kUnit != 0 || offset >= chunks_[chunk].bytes ||
        bytes == 0 || bytes > chunks_[chunk].bytes - offset) {
        return std::nullopt;
    }
    Piece piece;
    piece.chunk = chunk;
    piece.first = static_cast<std::uint32_t>(offset / kUnit);
    piece.count = static_cast<std::uint32_t>((bytes + kUnit - 1) / kUnit);
    if (this->bytes(piece) != bytes) return std::nullopt;
    return piece;
}

std::optional<Piece> ChunkPieces::whole(std::uint32_t chunk) const {
    if (chunk >= chunks_.size()) return std::nullopt;
    return Piece{chunk, 0, units(chunks_[chunk])};
}

std::vector<std::uint32_t> ChunkPieces::untouched() const {
    std::vector<std::uint32_t> chunks;
    for (const auto index : free_) {
        if ((chunks_[index].here | chunks_[index].asked) == 0) chunks.push_back(index);
    }
    return chunks;
}

void ChunkPieces::note_free(std::uint32_t index) {
    const auto& chunk = chunks_[index];
    if ((chunk.here | chunk.asked) == mask(0, units(chunk))) {
        free_.erase(index);
    } else {
        free_.insert(index);
    }
}

void ChunkPieces::ask(const Piece& piece) {
    chunks_[piece.chunk].asked |= mask(piece.first, piece.count);
    note_free(piece.chunk);
}

void ChunkPieces::release(const Piece& piece) {
    chunks_[piece.chunk].asked &= ~mask(piece.first, piece.count);
    note_free(piece.chunk);
}

std::uint8_t ChunkPieces::number_of(const PeerId& giver) {
    const auto at = std::find(names_.begin(), names_.end(), giver);
    if (at == names_.end() && names_.size() < kNamesMax) names_.push_back(giver);
    const auto number =
        static_cast<std::size_t>(std::find(names_.begin(), names_.end(), giver) - names_.begin());
    return static_cast<std::uint8_t>(std::min(number, kNamesMax - 1));
}

std::optional<Bytes> ChunkPieces::fill(const Piece& piece, ByteView data, const PeerId& giver) {
    auto& chunk = chunks_[piece.chunk];
    if (chunk.whole) return std::nullopt;
    STARLING_CHECK(data.size() == bytes(piece));
    auto& buffer = open_[piece.chunk];
    buffer.resize(chunk.bytes);
    const auto number = number_of(giver);
    for (std::uint32_t unit = piece.first; unit < piece.first + piece.count; ++unit) {
        if ((chunk.here & mask(unit, 1)) != 0) continue;
        const auto from = data.subspan((unit - piece.first) * kUnit);
        const auto size = std::min(kUnit, from.size());
        std::memcpy(buffer.data() + unit * kUnit, from.data(), size);
        chunk.here |= mask(unit, 1);
        gave_[piece.chunk * kUnitsMax + unit] = number;
        ++units_here_;
    }
    note_free(piece.chunk);
    if (chunk.here != mask(0, units(chunk))) return std::nullopt;
    auto whole = std::move(buffer);
    open_.erase(piece.chunk);
    return whole;
}

void ChunkPieces::confirm(std::uint32_t index, bool kept) {
    auto& chunk = chunks_[index];
    chunk.whole = kept;
    if (kept) {
        ++done_;
        return;
    }
    units_here_ -= units(chunk);
    chunk.here = 0;
    note_free(index);
}

std::size_t ChunkPieces::forget(const PeerId& giver) {
    const auto at = std::find(names_.begin(), names_.end(), giver);
    if (at == names_.end()) return 0;
    const auto number = number_of(giver);
    std::size_t forgotten = 0;
    for (std::uint32_t index = 0; index < chunks_.size(); ++index) {
        auto& chunk = chunks_[index];
        std::uint32_t his = 0;
        for (std::uint32_t unit = 0; unit < units(chunk); ++unit) {
            const bool gave = gave_[index * kUnitsMax + unit] == number;
            if (gave && (chunk.here & mask(unit, 1)) != 0) his |= mask(unit, 1);
        }
        if (his == 0) continue;
        // The pieces of a whole chunk are gone from the buffer, so all of it is asked for anew.
        if (chunk.whole) {
            his = chunk.here;
            --done_;
        }
        chunk.whole = false;
        chunk.here &= ~his;
        forgotten += static_cast<std::size_t>(std::popcount(his)) * kUnit;
        units_here_ -= static_cast<std::size_t>(std::popcount(his));
        note_free(index);
    }
    return forgotten;
}

}  // namespace starling::peer
