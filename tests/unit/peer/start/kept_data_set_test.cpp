// Goal: the next life of a peer with private samples finds its files again, and notices when they are others.
// Method: files in directories that a test fills; the samples that the repository has, read as a founder and as its
// next life read them.

#include "peer/start/kept_data_set.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "peer/start/swarm_plan.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

KeptDataSet some(const std::string& spec) {
    KeptDataSet kept;
    kept.swarm.bytes.fill(0xa7);
    kept.samples.bytes.fill(0x5c);
    kept.spec = spec;
    return kept;
}

class KeptDataSets : public ::testing::Test {
protected:
    [[nodiscard]] fs::path state() const { return directory_.path(); }

    starling::testing::TemporaryDirectory directory_;
};

TEST_F(KeptDataSets, WhatWasWrittenIsReadAndIsForItsOwnerOnly) {
    for (const auto* spec : {"csv:/a/b c.csv?label=kind", "text:/a/b\nsamples 12\n%3F"}) {
        const auto kept = some(spec);
        ASSERT_TRUE(write_kept_data_set(state(), kept).has_value());
        const auto read = read_kept_data_set(state());
        ASSERT_TRUE(read.has_value()) << read.error().message;
        EXPECT_EQ(*read, kept);

        struct stat facts {};

        ASSERT_EQ(::stat(kept_data_set_path(state()).c_str(), &facts), 0);
        EXPECT_EQ(facts.st_mode & 0777U, 0600U);
    }
}

TEST_F(KeptDataSets, ADamagedFileIsRefusedInOneLineThatNamesIt) {
    EXPECT_EQ(read_kept_data_set(state()).error().code, FaultCode::NotFound);
    ASSERT_TRUE(write_kept_data_set(state(), some("csv:/x.csv")).has_value());
    const auto path = kept_data_set_path(state());
    const auto digits = some("").swarm.hex();
    for (const auto& text :
         {std::string(),
          std::string("swarm\n"),
          "swarm " + digits + "\n",
          "swarm " + digits + "\nsamples " + digits + "\n",
          "swarm " + digits + "\nsamples " + digits + "\ndataset \n",
          "swarm " + digits + "\nsamples " + digits + "\ndataset csv:/x.csv",
          "swarm " + digits + "0\nsamples " + digits + "\ndataset csv:/x.csv\n",
          "swarm " + digits + "\nsamples g" + digits.substr(1) + "\ndataset csv:/x.csv\n"}) {
        starling::testing::write_quickly(path, as_byte_view(text));
        const auto read = read_kept_data_set(state());
        ASSERT_TRUE(read.has_error()) << text;
        EXPECT_EQ(read.error().code, FaultCode::BadFormat) << text;
        EXPECT_EQ(read.error().message.find(path.string()), 0U);
        EXPECT_EQ(read.error().message.find('\n'), std::string::npos);
    }
    starling::testing::write_quickly(path, Bytes(std::size_t{65} * 1024));
    EXPECT_TRUE(read_kept_data_set(state()).has_error());
}

TEST_F(KeptDataSets, PathsDoNotDependOnTheWorkingDirectory) {
    const auto here = fs::current_path().string();
    EXPECT_EQ(with_absolute_paths("csv:a/../b.csv?label=x"), "csv:" + here + "/b.csv?label=x");
    EXPECT_EQ(with_absolute_paths("csv:/b.csv"), "csv:/b.csv");
    EXPECT_EQ(with_absolute_paths("csv:/a%3Fb.csv"), "csv:/a%3Fb.csv");
    EXPECT_EQ(with_absolute_paths("coco:/i.json?images=p"), "coco:/i.json?images=" + here + "/p");
    EXPECT_EQ(with_absolute_paths("text:/t?tokens=bpe:300"), "text:/t?tokens=bpe:300");
    EXPECT_EQ(with_absolute_paths("text:/t?tokens=bpe:g"), "text:/t?tokens=bpe:" + here + "/g");
    EXPECT_EQ(with_absolute_paths("text:/t?tokens=bytes"), "text:/t?tokens=bytes");
}

/// The founder learns how samples are prepared, and its next life is told: both must cut the same shards.
TEST_F(KeptDataSets, AFounderKnowsItsSamplesAgain) {
    const std::string samples = std::string(STARLING_SOURCE_DIR) + "/data/samples/";
    const auto rare = state() / "rare.csv";
    std::string rows = "town,age,kind\n";
    for (int i = 0; i < 200; ++i) {
        const auto town = i == 50 ? "once" : i % 3 == 0 ? "a" : "b";
        rows += std::string(town) + "," + (i % 7 == 0 ? "" : std::to_string(i)) + "," +
                (i % 2 == 0 ? "x" : "y") + "\n";
    }
    starling::testing::write_quickly(rare, as_byte_view(rows));

    struct Case {
        std::string spec;
        std::string model;
    };

    for (const auto& [spec, model] : std::vector<Case>{
             {"csv:" + samples + "breast_cancer.csv?skip=1&header=0&split=row%5==0", "tabular"},
             {"csv:" + rare.string(), "tabular"},
             {"idx:" + samples + "?train=500&test=100", "mlp"},
             {"text:" + samples + "moby-dick.txt.gz?tokens=bytes",
              "gpt?layers=1&heads=1&dim=8&context=16"},
             {"audio:" + samples + "spoken-digits-5lang.tar.gz", "audio?mels=20&window=40ms"}}) {
        SCOPED_TRACE(spec);
        PeerConfig config;
        config.dataset = spec;
        config.model = model;
        config.private_data = true;
        config.wait_for = 40;
        const auto founding = load_founding(config);
        ASSERT_TRUE(founding.has_value()) << founding.error().message;
        const auto& first = founding->data.manifest;
        const auto next = load_own(config, data::agreed_part(first));
        ASSERT_TRUE(next.has_value()) << next.error().message;
        EXPECT_EQ(samples_hash(next->data.manifest), samples_hash(first));
        auto fewer = first;
        fewer.shards.pop_back();
        EXPECT_NE(samples_hash(fewer), samples_hash(first));
    }
}

}  // namespace
}  // namespace starling::peer
