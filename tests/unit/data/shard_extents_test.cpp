// Goal: a shard that stays in its owner's files is the same shard, a file that has changed is noticed, and a
// damaged list of extents does no harm. Method: shards of records and of tokens whose bytes lie in files of the test, compared
// with copies of them, byte by byte and batch by batch.

#include "data/shard_extents.hpp"

#include <algorithm>
#include <gtest/gtest.h>

#include "data/batcher.hpp"
#include "data/shard_format.hpp"
#include "data/source.hpp"
#include "data/token_source.hpp"
#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

using testing::test_hash;
using testing::write_file;

/// Returns bytes that differ from place to place.
std::string drawn(std::size_t count, std::uint64_t seed) {
    std::string text(count, ' ');
    for (std::size_t i = 0; i < count; ++i) text[i] = static_cast<char>(mix64(seed + i));
    return text;
}

struct Cut {
    Manifest manifest;
    std::vector<CutShard> shards;

    ShardSink sink() {
        return [this](CutShard shard) -> Result<void> {
            shards.push_back(std::move(shard));
            return {};
        };
    }
};

StoredShard in_place(const CutShard& cut) {
    auto shard =
        shard_in_place(share(encode_extents(ByteView(cut.bytes).first(cut.head), cut.extents)));
    STARLING_CHECK(shard.has_value());
    return std::move(*shard);
}

class Extents : public ::testing::Test {
protected:
    [[nodiscard]] FileExtent extent(
        const std::string& name, std::uint64_t offset, std::uint32_t length
    ) const {
        const auto path = (directory_.path() / name).string();
        return {path, *state_of_file(path), offset, length};
    }

    /// Two files of tokens below 50, cut into many runs, some of which cross from one file into the other.
    Cut tokens() {
        for (const auto* name : {"train_0.bin", "train_1.bin", "val.bin"}) {
            std::string bytes;
            const auto text = drawn(3000, bytes_drawn_ += 9999);
            for (const char c : text) {
                bytes += static_cast<char>(static_cast<unsigned char>(c) % 50);
                bytes += '\0';
            }
            write_file(directory_.path() / name, bytes);
        }
        const auto spec = Spec::parse("bin:" + directory_.path().string() + "?context=8&vocab=50");
        const auto source = open_tokens(*spec, {});
        EXPECT_TRUE(source.has_value()) << source.error().message;
        Cut cut;
        auto manifest = cut_tokens(**source, {}, std::nullopt, test_hash, cut.sink());
        EXPECT_TRUE(manifest.has_value());
        cut.manifest = std::move(*manifest);
        return cut;
    }

    /// Draws batches as training does.
    static std::vector<float> batches(const ShardStore& store, int count) {
        Batcher batcher(store, 3);
        std::vector<ShardId> train;
        for (const auto& shard : store.manifest().shards) {
            if (shard.split == Split::Train) train.push_back(shard.id);
        }
        batcher.set_shards(train);
        std::vector<float> all;
        for (int i = 0; i < count; ++i) {
            std::vector<float> values(4 * 8);
            std::vector<std::int32_t> labels(4 * 8);
            EXPECT_TRUE(batcher.next({values, labels}));
            all.insert(all.end(), values.begin(), values.end());
            all.insert(all.end(), labels.begin(), labels.end());
        }
        return all;
    }

    starling::testing::TemporaryDirectory directory_;
    std::uint64_t bytes_drawn_ = 0;
};

TEST_F(Extents, EveryRangeIsThatOfTheWhole) {
    const auto one = drawn(100, 1);
    const auto other = drawn(60, 2);
    write_file(directory_.path() / "one", one);
    write_file(directory_.path() / "other", other);
    const auto head = drawn(7, 3);
    const std::vector<FileExtent> extents{
        extent("one", 10, 30), extent("other", 0, 60), extent("one", 0, 0), extent("one", 5, 1)};
    const auto whole = head + one.substr(10, 30) + other + one.substr(5, 1);
    const auto shard = shard_in_place(share(encode_extents(as_byte_view(head), extents)));
    ASSERT_TRUE(shard.has_value());
    ASSERT_EQ(shard->size(), whole.size());
    for (std::size_t begin = 0; begin <= whole.size(); ++begin) {
        for (std::size_t size = 0; begin + size <= whole.size(); ++size) {
            Bytes room;
            const auto read = shard->read(begin, size, room);
            ASSERT_TRUE(read.has_value()) << read.error().message;
            ASSERT_EQ(as_text(*read), whole.substr(begin, size)) << begin << " " << size;
        }
    }
    EXPECT_FALSE(shard->extents->changed());
    std::filesystem::remove(directory_.path() / "other");
    Bytes room;
    EXPECT_TRUE(shard->read(0, whole.size(), room).has_error());
    EXPECT_EQ(shard->extents->changed_file(), (directory_.path() / "other").string());
}

