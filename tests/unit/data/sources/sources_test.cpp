// Goal: what people have in folders, tables and archives becomes the samples that they mean, and
// what is wrong is said with its place. Method: small trees and tables written by the test; the
// shared data sets, whose counts and values Python's csv, wave and numpy have read.

#include "tests/unit/data/support/sources.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <set>

#include "data/batcher.hpp"
#include "data/media/audio.hpp"
#include "tests/unit/data/support/shared_data.hpp"

namespace starling::data {
namespace {

using testing::class_of;
using testing::open;
using testing::Prepared;
using testing::refusal;
using testing::shared_data;

class Sources : public testing::SourceFiles {};

std::string samples(const std::string& name) {
    return "csv:" STARLING_SAMPLES "/" + name;
}

TEST_F(Sources, FoldersNameTheClassesAndTheSplits) {
    put_golden("pets/train/cat/1.png", "rgb8.png");
    put_golden("pets/train/cat/2.JPG", "full.jpg");
    put_golden("pets/train/dog/1.jpeg", "progressive.jpg");
    put_golden("pets/test/dog/9.png", "rgba8.png");
    put_golden("pets/valid/cat/5.png", "palette4.png");
    put("pets/train/dog/._1.jpeg", "what Finder leaves");
    put("pets/train/dog/notes.txt", "no picture");
    const auto source = open("images:" + path("pets") + "?size=16");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema().label.names, (std::vector<std::string>{"cat", "dog"}));
    EXPECT_EQ(source->count(Split::Train), 3U);
    EXPECT_EQ(source->count(Split::Test), 1U);
    EXPECT_EQ(source->count(Split::Valid), 1U);
    EXPECT_EQ(class_of(*source, Split::Train, 0), 0U);
    EXPECT_EQ(class_of(*source, Split::Train, 2), 1U);
    EXPECT_TRUE(source->notes().lines.empty());
    Bytes record;
    ASSERT_TRUE(source->read(Split::Train, 1, record).has_value());
    EXPECT_EQ(record, testing::golden("media/full.jpg")) << "the file's own bytes";
    const Prepared prepared(*source);
    EXPECT_EQ(prepared.manifest.shape(), (std::vector<std::uint32_t>{3, 16, 16}));
    EXPECT_EQ(prepared.values.size(), 3U);
}

TEST_F(Sources, AFieldOfTheNamesMaySayTheSplit) {
    for (int i = 0; i < 20; ++i) {
        const auto who = i % 4 == 0 ? "ann" : "bob";
        put_golden(
            "a/" + std::to_string(i % 2) + "_" + who + "_" + std::to_string(i) + ".png", "grey8.png"
        );
    }
    const auto spec = "images:" + path("a") + "?names={label}_{who}_{take}";
    const auto takes = open(spec + "&split=take<5");
    ASSERT_NE(takes, nullptr);
    EXPECT_EQ(takes->count(Split::Test), 5U);
    EXPECT_EQ(takes->count(Split::Train), 15U);
    EXPECT_EQ(open(spec + "&split=who=bob")->count(Split::Test), 15U);
    EXPECT_EQ(open(spec + "&split=take%4==3")->count(Split::Test), 5U);
    const auto unknown = open_source(*Spec::parse(spec + "&split=day<5"), {});
    ASSERT_TRUE(unknown.has_error());
    EXPECT_NE(unknown.error().message.find("no field of names="), std::string::npos);
    for (const char* wrong : {"take<", "take<x", "<5"}) {
        EXPECT_TRUE(open_source(*Spec::parse(spec + "&split=" + wrong), {}).has_error()) << wrong;
    }
}

TEST_F(Sources, WithoutFoldersForSplitsFilesAreDrawnByTheirNames) {
    for (int i = 0; i < 60; ++i) {
        const auto name = std::to_string(i) + ".png";
        put_golden("a/" + std::string(i % 2 == 0 ? "even/" : "odd/") + name, "grey8.png");
    }
    const auto source = open("images:" + path("a") + "?test=0.3&valid=0.2");
    ASSERT_NE(source, nullptr);
    const auto train = source->count(Split::Train);
    const auto test = source->count(Split::Test);
    EXPECT_EQ(train + test + source->count(Split::Valid), 60U);
    EXPECT_GT(test, 5U);
    EXPECT_GT(source->count(Split::Valid), 2U);
    ASSERT_EQ(source->notes().lines.size(), 1U);
    EXPECT_NE(source->notes().lines[0].find("30 %"), std::string::npos);
    // A file that comes later changes no other file's split.
    put_golden("a/even/z.png", "grey8.png");
    const auto more = open("images:" + path("a") + "?test=0.3&valid=0.2");
    EXPECT_LE(more->count(Split::Test) + more->count(Split::Train), test + train + 1);
    EXPECT_EQ(source->schema().inputs[0].shape[0].size, 1U) << "all are grey";
}

TEST_F(Sources, ABadPictureIsLeftOutAndCountedAndManyAreRefused) {
    for (int i = 0; i < 150; ++i) put_golden("p/a/" + std::to_string(i) + ".png", "grey8.png");
    put_golden("p/b/1.png", "grey8.png");
    put("p/b/2.png", "no picture at all");
    const auto source = open("images:" + path("p"));
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->notes().skipped, 1U);
    ASSERT_EQ(source->notes().first.size(), 1U);
    EXPECT_NE(source->notes().first[0].where.find("b/2.png"), std::string::npos);
    const auto strict = open_source(*Spec::parse("images:" + path("p")), {true});
    ASSERT_TRUE(strict.has_error());
    EXPECT_NE(strict.error().message.find("b/2.png"), std::string::npos);
    put("p/b/3.png", "nor this");
    EXPECT_EQ(refusal("images:" + path("p")).code, FaultCode::BadValue) << "more than 1 %";
}

