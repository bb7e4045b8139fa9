// Goal: what a newcomer has fetched is there for its next life, and nothing else is. Method: a directory
// whose files are torn, changed, or of another swarm, and a thread that writes them.

#include "peer/transfer/kept_chunks.hpp"

#include <gtest/gtest.h>
#include <numeric>

#include "peer/crypto/sha256.hpp"
#include "peer/machine/files.hpp"
#include "peer/transfer/chunk_keeper.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

/// Chunks of 4, 4 and 2 floats. Values that are not finite are not taken.
class FewChunks final : public ParameterChunks {
public:
    [[nodiscard]] std::size_t chunk_count() const override { return chunks.size(); }

    [[nodiscard]] std::size_t chunk_bytes(std::size_t chunk) const override {
        return chunks[chunk].size();
    }

    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out) override {
        std::copy(chunks[chunk].begin(), chunks[chunk].end(), out.begin());
        return true;
    }

    [[nodiscard]] bool write(std::size_t chunk, ByteView bytes) override {
        if (bytes.front() == std::byte{255}) return false;
        chunks[chunk].assign(bytes.begin(), bytes.end());
        return true;
    }

    void initialize() override {}

    std::vector<Bytes> chunks{Bytes(16), Bytes(16), Bytes(8)};
};

Bytes filled(std::size_t size, int value) {
    return {size, static_cast<std::byte>(value)};
}

SwarmId swarm(int n) {
    SwarmId id;
    id.bytes[3] = static_cast<std::uint8_t>(n);
    return id;
}

class Kept : public ::testing::Test {
protected:
    [[nodiscard]] fs::path folder() const { return directory_.path() / "parameters"; }

    [[nodiscard]] KeptChunks files(int n = 1) const {
        return {real_disk(), folder(), swarm(n), &sha256};
    }

    [[nodiscard]] std::vector<std::uint32_t> load(int n = 1) {
        into_ = {};
        return files(n).load(into_, [] { return false; });
    }

    [[nodiscard]] std::size_t count() const { return real_disk().list(folder()).size(); }

    void keep_all() {
        auto kept = files();
        ASSERT_TRUE(kept.keep(2, filled(8, 3)).has_value());
        ASSERT_TRUE(kept.keep(0, filled(16, 1)).has_value());
        ASSERT_TRUE(kept.keep(1, filled(16, 2)).has_value());
    }

    starling::testing::TemporaryDirectory directory_;
    FewChunks into_;
};

using Chunks = std::vector<std::uint32_t>;

TEST_F(Kept, ComesBack) {
    EXPECT_EQ(load(), Chunks{}) << "there is no folder";
    keep_all();
    EXPECT_EQ(load(), (Chunks{0, 1, 2}));
    EXPECT_EQ(into_.chunks[0], filled(16, 1));
    EXPECT_EQ(into_.chunks[1], filled(16, 2));
    EXPECT_EQ(into_.chunks[2], filled(8, 3));
    ASSERT_TRUE(files().keep(1, filled(16, 9)).has_value());
    EXPECT_EQ(load().size(), 3U);
    EXPECT_EQ(into_.chunks[1], filled(16, 9)) << "the later one";
    files().clear();
    EXPECT_EQ(count(), 0U);
    EXPECT_EQ(load(), Chunks{});
}

TEST_F(Kept, OfAnotherSwarmIsRemoved) {
    keep_all();
    EXPECT_EQ(load(2), Chunks{});
    EXPECT_EQ(count(), 0U);
}

TEST_F(Kept, IsForNobodyElseToRead) {
    keep_all();
    for (const auto& path : real_disk().list(folder())) {
        const auto mode = fs::status(path).permissions() & fs::perms::all;
        EXPECT_EQ(mode, fs::perms::owner_read | fs::perms::owner_write);
    }
}

TEST_F(Kept, EveryTornAndEveryChangedFileIsFetchedAgain) {
    keep_all();
    const auto path = folder() / "00000001";
    const Bytes good = *read_file(path, 1000);
    for (std::size_t at = 0; at < good.size(); ++at) {
        starling::testing::write_quickly(path, ByteView(good).first(at));
        ASSERT_EQ(load(), (Chunks{0, 2})) << at;
        ASSERT_EQ(into_.chunks[1], Bytes(16));
        Bytes bad = good;
        bad[at] ^= std::byte{0x10};
        starling::testing::write_quickly(path, bad);
        ASSERT_EQ(load(), (Chunks{0, 2})) << at;
    }
    Bytes longer = good;
    longer.push_back(std::byte{0});
    starling::testing::write_quickly(path, longer);
    EXPECT_EQ(load(), (Chunks{0, 2}));
}

TEST_F(Kept, OfAnotherPlaceOrWithValuesThatAreNoneIsFetchedAgain) {
    keep_all();
    fs::copy_file(folder() / "00000000", folder() / "00000007");
    fs::rename(folder() / "00000000", folder() / "00000001");
    ASSERT_TRUE(files().keep(2, filled(8, 255)).has_value());
    EXPECT_EQ(load(), Chunks{});
    EXPECT_EQ(count(), 0U);
}

TEST_F(Kept, IsReadOnlyAsFarAsThereIsTime) {
    keep_all();
    int asked = 0;
    EXPECT_EQ(files().load(into_, [&] { return ++asked > 2; }), (Chunks{0, 1}));
    EXPECT_EQ(count(), 3U) << "the rest stays for later";
}

TEST_F(Kept, LeavesFilesAloneThatAreNotItsOwn) {
    keep_all();
    starling::testing::write_quickly(folder() / "notes.txt", Bytes(4));
    (void)load(2);
    files().clear();
    EXPECT_EQ(count(), 1U);
}

TEST_F(Kept, AThreadWritesThemUntilTheParametersAreWhole) {
    FewChunks inner;
    {
        ChunkKeeper keeper(inner);
        EXPECT_TRUE(keeper.write(0, filled(16, 7)));
        keeper.begin(files());
        EXPECT_TRUE(keeper.write(1, filled(16, 8)));
        EXPECT_FALSE(keeper.write(2, filled(8, 255)));
        EXPECT_EQ(inner.chunks[1], filled(16, 8));
    }
    EXPECT_EQ(load(), Chunks{1}) << "what was written since it began";
    {
        ChunkKeeper keeper(inner);
        keeper.begin(files());
        EXPECT_TRUE(keeper.write(0, filled(16, 7)));
        keeper.finish();
        EXPECT_TRUE(keeper.write(2, filled(8, 9)));
        keeper.finish();
    }
    EXPECT_EQ(count(), 0U);
    EXPECT_EQ(inner.chunks[2], filled(8, 9));
}

TEST_F(Kept, ADiskThatTakesNothingIsNoReasonToStop) {
    FewChunks inner;
    starling::testing::write_quickly(folder(), Bytes(4));  // a file where the folder should be
    {
        ChunkKeeper keeper(inner);
        keeper.begin(files());
        EXPECT_TRUE(keeper.write(1, filled(16, 8)));
    }
    EXPECT_EQ(inner.chunks[1], filled(16, 8));
    EXPECT_TRUE(files().keep(1, filled(16, 8)).has_error());
}

}  // namespace
}  // namespace starling::peer
