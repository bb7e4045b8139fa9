// Goal: shards that were cut once found and serve the same swarm as the files that they were cut
// from, and a folder that is not whole is refused with its file. Method: a text and a table that the
// test writes, cut in memory and into a folder.

#include "peer/terms/shard_folder.hpp"

#include <fstream>
#include <gtest/gtest.h>
#include <set>

#include "peer/terms/data_set.hpp"
#include "peer/terms/shard_files.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

std::vector<Bytes> copies(const CutShards& cut) {
    std::vector<Bytes> all;
    for (const auto& shard : cut.shards) {
        Bytes room;
        const auto bytes = shard.read(0, shard.size(), room);
        EXPECT_TRUE(bytes.has_value()) << bytes.error().message;
        all.emplace_back(bytes->begin(), bytes->end());
    }
    return all;
}

class ShardFolders : public ::testing::Test {
protected:
    ShardFolders() {
        std::ofstream text(root_.path() / "text.txt");
        for (int i = 0; i < 10000; ++i) text << i << ' ';
        std::ofstream table(root_.path() / "table.csv");
        table << "a,b,kind\n";
        for (int i = 0; i < 500; ++i) {
            table << i << ',' << i * i % 17 << (i % 3 == 0 ? ",x\n" : ",y\n");
        }
    }

    [[nodiscard]] fs::path folder() const { return root_.path() / "cut"; }

    [[nodiscard]] std::string shards() const { return "shards:" + folder().string(); }

    [[nodiscard]] std::string text() const {
        return "text:" + (root_.path() / "text.txt").string();
    }

    [[nodiscard]] std::string table() const {
        return "csv:" + (root_.path() / "table.csv").string();
    }

    void write(const std::string& spec, const data::Partition& partition = {}) {
        const auto written = cut_into_folder(spec, folder(), partition, notes_);
        ASSERT_TRUE(written.has_value()) << written.error().message;
    }

    starling::testing::TemporaryDirectory root_;
    std::vector<std::string> notes_;
};

TEST_F(ShardFolders, EachPartHasItsOwnSamplesOfEverySplit) {
    write(table() + "?valid=0.2&test=0.2", *data::Partition::parse("dirichlet?alpha=1&owners=3"));
    std::uint64_t train = 0;
    std::uint64_t valid = 0;
    std::set<ShardId> ids;
    for (const char* part : {"0", "1", "2"}) {
        const auto cut = cut_for_swarm(shards() + "?part=" + part, "");
        ASSERT_TRUE(cut.has_value()) << cut.error().message;
        const auto& manifest = cut->sharded.manifest;
        EXPECT_EQ(manifest.partitions, 0U);
        EXPECT_GT(manifest.samples(data::Split::Train), 0U);
        EXPECT_GT(manifest.samples(data::Split::Valid), 0U);
        EXPECT_GT(manifest.samples(data::Split::Test), 0U);
        EXPECT_EQ(manifest.shards.size(), cut->sharded.shards.size());
        train += manifest.samples(data::Split::Train);
        valid += manifest.samples(data::Split::Valid);
        for (const auto& shard : manifest.shards) {
            EXPECT_TRUE(ids.insert(shard.id).second) << "no sample is in two parts";
        }
    }
    const auto all = read_folder_manifest(folder());
    EXPECT_EQ(train, all->samples(data::Split::Train));
    EXPECT_EQ(valid, all->samples(data::Split::Valid));
    EXPECT_EQ(cut_for_swarm(shards() + "?part=3", "").error().code, FaultCode::Usage);
    fs::remove_all(folder());
    write(table());
    const auto none = cut_for_swarm(shards() + "?part=0", "");
    ASSERT_TRUE(none.has_error());
    EXPECT_NE(none.error().message.find("--partition"), std::string::npos);
}