TEST_F(Sources, WhatIsNoTreeOfClassesIsRefusedInOneLine) {
    EXPECT_EQ(refusal("images:" + path("none")).code, FaultCode::NotFound);
    put("empty/readme.txt", "x");
    EXPECT_EQ(refusal("images:" + path("empty")).code, FaultCode::Usage);
    put_golden("one/cat/1.png", "grey8.png");
    const auto one = refusal("images:" + path("one"));
    EXPECT_EQ(one.code, FaultCode::Usage);
    EXPECT_NE(one.message.find("put the files of each class"), std::string::npos);
    EXPECT_EQ(refusal("images:" + path("one") + "?size=0").code, FaultCode::Usage);
    EXPECT_EQ(refusal("images:" + path("one") + "?size=12x").code, FaultCode::Usage);
    EXPECT_EQ(refusal("images:" + path("one") + "?label=name").code, FaultCode::Usage);
}

TEST_F(Sources, AFileThatChangesAfterTheScanIsNotRead) {
    put_golden("p/a/1.png", "grey8.png");
    put_golden("p/b/1.png", "grey8.png");
    const auto source = open("images:" + path("p") + "?test=0");
    ASSERT_NE(source, nullptr);
    put_golden("p/b/1.png", "rgb8.png");
    Bytes record;
    const auto read = source->read(Split::Train, 1, record);
    ASSERT_TRUE(read.has_error());
    EXPECT_NE(read.error().message.find("changed"), std::string::npos);
    std::filesystem::remove(folder_.path() / "p/a/1.png");
    EXPECT_TRUE(source->read(Split::Train, 0, record).has_error());
}

TEST_F(Sources, SoundsAreFedAsSpectraOrAsTheyAre) {
    for (const auto* name : {"1_dog.wav", "2_dog.wav", "3_cat.wav"}) {
        put_golden(std::string("s/") + name, "pcm16.wav");
    }
    const auto spec = "audio:" + path("s") + "?label=name:1:_&test=0";
    const auto source = open(spec);
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema().label.names, (std::vector<std::string>{"cat", "dog"}));
    EXPECT_EQ(source->count(Split::Train), 3U);
    const Prepared spectra(*source);
    EXPECT_EQ(spectra.manifest.shape()[1], 40U);
    const auto raw = open(spec + "&features=waveform&seconds=0.05");
    const Prepared waves(*raw);
    const auto& recipe = std::get<AudioRecipe>(waves.manifest.recipe);
    const auto clip = decode_audio(testing::golden("media/pcm16.wav"), {recipe.rate, 0});
    ASSERT_TRUE(clip.has_value());
    for (std::size_t i = 0; i < std::min(clip->size(), waves.values[0].size()); ++i) {
        const float value = waves.values[0][i] * recipe.scale.stddev + recipe.scale.mean;
        EXPECT_NEAR(value, (*clip)[i], 1e-5);
    }
}