TEST_F(Extents, AFileThatIsLongerNewerOrGoneIsNotReadAndSaysSo) {
    const auto path = directory_.path() / "file";
    const auto attempt = [&](const std::string& now, FaultCode code) {
        write_file(path, drawn(50, 1));
        auto extents = std::vector{extent("file", 3, 40)};
        if (now.empty()) std::filesystem::remove(path);
        if (now == "longer") write_file(path, drawn(51, 1));
        if (now == "newer") extents[0].state.changed -= 1;
        const auto shard = shard_in_place(share(encode_extents(as_byte_view("head"), extents)));
        ASSERT_TRUE(shard.has_value());
        Bytes room;
        EXPECT_EQ(as_text(*shard->read(0, 4, room)), "head");
        EXPECT_FALSE(shard->extents->changed()) << "the head lies in the list";
        const auto read = shard->read(2, 10, room);
        ASSERT_TRUE(read.has_error()) << now;
        EXPECT_EQ(read.error().code, code);
        EXPECT_NE(read.error().message.find(path.string()), std::string::npos);
        EXPECT_TRUE(room.empty());
        EXPECT_TRUE(shard->extents->changed());
        EXPECT_TRUE(shard->extents->check_first().has_error());
    };
    attempt("", FaultCode::NotFound);
    attempt("longer", FaultCode::Corrupt);
    attempt("newer", FaultCode::Corrupt);
}

