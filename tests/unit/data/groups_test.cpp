// Goal: training samples are divided by a field exactly: by any column of a table, by a part of files'
// names, by the file of a text; a wrong name lists the right ones, and a peer with the same files cuts the
// same shards. Method: small files that the test writes, whose samples name their group; real data sets
// where they are.

#include "data/groups.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <sstream>
#include <zlib.h>

#include "base/rng.hpp"
#include "data/reading.hpp"
#include "data/shard_format.hpp"
#include "data/sources/name_pattern.hpp"
#include "data/token_source.hpp"
#include "tests/unit/data/support/shared_data.hpp"
#include "tests/unit/data/support/sources.hpp"

namespace starling::data {
namespace {

using testing::open;
using testing::shared_data;
using testing::test_hash;

class GroupFiles : public testing::SourceFiles {};

/// A source that was cut with a partition.
struct Divided {
    Divided(const Source& source, const std::string& text) {
        const auto partition = Partition::parse(text);
        EXPECT_TRUE(partition.has_value()) << (partition ? "" : partition.error().message);
        Reading reading;
        auto made = cut_source(source, *partition, std::nullopt, test_hash, sink());
        EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
        if (made) manifest = std::move(*made);
        notes = reading.take_notes();
    }

    ShardSink sink() {
        return [this](CutShard cut) {
            shards.push_back(std::move(cut.bytes));
            return Result<void>();
        };
    }

    /// Returns the training samples of each partition.
    [[nodiscard]] std::vector<std::uint64_t> sizes() const {
        std::vector<std::uint64_t> sizes(manifest.partitions);
        for (const auto& shard : manifest.shards) {
            if (shard.split == Split::Train) sizes.at(shard.partition) += shard.samples;
        }
        return sizes;
    }