TEST_F(Sources, ATablesColumnsAreScaledOneByOneAndCategoriesKeepTheirCodes) {
    put("t.csv",
        "id,rooms,town,price,kind\n1,2,Bern,10,x\n2,4,Chur,20,y\n3,?,Bern,30,x\n4,6,,40,y\n"
        "5,100,Bern,50,x\n");
    const auto source = open("csv:" + path("t.csv") + "?label=kind&drop=id&split=id%5==0");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 4U);
    EXPECT_EQ(source->count(Split::Test), 1U);
    const auto& columns = std::get<TableRecipe>(source->recipe()).columns;
    ASSERT_EQ(columns.size(), 3U);
    EXPECT_EQ(columns[0].scale.mean, 4.0F) << "of the training rows alone, without what is missing";
    EXPECT_TRUE(columns[0].mask);
    EXPECT_EQ(columns[1].categories, (std::vector<std::string>{"Bern"}));
    EXPECT_FLOAT_EQ(columns[2].scale.mean, 25.0F);
    const Prepared prepared(*source);
    EXPECT_EQ(prepared.manifest.shape(), (std::vector<std::uint32_t>{4}));
    std::multiset<std::vector<float>> rows;
    for (auto row : prepared.values) {
        for (auto& value : row) value = std::round(value * 100.0F) / 100.0F;
        rows.insert(row);
    }
    // town, rooms, price, and whether rooms is missing
    EXPECT_TRUE(rows.contains({1.0F, -1.22F, -1.34F, 0.0F}));
    EXPECT_TRUE(rows.contains({2.0F, 0.0F, -0.45F, 0.0F})) << "one row with Chur: unknown";
    EXPECT_TRUE(rows.contains({1.0F, 0.0F, 0.45F, 1.0F}));
    EXPECT_TRUE(rows.contains({0.0F, 1.22F, 1.34F, 0.0F})) << "a town that is missing has code 0";
}

TEST_F(Sources, ATableOfNumbersToPredictGivesTargets) {
    std::string text = "a,b,y\n";
    for (int i = 0; i < 300; ++i) {
        text += std::to_string(i) + "," + std::to_string(i * i % 17) + "," +
                std::to_string(0.5 * i) + "\n";
    }
    put("t.csv", text);
    const auto source = open("csv:" + path("t.csv"));
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema().label.kind, LabelKind::Numbers);
    const Prepared prepared(*source);
    ASSERT_FALSE(prepared.targets.empty());
    EXPECT_EQ(prepared.targets[0].size(), 1U);
    EXPECT_TRUE(prepared.labels[0].empty());
    const auto& column = std::get<TableRecipe>(prepared.manifest.recipe).columns[0];
    for (std::size_t i = 0; i < prepared.values.size(); ++i) {
        const float a = prepared.values[i][0] * column.scale.stddev + column.scale.mean;
        EXPECT_NEAR(prepared.targets[i][0], 0.5F * a, 1e-2) << "a row keeps its label";
    }
}

TEST_F(Sources, BalanceWeighsRareClassesMore) {
    std::string text = "a,y\n";
    for (int i = 0; i < 100; ++i) {
        text += std::to_string(i) + (i < 10 ? ",fraud\n" : ",fair\n");
    }
    put("t.csv", text);
    const auto source = open("csv:" + path("t.csv") + "?balance=1&test=0");
    ASSERT_NE(source, nullptr);
    ASSERT_EQ(source->schema().label.weights.size(), 2U);
    EXPECT_FLOAT_EQ(source->schema().label.weights[0], 100.0F / (2 * 90));
    EXPECT_FLOAT_EQ(source->schema().label.weights[1], 100.0F / (2 * 10));
}

