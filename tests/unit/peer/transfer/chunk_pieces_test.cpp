// Goal: every byte of every chunk is asked for once and kept once, in whatever pieces it comes, and what a liar
// gave is asked for anew. Method: calls in orders that the test chooses, and random ones against a plain twin.

#include "peer/transfer/chunk_pieces.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "tests/support/peer_id.hpp"

namespace starling::peer {
namespace {

constexpr auto kUnit = ChunkPieces::kUnit;

const auto kAny = [](const Piece&) { return true; };

Bytes some(std::size_t size, std::uint8_t value) {
    return Bytes(size, std::byte{value});
}

TEST(ChunkPieces, AreRunsOfUnitsAndTheLastIsShorter) {
    ChunkPieces pieces({2 * kUnit + 100, 40});
    const auto first = pieces.free_piece(2, false, kAny);
    ASSERT_TRUE(first);
    EXPECT_EQ(*first, (Piece{0, 0, 2}));
    EXPECT_EQ(pieces.bytes(*first), 2 * kUnit);
    EXPECT_FALSE(pieces.is_whole(*first));
    pieces.ask(*first);
    const auto second = pieces.free_piece(8, false, kAny);
    EXPECT_EQ(*second, (Piece{0, 2, 1}));
    EXPECT_EQ(pieces.bytes(*second), 100U);
    pieces.ask(*second);
    const auto third = pieces.free_piece(8, false, kAny);
    EXPECT_EQ(*third, (Piece{1, 0, 1}));
    EXPECT_TRUE(pieces.is_whole(*third));
    pieces.ask(*third);
    EXPECT_FALSE(pieces.any_free());
    pieces.release(*first);
    EXPECT_EQ(*pieces.free_piece(1, false, kAny), (Piece{0, 0, 1}));
    EXPECT_FALSE(pieces.free_piece(1, true, kAny)) << "a piece of this chunk is asked for";
}

TEST(ChunkPieces, APlaceInBytesIsAPartOnlyIfItsUnitsAre) {
    const ChunkPieces pieces({2 * kUnit + 100});
    EXPECT_EQ(pieces.piece_at(0, kUnit, kUnit + 100), (Piece{0, 1, 2}));
    EXPECT_FALSE(pieces.piece_at(0, 4, kUnit));
    EXPECT_FALSE(pieces.piece_at(0, 0, kUnit - 4));
    EXPECT_FALSE(pieces.piece_at(0, 2 * kUnit, 101));
    EXPECT_FALSE(pieces.piece_at(0, 0, 0));
    EXPECT_FALSE(pieces.piece_at(1, 0, kUnit));
    EXPECT_FALSE(pieces.piece_at(0, ~std::size_t{0} - kUnit + 1, 2 * kUnit));
}

TEST(ChunkPieces, AChunkIsWholeWhenItsLastPartComesAndTheFirstAnswerCounts) {
    ChunkPieces pieces({2 * kUnit});
    EXPECT_FALSE(pieces.fill({0, 1, 1}, some(kUnit, 2), peer_id(2)));
    const auto whole = pieces.fill({0, 0, 2}, some(2 * kUnit, 1), peer_id(1));
    ASSERT_TRUE(whole);
    EXPECT_EQ((*whole)[0], std::byte{1});
    EXPECT_EQ((*whole)[kUnit], std::byte{2});
    pieces.confirm(0, true);
    EXPECT_TRUE(pieces.complete());
    EXPECT_EQ(pieces.giver(0, 0), peer_id(1));
    EXPECT_EQ(pieces.giver(0, kUnit + 5), peer_id(2));
    EXPECT_FALSE(pieces.fill({0, 0, 2}, some(2 * kUnit, 3), peer_id(3))) << "it is here";
}

TEST(ChunkPieces, WhatIsNotKeptIsAskedForAnew) {
    ChunkPieces pieces({kUnit});
    pieces.ask({0, 0, 1});
    pieces.release({0, 0, 1});
    ASSERT_TRUE(pieces.fill({0, 0, 1}, some(kUnit, 1), peer_id(1)));
    pieces.confirm(0, false);
    EXPECT_EQ(pieces.done(), 0U);
    EXPECT_EQ(pieces.units_here(), 0U);
    EXPECT_TRUE(pieces.any_free());
}

TEST(ChunkPieces, ForgetsWhatALiarGaveAndNothingElse) {
    ChunkPieces pieces({kUnit, 2 * kUnit, 2 * kUnit});
    ASSERT_TRUE(pieces.fill({0, 0, 1}, some(kUnit, 1), peer_id(1)));
    pieces.confirm(0, true);
    ASSERT_FALSE(pieces.fill({1, 0, 1}, some(kUnit, 1), peer_id(1)));
    ASSERT_TRUE(pieces.fill({1, 1, 1}, some(kUnit, 6), peer_id(6)));
    pieces.confirm(1, true);
    ASSERT_FALSE(pieces.fill({2, 0, 1}, some(kUnit, 1), peer_id(1)));
    EXPECT_EQ(pieces.forget(peer_id(9)), 0U);
    EXPECT_EQ(pieces.forget(peer_id(6)), 2 * kUnit) << "a chunk that was handed on comes anew";
    EXPECT_TRUE(pieces.here(0));
    EXPECT_FALSE(pieces.here(1));
    EXPECT_EQ(pieces.done(), 1U);
    EXPECT_EQ(*pieces.free_piece(9, false, kAny), (Piece{1, 0, 2}));
    EXPECT_EQ(pieces.forget(peer_id(1)), 2 * kUnit);
    EXPECT_EQ(pieces.units_here(), 0U);
}

TEST(ChunkPieces, RandomPartsFromManyGiversMakeTheChunksWhole) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        SCOPED_TRACE(seed);
        Rng rng(seed);
        std::vector<std::size_t> sizes;
        for (int i = 0; i < 5; ++i) sizes.push_back(4 * (1 + rng.below(8 * kUnit)));
        ChunkPieces pieces(sizes);
        std::vector<Piece> asked;
        std::size_t whole = 0;
        for (int step = 0; step < 10'000 && !pieces.complete(); ++step) {
            if (const auto piece = pieces.free_piece(1 + rng.below(4), false, kAny)) {
                pieces.ask(*piece);
                asked.push_back(*piece);
            }
            if (asked.empty()) continue;
            const auto at = rng.below(asked.size());
            const auto piece = asked[at];
            asked.erase(asked.begin() + static_cast<std::ptrdiff_t>(at));
            pieces.release(piece);
            if (rng.chance(0.3)) continue;  // it never comes
            const auto value = static_cast<std::uint8_t>(piece.chunk + 1);
            const auto giver = peer_id(static_cast<std::uint8_t>(rng.below(4)));
            if (auto chunk = pieces.fill(piece, some(pieces.bytes(piece), value), giver)) {
                EXPECT_EQ(*chunk, some(sizes[piece.chunk], value));
                pieces.confirm(piece.chunk, true);
                ++whole;
            }
        }
        EXPECT_TRUE(pieces.complete());
        EXPECT_EQ(whole, sizes.size());
        EXPECT_FALSE(pieces.any_free());
    }
}

}  // namespace
}  // namespace starling::peer