TEST_F(ShardFolders, PrivateSamplesAreReadAsTheSwarmHasAgreed) {
    const auto cut = cut_for_swarm(table(), "");
    ASSERT_TRUE(cut.has_value());
    const auto agreed = data::agreed_part(cut->sharded.manifest);
    EXPECT_TRUE(agreed.shards.empty());
    EXPECT_EQ(agreed.name.find(root_.path().string()), std::string::npos)
        << "a path tells too much";
    EXPECT_EQ(data::decode_manifest(data::encode_manifest(agreed))->mode, data::DataMode::Private);
    const auto own = cut_private(table(), agreed, {});
    ASSERT_TRUE(own.has_value()) << own.error().message;
    EXPECT_EQ(own->sharded.manifest.mode, data::DataMode::Private);
    EXPECT_EQ(own->sharded.manifest.recipe, agreed.recipe);
    EXPECT_EQ(
        own->sharded.manifest.samples(data::Split::Train),
        cut->sharded.manifest.samples(data::Split::Train)
    );
    EXPECT_EQ(cut_private(text(), agreed, {}).error().code, FaultCode::Usage);
}

TEST_F(ShardFolders, OfWordsWithOtherNumbersAreRefused) {
    const auto towns = [&](const char* name, const std::string& first, const std::string& second) {
        const auto path = root_.path() / name;
        std::ofstream file(path);
        file << "town,age,kind\n";
        for (int i = 0; i < 100; ++i) {
            file << (i % 2 == 0 ? first : second) << ',' << i << (i % 3 == 0 ? ",x\n" : ",y\n");
        }
        return "csv:" + path.string();
    };
    write(towns("ours.csv", "Chur", "Davos"));
    const auto ours = cut_for_swarm(shards(), "")->sharded.manifest;
    const auto theirs = cut_for_swarm(towns("theirs.csv", "Bern", "Chur"), "")->sharded.manifest;
    ASSERT_EQ(ours.schema, theirs.schema) << "only the recipes know the words";
    EXPECT_EQ(cut_private(shards(), data::agreed_part(theirs), {}).error().code, FaultCode::Usage);
    auto alike = ours;
    std::get<data::TableRecipe>(alike.recipe).columns[1].scale.mean += 1.0F;
    EXPECT_TRUE(cut_private(shards(), data::agreed_part(alike), {}).has_value());
}

TEST_F(ShardFolders, FoundAndServeTheSwarmThatTheFilesFound) {
    for (const auto& spec : {text(), table()}) {
        fs::remove_all(folder());
        write(spec);
        const auto files = cut_for_swarm(spec, "");
        const auto folder = cut_for_swarm(shards(), "");
        ASSERT_TRUE(folder.has_value()) << folder.error().message;
        // The folder is made to be given away, so it names no folder of this machine.
        auto published = files->sharded.manifest;
        published.name = data::public_name(published.name);
        EXPECT_NE(published.name, files->sharded.manifest.name);
        EXPECT_EQ(
            data::encode_manifest(folder->sharded.manifest), data::encode_manifest(published)
        );
        EXPECT_EQ(copies(folder->sharded), copies(files->sharded));
        std::vector<Bytes> served;
        const auto sink = data::collect_in(served);
        ASSERT_TRUE(cut_like(shards(), files->sharded.manifest, sink).has_value());
        EXPECT_EQ(served, copies(files->sharded));
        const auto judged = cut_for_eval(shards(), files->sharded.manifest);
        EXPECT_TRUE(judged.has_value());
    }
    EXPECT_FALSE(notes_.empty()) << "what the table's scan said";
    const auto other = cut_for_swarm(text(), "");
    EXPECT_EQ(cut_for_eval(shards(), other->sharded.manifest).error().code, FaultCode::Usage);
}