TEST_F(Extents, ADamagedListIsRefusedOrReadsNothingElse) {
    write_file(directory_.path() / "file", drawn(50, 1));
    const std::vector<FileExtent> extents{extent("file", 0, 20), extent("file", 20, 30)};
    const auto good = encode_extents(as_byte_view("head"), extents);
    for (std::size_t size = 0; size < good.size(); ++size) {
        Bytes torn(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_TRUE(shard_in_place(share(std::move(torn))).has_error()) << size;
    }
    Rng rng(5);
    for (std::size_t i = 0; i < 20 * good.size(); ++i) {
        auto bad = good;
        bad[i % good.size()] ^= static_cast<std::byte>(1 + rng.below(255));
        const auto shard = shard_in_place(share(std::move(bad)));
        if (!shard) continue;
        ASSERT_LE(shard->size(), kShardBytesMax);
        Bytes room;
        (void)shard->read(0, shard->size(), room);
        if (shard->extents->changed()) (void)shard->extents->changed_file();
    }
}

TEST_F(Extents, TokensInPlaceAreDrawnAsThoseOfCopies) {
    const auto cut = tokens();
    ShardStore copies(cut.manifest, test_hash);
    ShardStore places(cut.manifest, test_hash);
    std::size_t across = 0;
    for (const auto& shard : cut.shards) {
        ASSERT_TRUE(copies.put(shard.bytes).has_value());
        across += shard.extents.size() > 1 ? 1U : 0U;
        auto stored = in_place(shard);
        Bytes room;
        const auto bytes = stored.read(0, stored.size(), room);
        ASSERT_TRUE(bytes.has_value());
        ASSERT_TRUE(std::equal(bytes->begin(), bytes->end(), shard.bytes.begin(), shard.bytes.end())
        );
        ASSERT_TRUE(places.put_known(shard.id, std::move(stored)).has_value());
    }
    EXPECT_EQ(across, 1U) << "one run begins in the first file and ends in the second";
    EXPECT_LT(places.bytes(), copies.bytes());
    EXPECT_EQ(batches(places, 200), batches(copies, 200));
    EXPECT_TRUE(places.spare({}, 1, 100).empty()) << "to give one up makes no room";
}

TEST_F(Extents, WhatHasChangedIsGivenUpAndTrainedOnAgainOnceItHasCome) {
    const auto cut = tokens();
    ShardStore store(cut.manifest, test_hash);
    ShardStore copies(cut.manifest, test_hash);
    std::vector<ShardId> train;
    for (const auto& shard : cut.shards) {
        ASSERT_TRUE(copies.put(shard.bytes).has_value());
        ASSERT_TRUE(store.put(in_place(shard)).has_value());
        if (train.size() + 1 < cut.shards.size()) train.push_back(shard.id);
    }
    Batcher batcher(store, 3);
    batcher.set_shards(train);
    std::vector<float> values(4 * 8);
    std::vector<std::int32_t> labels(4 * 8);
    ASSERT_TRUE(batcher.next({values, labels}));
    EXPECT_TRUE(store.give_up_changed().empty());
    for (const auto* name : {"train_0.bin", "train_1.bin"}) {
        std::filesystem::remove(directory_.path() / name);
    }
    EXPECT_FALSE(batcher.next({values, labels})) << "there is nothing left to train on";
    EXPECT_GT(batcher.damaged(), 0U);
    EXPECT_FALSE(store.give_up_changed().empty());
    // Those that were not drawn since are found one after another.
    while (batcher.next({values, labels}) || !store.give_up_changed().empty()) continue;
    EXPECT_EQ(store.held(), 1U) << "the part that is not for training";
    EXPECT_EQ(store.take_dropped().size(), train.size());
    for (const auto& shard : cut.shards) ASSERT_TRUE(store.put(shard.bytes).has_value());
    ASSERT_TRUE(batcher.next({values, labels}));
    EXPECT_EQ(batches(store, 100), batches(copies, 100));
}

/// Records of 5 to 11 bytes in one file, with boxes as labels.
class FiledSource final : public Source {
public:
    FiledSource(std::string path, std::uint32_t count) : path_(std::move(path)) {
        Input input;
        input.name = "image";
        input.storage = Storage::Encoded;
        input.shape = {{3, false}, {64, true}, {64, true}};
        schema_.inputs = {input};
        schema_.label = {LabelKind::Boxes, 5, {}, {}};
        ImageRecipe recipe;
        recipe.channels = 3;
        recipe.height = recipe.width = 8;
        recipe.scales = {{}};
        recipe_ = recipe;
        for (auto& list : labels_) list = LabelList(schema_.label);
        for (std::uint32_t i = 0; i < count; ++i) {
            LabelValue value;
            value.boxes.assign(i % 4, {static_cast<std::uint16_t>(i % 5), 0, 0, 9, 9});
            labels_[0].add(schema_.label, value);
            bytes_ += drawn(5 + i % 7, i);
            ends_.push_back(bytes_.size());
        }
        write_file(path_, bytes_);
        state_ = *state_of_file(path_);
    }

    [[nodiscard]] Result<void> read(Split, std::uint64_t i, Bytes& out) const override {
        const auto begin = i == 0 ? 0 : ends_[i - 1];
        ByteWriter(out).put_bytes(as_byte_view(bytes_).subspan(begin, ends_[i] - begin));
        return {};
    }

    [[nodiscard]] std::optional<FileExtent> file_extent(Split, std::uint64_t i) const override {
        const auto begin = i == 0 ? 0 : ends_[i - 1];
        return FileExtent{path_, state_, begin, static_cast<std::uint32_t>(ends_[i] - begin)};
    }

private:
    std::string path_;
    std::string bytes_;
    std::vector<std::size_t> ends_;
    FileState state_;
};

TEST_F(Extents, RecordsInPlaceHaveTheirBytesAndLabels) {
    const FiledSource source((directory_.path() / "records").string(), 300);
    Cut cut;
    const auto manifest = cut_source(source, {}, std::nullopt, test_hash, cut.sink());
    ASSERT_TRUE(manifest.has_value());
    ShardStore store(*manifest, test_hash);
    for (const auto& shard : cut.shards) {
        ASSERT_TRUE(store.put(in_place(shard)).has_value()) << "the hash is that of the copy";
        const auto held = store.get(shard.id);
        const auto view = store.view(held);
        const auto copy = store.view(shard.bytes);
        ASSERT_EQ(view.samples, copy.samples);
        for (std::uint32_t i = 0; i < view.samples; ++i) {
            Bytes room;
            const auto record = view.record(i, room);
            ASSERT_TRUE(record.has_value());
            EXPECT_EQ(as_text(*record), as_text(copy.record(i)));
            EXPECT_EQ(as_text(view.label_of(i)), as_text(copy.label_of(i)));
        }
    }
    // A head that is cut elsewhere makes the same bytes and is still refused.
    auto moved = cut.shards[0];
    moved.head -= 1;
    ShardStore other(*manifest, test_hash);
    const auto list = encode_extents(ByteView(moved.bytes).first(moved.head), moved.extents);
    EXPECT_TRUE(other.put_known(moved.id, *shard_in_place(share(list))).has_error());
}

}  // namespace
}  // namespace starling::data