TEST_F(Sources, JsonLinesAreTheTableThatTheirCsvIs) {
    std::string csv = "town,n,id,y\n";
    std::string lines;
    for (int i = 0; i < 200; ++i) {
        const std::string town = i % 3 == 0 ? "Bern" : "Chur";
        const std::string y = i % 2 == 0 ? "a" : "b";
        const auto n = std::to_string(i % 10);
        csv += town + "," + n + "," + std::to_string(i) + "," + y + "\n";
        lines += R"({"town": ")" + town + R"(", "n": )" + n + R"(, "id": )" + std::to_string(i) +
                 R"(, "more": [1], "y": ")" + y + "\"}\n";
    }
    put("t.csv", csv);
    put("t.jsonl", lines + "{broken\n");
    const auto expected = open("csv:" + path("t.csv") + "?label=y&split=id%5==0");
    const auto source = open("jsonl:" + path("t.jsonl") + "?label=y&split=id%5==0");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema(), expected->schema());
    EXPECT_EQ(source->recipe(), expected->recipe());
    EXPECT_EQ(source->count(Split::Test), 40U);
    EXPECT_EQ(source->notes().skipped, 1U);
    EXPECT_NE(source->notes().first[0].where.find("line 201"), std::string::npos);
    for (std::uint64_t i = 0; i < source->count(Split::Train); ++i) {
        Bytes ours;
        Bytes theirs;
        ASSERT_TRUE(source->read(Split::Train, i, ours).has_value());
        ASSERT_TRUE(expected->read(Split::Train, i, theirs).has_value());
        EXPECT_EQ(ours, theirs);
        EXPECT_EQ(class_of(*source, Split::Train, i), class_of(*expected, Split::Train, i));
    }
    put("bad.jsonl", "{\"a\": 1, \"y\": 0}\n{\"a\": 2, \"y\": 1}\n{broken\n");
    const auto refused = refusal("jsonl:" + path("bad.jsonl"));
    EXPECT_NE(refused.message.find("line 3"), std::string::npos) << refused.message;
    const auto nested = refusal("jsonl:" + path("t.jsonl") + "?label=more");
    EXPECT_NE(nested.message.find("more"), std::string::npos) << nested.message;
}

TEST_F(Sources, ATableThatCannotBeLearnedIsRefusedInOneLine) {
    put("t.csv", "a,b\n1,x\n2,x\n");
    EXPECT_NE(refusal("csv:" + path("t.csv")).message.find("nothing to learn"), std::string::npos);
    const auto none = refusal("csv:" + path("t.csv") + "?label=c");
    EXPECT_EQ(none.code, FaultCode::Usage);
    EXPECT_NE(none.message.find("a, b"), std::string::npos) << none.message;
    EXPECT_EQ(refusal("csv:" + path("t.csv") + "?split=a%0").code, FaultCode::Usage);
    EXPECT_EQ(refusal("csv:" + path("none.csv")).code, FaultCode::NotFound);
    put("ragged.csv", "a,b\n1,x\n2\n3,y\n");
    EXPECT_NE(refusal("csv:" + path("ragged.csv")).message.find("line 3"), std::string::npos);
}

TEST_F(Sources, RecordsOfCifarAreReadAndOddSizesRefused) {
    std::string bytes;
    for (int i = 0; i < 4; ++i) {
        bytes += static_cast<char>(i % 3);
        bytes += std::string(1024, static_cast<char>(10 * i)) + std::string(1024, 'g') +
                 std::string(1024, 'b');
    }
    put("c/data_batch_1.bin", bytes);
    put("c/test_batch.bin", bytes.substr(0, 3073));
    put("c/batches.meta.txt", "cat\ndog\ncow\n\n");
    const auto source = open("cifar:" + path("c"));
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 4U);
    EXPECT_EQ(source->count(Split::Test), 1U);
    EXPECT_EQ(source->schema().label.names, (std::vector<std::string>{"cat", "dog", "cow"}));
    Bytes record;
    ASSERT_TRUE(source->read(Split::Train, 2, record).has_value());
    ASSERT_EQ(record.size(), 3072U);
    EXPECT_EQ(record[0], std::byte{20});
    EXPECT_EQ(record[1024], std::byte{'g'});
    put("c/data_batch_1.bin", bytes + "x");
    EXPECT_EQ(refusal("cifar:" + path("c")).code, FaultCode::BadFormat);
}