TEST_F(ShardFolders, ADamagedOrMissingFileIsNamed) {
    write(table());
    const auto manifest = cut_for_swarm(shards(), "")->sharded.manifest;
    const auto file = folder() / manifest.shards[1].id.hex();
    const auto bytes = fs::file_size(file);
    {
        std::fstream damage(file, std::ios::in | std::ios::out | std::ios::binary);
        damage.seekp(static_cast<std::streamoff>(bytes - 1));
        damage.put('\x55');
    }
    const auto damaged = cut_for_swarm(shards(), "");
    ASSERT_TRUE(damaged.has_error());
    EXPECT_EQ(damaged.error().code, FaultCode::Corrupt);
    EXPECT_NE(damaged.error().message.find(file.string()), std::string::npos);
    fs::resize_file(file, bytes - 1);
    EXPECT_EQ(cut_for_swarm(shards(), "").error().code, FaultCode::Corrupt);
    fs::remove(file);
    const auto missing = cut_for_swarm(shards(), "");
    EXPECT_EQ(missing.error().code, FaultCode::NotFound);
    EXPECT_NE(missing.error().message.find(file.string()), std::string::npos);
    fs::resize_file(folder() / "manifest", 100);
    EXPECT_NE(cut_for_swarm(shards(), "").error().message.find("manifest"), std::string::npos);
    fs::remove(folder() / "manifest");
    EXPECT_EQ(cut_for_swarm(shards(), "").error().code, FaultCode::NotFound);
    EXPECT_EQ(
        cut_for_swarm("shards:" + (root_.path() / "no").string(), "").error().code,
        FaultCode::NotFound
    );
}

TEST_F(ShardFolders, KeepTheirPartition) {
    const auto partition = *data::Partition::parse("iid?owners=3");
    write(table(), partition);
    const auto same = cut_for_swarm(shards(), "", partition);
    ASSERT_TRUE(same.has_value()) << same.error().message;
    EXPECT_EQ(same->sharded.manifest.partitions, 3U);
    EXPECT_TRUE(cut_for_swarm(shards(), "").has_value()) << "it need not be said again";
    const auto other = cut_for_swarm(shards(), "", *data::Partition::parse("iid?owners=4"));
    ASSERT_TRUE(other.has_error());
    EXPECT_NE(other.error().message.find("owners=3"), std::string::npos);
}

TEST_F(ShardFolders, AreWrittenIntoAnEmptyPlaceOnlyAndNotAtAllForABadSpec) {
    std::vector<std::string> notes;
    const auto none = cut_into_folder("csv:nowhere.csv", folder(), {}, notes);
    EXPECT_TRUE(none.has_error());
    EXPECT_FALSE(fs::exists(folder()));
    fs::create_directories(folder() / "something");
    const auto full = cut_into_folder(table(), folder(), {}, notes);
    ASSERT_TRUE(full.has_error());
    EXPECT_EQ(full.error().code, FaultCode::Usage);
    EXPECT_NE(full.error().message.find("already"), std::string::npos);
}

TEST_F(ShardFolders, LargeShardsAndFilesOfTokensStayWhereTheyAre) {
    const auto bins = root_.path() / "bins";
    fs::create_directory(bins);
    for (const auto* name : {"train.bin", "val.bin"}) {
        std::ofstream file(bins / name, std::ios::binary);
        for (int i = 0; i < 200'000; ++i) file << static_cast<char>(i % 61) << '\0';
    }
    const auto spec = "bin:" + bins.string() + "?context=4096&vocab=64";
    write(spec);
    const auto kept = root_.path() / "kept";
    for (const auto& source : {spec, shards()}) {
        fs::remove_all(kept);
        const auto cut = cut_for_swarm(source, "", {}, kept);
        ASSERT_TRUE(cut.has_value()) << cut.error().message;
        std::uint64_t bytes = 0;
        for (const auto& entry : fs::directory_iterator(kept)) {
            EXPECT_EQ(entry.path().extension(), kExtentsSuffix);
            bytes += entry.file_size();
        }
        EXPECT_LT(bytes, 20'000U) << source << ": lists, and no copy of 800 kB";
        std::vector<Bytes> copied;
        const auto like = cut_like(source, cut->sharded.manifest, data::collect_in(copied));
        ASSERT_TRUE(like.has_value());
        EXPECT_EQ(copies(cut->sharded), copied);
    }
}

}  // namespace
}  // namespace starling::peer