    Manifest manifest;
    std::vector<Bytes> shards;
    std::vector<std::string> notes;
};

std::string refusal(const Source& source, const std::string& text) {
    std::vector<Bytes> shards;
    const auto made =
        cut_source(source, *Partition::parse(text), std::nullopt, test_hash, collect_in(shards));
    EXPECT_TRUE(made.has_error()) << text;
    return made ? std::string() : made.error().message;
}

TEST(APartitionByColumn, IsParsedAndPrintedBack) {
    const auto plain = Partition::parse("column=speaker");
    ASSERT_TRUE(plain.has_value());
    EXPECT_EQ(plain->column, "speaker");
    EXPECT_TRUE(plain->divides());
    EXPECT_EQ(plain->to_string(), "column=speaker");
    const auto dealt = Partition::parse("column=a:b%3Fc=d?owners=3");
    ASSERT_TRUE(dealt.has_value());
    EXPECT_EQ(dealt->column, "a:b?c=d");
    EXPECT_EQ(dealt->owners, 3U);
    EXPECT_EQ(dealt->to_string(), "column=a:b%3Fc=d?owners=3");
    EXPECT_EQ(Partition::parse(dealt->to_string())->column, dealt->column);
    for (const std::string wrong :
         {"column=",
          "column",
          "column=a?seed=1",
          "column=a?owners=2000",
          "columns=a",
          "column:a"}) {
        EXPECT_TRUE(Partition::parse(wrong).has_error()) << wrong;
    }
}

TEST(Dealing, GivesEachValueAnOwnerOrSharesThemOutBySize) {
    GroupBuilder builder;
    const std::map<std::string, int> sizes = {{"a", 7}, {"b", 5}, {"c", 4}, {"d", 4}, {"", 2}};
    for (const auto& [name, size] : sizes) {
        for (int i = 0; i < size; ++i) builder.add(name);
    }
    const auto groups = builder.groups("x");
    ASSERT_TRUE(groups.has_value());
    EXPECT_EQ(groups->names, (std::vector<std::string>{"", "a", "b", "c", "d"}));
    EXPECT_EQ(groups->sizes, (std::vector<std::uint64_t>{2, 7, 5, 4, 4}));
    const auto each = deal_groups(*groups, 0, "x");
    EXPECT_EQ(*each, (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
    const auto two = deal_groups(*groups, 2, "x");
    std::map<std::uint32_t, std::uint64_t> held;
    for (std::size_t i = 0; i < groups->count(); ++i) held[(*two)[i]] += groups->sizes[i];
    EXPECT_EQ(held[0], 11U);
    EXPECT_EQ(held[1], 11U);
    EXPECT_NE(
        describe_deal(*groups, *two, "x", "samples").find("5 values for 2 owners, in samples: a 7"),
        std::string::npos
    ) << describe_deal(*groups, *two, "x", "samples");
    EXPECT_NE(describe_deal(*groups, *each, "x", "samples").find("(none) 2"), std::string::npos);
    EXPECT_NE(deal_groups(*groups, 6, "x").error().message.find("5 values"), std::string::npos);
}

TEST(Dealing, LeavesNoOwnerWithoutAValue) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Rng rng(seed);
        Groups groups;
        const auto count = 1 + rng.below(40);
        for (std::uint64_t i = 0; i < count; ++i) {
            groups.names.push_back(std::to_string(i));
            groups.sizes.push_back(rng.below(3) * rng.below(100));
        }
        const auto owners = static_cast<std::uint32_t>(1 + rng.below(count));
        const auto dealt = deal_groups(groups, owners, "x");
        ASSERT_TRUE(dealt.has_value());
        EXPECT_EQ(std::set<std::uint32_t>(dealt->begin(), dealt->end()).size(), owners) << seed;
    }
}

TEST(NamePatterns, ReadFieldsOfNamesAndFolders) {
    using Values = std::vector<std::string_view>;
    const auto read = [](const std::string& pattern, std::string_view name) {
        const auto made = NamePattern::parse(pattern);
        EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
        return made->read(name);
    };
    EXPECT_EQ(read("{d}_{s}_{t}", "recordings/7_jackson_32.wav"), (Values{"7", "jackson", "32"}));
    EXPECT_EQ(read("{d}_{s}_{t}", "7_jackson_32_b.wav"), (Values{"7", "jackson", "32_b"}));
    EXPECT_EQ(
        read("{y}_{president*}_{p}", "1790_george_washington_n.txt"),
        (Values{"1790", "george_washington", "n"})
    );
    EXPECT_EQ(read("{s}/{d}", "all/ann/7.wav"), (Values{"ann", "7"}));
    EXPECT_EQ(read("{s}/take {d}", "ann/take 7.x.wav"), (Values{"ann", "7.x"}));
    EXPECT_EQ(read("x{a}y", "xAy.wav"), (Values{"A"}));
    for (const auto& [pattern, name] : std::vector<std::pair<std::string, std::string>>{
             {"{d}_{s}_{t}", "7_jackson.wav"},
             {"{d}_{s}", "_jackson.wav"},
             {"{s}/{d}", "7.wav"},
             {"x{a}y", "xy.wav"},
             {"x{a}x", "x.wav"},
             {"{a}", ""}}) {
        EXPECT_FALSE(read(pattern, name).has_value()) << pattern << " " << name;
    }
    for (const std::string wrong :
         {"", "abc", "{a}{b}", "{a", "{}", "{a*}_{b*}", "{a}_{a}", "{*}"}) {
        EXPECT_TRUE(NamePattern::parse(wrong).has_error()) << wrong;
    }
}

TEST_F(GroupFiles, ATableIsDividedByAnyColumn) {
    std::string text = "x,who,day,label\n";
    // The number of the writer is in the features: 100 i + their number.
    const std::array<std::string, 4> names = {"ann", "bob", "", "dan"};
    for (int i = 0; i < 600; ++i) {
        const int who = i % 10 < 4 ? 0 : i % 10 < 7 ? 1 : i % 10 < 9 ? 2 : 3;
        text += std::to_string(100 * i + who) + "," + names[static_cast<std::size_t>(who)] + "," +
                std::to_string(i % 12) + "," + std::to_string(i % 2) + "\n";
    }
    put("t.csv", text);
    const auto source = open("csv:" + path("t.csv") + "?label=label&drop=who");
    ASSERT_NE(source, nullptr);
    const Divided divided(*source, "column=who");
    ASSERT_EQ(divided.manifest.partitions, 4U);
    EXPECT_EQ(divided.manifest.partition, "column=who");
    ASSERT_FALSE(divided.notes.empty());
    EXPECT_NE(divided.notes.back().find("4 values for 4 owners"), std::string::npos);
    Preparation preparation(divided.manifest);
    std::map<std::uint32_t, std::set<int>> found;
    std::uint64_t samples = 0;
    const auto& columns = std::get<TableRecipe>(divided.manifest.recipe).columns;
    for (std::size_t i = 0; i < divided.shards.size(); ++i) {
        const auto& info = divided.manifest.shards[i];
        if (info.split != Split::Train) continue;
        const auto view = open_shard(divided.shards[i], info, divided.manifest);
        ASSERT_TRUE(view.has_value());
        for (std::uint32_t k = 0; k < view->samples; ++k) {
            std::vector<float> values(preparation.values());
            std::vector<std::int32_t> labels(preparation.labels());
            ASSERT_TRUE(preparation.read(*view, k, 0, std::nullopt, {values, labels, {}}));
            const auto& scale = columns[0].scale;
            const double x = values[0] * scale.stddev + scale.mean;
            found[info.partition].insert(static_cast<int>(std::lround(x)) % 100);
            ++samples;
        }
    }
    EXPECT_EQ(samples, source->count(Split::Train)) << "no sample is left out";
    for (const auto& [partition, writers] : found) EXPECT_EQ(writers.size(), 1U) << partition;

    const auto sizes = Divided(*source, "column=day?owners=5").sizes();
    EXPECT_EQ(sizes.size(), 5U);
    EXPECT_LT(
        *std::max_element(sizes.begin(), sizes.end()),
        2 * *std::min_element(sizes.begin(), sizes.end())
    ) << "12 days for 5 owners";
    EXPECT_EQ(Divided(*source, "column=label").sizes().size(), 2U) << "also what is learned";
    const auto unknown = refusal(*source, "column=speaker");
    EXPECT_NE(unknown.find("there are x, who, day, label"), std::string::npos) << unknown;
}

TEST_F(GroupFiles, WhoHasTheSameFilesCutsTheSameShards) {
    std::string text = "x,who,label\n";
    for (int i = 0; i < 300; ++i) {
        text +=
            std::to_string(i) + "," + std::to_string(i % 7) + "," + std::to_string(i % 2) + "\n";
    }
    put("t.csv", text);
    const auto spec = "csv:" + path("t.csv") + "?label=label";
    for (const std::string partition : {"column=who", "column=who?owners=3"}) {
        const Divided founder(*open(spec), partition);
        std::vector<Bytes> shards;
        const auto again = cut_source(
            *open(spec),
            *Partition::parse(founder.manifest.partition),
            shard_counts(founder.manifest),
            test_hash,
            collect_in(shards)
        );
        ASSERT_TRUE(again.has_value());
        EXPECT_EQ(encode_manifest(*again), encode_manifest(founder.manifest)) << partition;
        const auto read = decode_manifest(encode_manifest(founder.manifest));
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(read->partition, partition);
    }
}

TEST_F(GroupFiles, SoundsAreDividedByAPartOfTheirNameOrByTheirFolder) {
    for (int i = 0; i < 60; ++i) {
        const std::string who = i % 3 == 0 ? "ann" : i % 3 == 1 ? "bob" : "cy";
        put_golden(
            "r" + std::to_string(i % 4) + "/" + std::to_string(i % 2) + "_" + who + "_" +
                std::to_string(i) + ".wav",
            "pcm16.wav"
        );
    }
    const auto source = open("audio:" + path() + "?names={label}_{speaker}_{take}");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema().label.names, (std::vector<std::string>{"0", "1"}));
    const auto groups = source->groups("speaker");
    ASSERT_TRUE(groups.has_value());
    EXPECT_EQ(groups->names, (std::vector<std::string>{"ann", "bob", "cy"}));
    EXPECT_EQ(groups->of.size(), source->count(Split::Train));
    EXPECT_EQ(Divided(*source, "column=folder").sizes().size(), 4U);
    EXPECT_EQ(Divided(*source, "column=label").sizes().size(), 2U);
    const auto unknown = refusal(*source, "column=voice");
    EXPECT_NE(unknown.find("label, speaker, take, folder"), std::string::npos) << unknown;
    const auto by_field = open("audio:" + path() + "?names={digit}_{speaker}_{take}&label=speaker");
    EXPECT_EQ(by_field->schema().label.names, (std::vector<std::string>{"ann", "bob", "cy"}));
    EXPECT_NE(
        testing::refusal("audio:" + path() + "?names={digit}-{speaker}&label=digit")
            .message.find("no file's name is as names= says"),
        std::string::npos
    );
}

/// Opens tokens, cuts them by a partition and returns the text of each owner.
std::vector<std::string> texts_of(const std::string& spec, const std::string& partition) {
    const auto source = open_tokens(*Spec::parse(spec), {});
    EXPECT_TRUE(source.has_value()) << (source ? "" : source.error().message);
    std::vector<Bytes> shards;
    const auto made = cut_tokens(
        **source, *Partition::parse(partition), std::nullopt, test_hash, collect_in(shards)
    );
    EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
    if (!made) return {};
    std::vector<std::string> texts(made->partitions);
    for (std::size_t i = 0; i < shards.size(); ++i) {
        const auto& info = made->shards[i];
        if (info.split != Split::Train) continue;
        const auto tokens = ByteView(shards[i]).subspan(kShardHeaderBytes);
        for (std::size_t k = 0; k < tokens.size(); k += 2) {
            texts[info.partition] += static_cast<char>(tokens[k]);
        }
    }
    return texts;
}

TEST_F(GroupFiles, TextsAreDividedByTheirFiles) {
    std::map<std::string, std::string> written;
    for (int i = 0; i < 10; ++i) {
        const std::string who = i < 4 ? "ann" : i < 7 ? "bob" : "cy";
        const std::string text(200 + 10 * static_cast<std::size_t>(i), static_cast<char>('a' + i));
        put(std::to_string(1790 + i) + "_" + who + "_x.txt", text);
        written[who] += text;
    }
    const auto spec = "text:" + path() + "?tokens=bytes&context=8&names={year}_{who*}_{party}";
    const auto texts = texts_of(spec, "column=who");
    ASSERT_EQ(texts.size(), 3U);
    const auto letters = [](const std::string& text) {
        std::string found;
        for (char c = 'a'; c <= 'z'; ++c) {
            if (text.find(c) != std::string::npos) found += c;
        }
        return found;  // and marks between texts
    };
    EXPECT_EQ(letters(texts[0]), "abcd");
    EXPECT_EQ(letters(texts[1]), "efg");
    EXPECT_EQ(letters(texts[2]), "hij") << "most of the last text is for testing";
    EXPECT_EQ(texts_of(spec, "column=file").size(), 10U);
    EXPECT_EQ(texts_of(spec, "column=who?owners=2").size(), 2U);
    std::size_t all = 0;
    for (const auto& text : texts) all += text.size();
    const auto source = open_tokens(*Spec::parse(spec), {});
    EXPECT_EQ(all, (*source)->count(Split::Train)) << "no token is left out";
    std::vector<Bytes> shards;
    const auto refused = cut_tokens(
        **source, *Partition::parse("column=author"), std::nullopt, test_hash, collect_in(shards)
    );
    ASSERT_TRUE(refused.has_error());
    EXPECT_NE(refused.error().message.find("year, who, party, folder, file"), std::string::npos)
        << refused.error().message;
}

TEST(RealData, SixSpeakersOfDigitsHaveAnOwnerEach) {
    const auto archive = shared_data("fsdd/fsdd.tar.gz");
    STARLING_NEEDS_SHARED(archive);
    const auto source =
        open("audio:" + archive.string() + "?names={digit}_{speaker}_{take}&label=digit");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema().label.count, 10U);
    const Divided divided(*source, "column=speaker");
    const auto sizes = divided.sizes();
    ASSERT_EQ(sizes.size(), 6U);
    for (const auto size : sizes) EXPECT_NEAR(static_cast<double>(size), 450.0, 40.0);
    EXPECT_NE(divided.notes.back().find("george "), std::string::npos);
    EXPECT_NE(divided.notes.back().find("yweweler "), std::string::npos);
}