TEST_F(Sources, APictureThatBreaksOffWhileTrainingIsLeftOutAndCounted) {
    for (int i = 0; i < 10; ++i) put_golden("p/a/" + std::to_string(i) + ".png", "grey8.png");
    put_golden("p/b/1.png", "grey8.png");
    // The scan reads headers only, so it takes a picture whose end is missing.
    const auto bytes = testing::golden("media/grey8.png");
    put("p/b/2.png", as_text(ByteView(bytes).first(bytes.size() - 20)));
    const auto source = open("images:" + path("p") + "?test=0");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 12U);
    std::vector<Bytes> shards;
    const auto manifest =
        cut_source(*source, {}, std::nullopt, testing::test_hash, [&](CutShard cut) {
            shards.push_back(std::move(cut.bytes));
            return Result<void>();
        });
    ASSERT_TRUE(manifest.has_value());
    ShardStore store(*manifest, testing::test_hash);
    std::vector<ShardId> ids;
    for (const auto& shard : shards) {
        ids.push_back(ShardId{testing::test_hash(shard)});
        ASSERT_TRUE(store.put(shard).has_value());
    }
    Batcher batcher(store, 1);
    batcher.set_shards(ids);
    std::vector<float> values(11 * manifest->sample_elements());
    std::vector<std::int32_t> labels(11);
    ASSERT_TRUE(batcher.next({values, labels}));
    EXPECT_EQ(std::count(labels.begin(), labels.end(), 1), 1) << "each good one, once an epoch";
    ASSERT_TRUE(batcher.next({values, labels}));
    EXPECT_GE(batcher.damaged(), 1U);
    EXPECT_LE(batcher.damaged(), 2U);
    EXPECT_NE(batcher.first_damage().find("record"), std::string::npos);
}

TEST_F(Sources, ATableMayBeginWithALineThatIsNoneAndBeSplitByItsRows) {
    const auto source = open(samples("breast_cancer.csv") + "?skip=1&header=0&split=row%5==0");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 455U);
    EXPECT_EQ(source->count(Split::Test), 114U);
    EXPECT_EQ(source->schema().inputs[0].shape[0].size, 30U);
    std::vector<int> counts(2);
    for (const auto split : {Split::Train, Split::Test}) {
        for (std::uint64_t i = 0; i < source->count(split); ++i)
            ++counts[class_of(*source, split, i)];
    }
    EXPECT_EQ(counts, (std::vector<int>{212, 357}));
    EXPECT_NE(
        refusal(samples("breast_cancer.csv") + "?skip=1&header=0&split=rows%5==0")
            .message.find("rows"),
        std::string::npos
    );
    // Without its first line the file is a table; with it, a row has another number of fields.
    EXPECT_NE(refusal(samples("breast_cancer.csv")).message.find("line 2"), std::string::npos);
    put("t.csv", "made by a tool\n\nx,y\n1,a\n2,b\n3,\n4,a\n");
    const auto skipped = refusal("csv:" + path("t.csv") + "?skip=2&test=0");
    EXPECT_NE(skipped.message.find(": line 6"), std::string::npos) << skipped.message;
}

TEST_F(Sources, WhereNothingCanBeReadABatchSaysSo) {
    const auto bytes = testing::golden("media/grey8.png");
    for (const auto* name : {"p/a/1.png", "p/b/1.png"}) put(name, as_text(bytes));
    const auto source = open("images:" + path("p") + "?test=0");
    ASSERT_NE(source, nullptr);
    std::vector<Bytes> shards;
    auto manifest = cut_source(*source, {}, std::nullopt, testing::test_hash, [&](CutShard cut) {
        // A stranger may hash whatever he likes.
        std::fill(cut.bytes.end() - 30, cut.bytes.end(), std::byte{0});
        shards.push_back(std::move(cut.bytes));
        return Result<void>();
    });
    ASSERT_TRUE(manifest.has_value());
    std::vector<ShardId> ids;
    for (std::size_t i = 0; i < shards.size(); ++i) {
        manifest->shards[i].id.bytes = testing::test_hash(shards[i]);
        ids.push_back(manifest->shards[i].id);
    }
    ShardStore store(*manifest, testing::test_hash);
    for (const auto& shard : shards) ASSERT_TRUE(store.put(shard).has_value());
    Batcher batcher(store, 1);
    batcher.set_shards(ids);
    std::vector<float> values(manifest->sample_elements());
    std::vector<std::int32_t> labels(1);
    EXPECT_FALSE(batcher.next({values, labels}));
    EXPECT_GT(batcher.damaged(), 100U);
}

// What follows reads the shared data sets. The numbers are those of their READMEs, and of numpy's and
// Python's csv and wave modules over the same files.

TEST(SharedSets, Cifar10) {
    const auto folder = shared_data("cifar10");
    STARLING_NEEDS_SHARED(folder);
    const auto source = open("cifar:" + folder.string());
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 7500U);
    EXPECT_EQ(source->count(Split::Test), 870U);
    EXPECT_EQ(source->schema().label.names[9], "truck");
    const auto& scales = std::get<ImageRecipe>(source->recipe()).scales;
    ASSERT_EQ(scales.size(), 3U);
    EXPECT_NEAR(scales[0].mean, 0.49245605, 1e-6);
    EXPECT_NEAR(scales[2].stddev, 0.26251285, 1e-6);
}

TEST(SharedSets, CreditDefaults) {
    const auto file = shared_data("uci-credit-default") / "UCI_Credit_Card.csv.gz";
    STARLING_NEEDS_SHARED(file);
    const auto source =
        open("csv:" + file.string() + "?label=default.payment.next.month&split=ID%5==0");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 24000U);
    EXPECT_EQ(source->count(Split::Test), 6000U);
    EXPECT_EQ(source->schema().label.count, 2U);
    std::uint64_t defaults = 0;
    for (std::uint64_t i = 0; i < 24000; ++i) defaults += class_of(*source, Split::Train, i);
    for (std::uint64_t i = 0; i < 6000; ++i) defaults += class_of(*source, Split::Test, i);
    EXPECT_EQ(defaults, 6636U);
    const auto& columns = std::get<TableRecipe>(source->recipe()).columns;
    EXPECT_EQ(columns.size(), 23U);
    EXPECT_EQ(columns[0].name, "LIMIT_BAL");
}

TEST(SharedSets, CardFraud) {
    const auto file = shared_data("creditcard-ulb-sample") / "creditcard_sample.csv.gz";
    STARLING_NEEDS_SHARED(file);
    const auto source = open("csv:" + file.string() + "?label=Class&drop=Time&test=0");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 5706U);
    std::uint64_t frauds = 0;
    for (std::uint64_t i = 0; i < 5706; ++i) frauds += class_of(*source, Split::Train, i);
    EXPECT_EQ(frauds, 492U);
}

TEST(SharedSets, SpokenDigits) {
    const auto file = shared_data("fsdd") / "fsdd.tar.gz";
    STARLING_NEEDS_SHARED(file);
    const auto source = open("audio:" + file.string() + "?label=name:0:_&test=0");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 3000U);
    EXPECT_EQ(source->schema().label.count, 10U);
    std::uint64_t frames = 0;
    Bytes record;
    for (std::uint64_t i = 0; i < 3000; ++i) {
        record.clear();
        ASSERT_TRUE(source->read(Split::Train, i, record).has_value());
        const auto facts = probe_audio(record);
        ASSERT_TRUE(facts.has_value());
        EXPECT_EQ(facts->rate, 8000U);
        frames += facts->frames;
    }
    EXPECT_EQ(frames, 10498424U);
}

}  // namespace
}  // namespace starling::data