TEST(RealData, CreditClientsAreDividedByTheirEducation) {
    const auto table = shared_data("uci-credit-default/UCI_Credit_Card.csv.gz");
    STARLING_NEEDS_SHARED(table);
    const auto source =
        open("csv:" + table.string() + "?label=default.payment.next.month&drop=ID,EDUCATION");
    ASSERT_NE(source, nullptr);
    const Divided divided(*source, "column=EDUCATION");
    EXPECT_EQ(divided.sizes().size(), 7U) << "0 to 6";
    EXPECT_EQ(Divided(*source, "column=EDUCATION?owners=3").sizes().size(), 3U);
    const auto unknown = refusal(*source, "column=SCHOOL");
    EXPECT_NE(unknown.find("EDUCATION"), std::string::npos) << unknown;
}

std::string unzipped(const std::filesystem::path& path) {
    std::string text;
    const auto file = ::gzopen(path.c_str(), "rb");
    std::array<char, 65536> piece{};
    for (int count = 0; (count = ::gzread(file, piece.data(), piece.size())) > 0;) {
        text.append(piece.data(), static_cast<std::size_t>(count));
    }
    ::gzclose(file);
    return text;
}

TEST_F(GroupFiles, EachPresidentHasAnOwner) {
    const auto all = shared_data("sotu/sotu.txt.gz");
    STARLING_NEEDS_SHARED(all);
    const auto text = unzipped(all);
    std::istringstream list(unzipped(shared_data("sotu/files.txt.gz")));
    std::string name;
    std::size_t bytes = 0;
    std::size_t at = 0;
    while (list >> name >> bytes) {
        // The list counts each address without the blank line behind it.
        put(name, std::string_view(text).substr(at, bytes));
        at += bytes;
        while (at < text.size() && text[at] == '\n') ++at;
    }
    const auto spec =
        *Spec::parse("text:" + path() + "?tokens=bytes&names={year}_{president*}_{party}");
    const auto source = open_tokens(spec, {});
    ASSERT_TRUE(source.has_value()) << source.error().message;
    const auto groups = (*source)->groups("president");
    ASSERT_TRUE(groups.has_value()) << groups.error().message;
    const auto& names = groups->groups.names;
    EXPECT_GT(names.size(), 30U);
    EXPECT_NE(std::find(names.begin(), names.end(), "george_washington"), names.end());
    Reading reading;
    std::vector<Bytes> shards;
    const auto made = cut_tokens(
        **source, *Partition::parse("column=president"), std::nullopt, test_hash, collect_in(shards)
    );
    ASSERT_TRUE(made.has_value()) << made.error().message;
    EXPECT_EQ(made->partitions, names.size());
    EXPECT_FALSE(reading.take_notes().empty());
}

}  // namespace
}  // namespace starling::data
