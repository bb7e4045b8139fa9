// Goal: a founder with a schema that was agreed on prepares and labels its samples by that, and says in one line what does
// not fit. Method: small tables of several owners, whose numbers and words differ.

#include <fstream>
#include <gtest/gtest.h>

#include "peer/start/swarm_plan.hpp"
#include "peer/terms/schema_file.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

class AgreedSchemas : public ::testing::Test {
protected:
    /// Writes 100 rows with ages from `from` on, and returns their SPEC.
    std::string table(
        const std::string& name,
        int from,
        const std::vector<std::string>& towns,
        const std::string& header = "age,town,kind"
    ) {
        const auto path = directory_.path() / name;
        std::ofstream file(path);
        file << header << "\n";
        for (int i = 0; i < 100; ++i) {
            const auto& town = towns[static_cast<std::size_t>(i) % towns.size()];
            file << from + i << "," << town << "," << (i % 2 == 0 ? "ill" : "well") << "\n";
        }
        return "csv:" + path.string() + "?split=row%5==0";
    }

    PeerConfig founder(const std::string& dataset) {
        PeerConfig config;
        config.dataset = dataset;
        config.model = "tabular";
        config.private_data = true;
        config.schema = directory_.path() / "schema.json";
        return config;
    }

    /// Agrees on what this table has.
    data::Manifest agree(const std::string& dataset) {
        std::vector<std::string> notes;
        const auto manifest = schema_of(dataset, notes);
        EXPECT_TRUE(manifest.has_value()) << manifest.error().message;
        EXPECT_TRUE(write_schema_file(directory_.path() / "schema.json", *manifest).has_value());
        return *manifest;
    }

    starling::testing::TemporaryDirectory directory_;
};

TEST_F(AgreedSchemas, AFoundersOwnNumbersAndWordsHaveNoSay) {
    const auto agreed = agree(table("theirs.csv", 0, {"Bern", "Chur"}));
    const auto config = founder(table("ours.csv", 5000, {"Chur", "Davos"}));
    ASSERT_TRUE(validate(config).has_value());
    const auto founding = load_founding(config);
    ASSERT_TRUE(founding.has_value()) << founding.error().message;
    const auto plan = plan_founding(config, false, &*founding);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    EXPECT_EQ(plan->descriptor.manifest.recipe, agreed.recipe);
    EXPECT_EQ(plan->descriptor.manifest.schema, agreed.schema);
    EXPECT_TRUE(plan->is_private());
    EXPECT_TRUE(plan->descriptor.manifest.shards.empty());
    EXPECT_EQ(plan->manifest().samples(data::Split::Train), 80U);
    EXPECT_EQ(plan->manifest().recipe, agreed.recipe);
    bool told = false;
    for (const auto& note : founding->notes) {
        told = told || note.find("\"Davos\" is not among the 2 categories") != std::string::npos;
    }
    EXPECT_TRUE(told);
    // Without the file it is the founder's own data that decide.
    auto alone = config;
    alone.schema.clear();
    EXPECT_NE(load_founding(alone)->data.manifest.recipe, agreed.recipe);
}

TEST_F(AgreedSchemas, WhatDoesNotFitIsOneLine) {
    (void)agree(table("theirs.csv", 0, {"Bern", "Chur"}));
    const auto refusal = [&](const std::string& dataset) {
        const auto founding = load_founding(founder(dataset));
        EXPECT_TRUE(founding.has_error()) << dataset;
        const auto fault = founding.has_error() ? founding.error() : Fault{};
        EXPECT_EQ(fault.code, FaultCode::Usage) << fault.message;
        EXPECT_EQ(fault.message.find('\n'), std::string::npos);
        return fault.message;
    };
    const auto lacks = refusal(table("lacks.csv", 0, {"Bern"}, "years,town,kind"));
    EXPECT_NE(lacks.find("lacks 1 of the 2 columns"), std::string::npos) << lacks;
    EXPECT_NE(lacks.find("age"), std::string::npos) << lacks;
    const auto classes = refusal(table("classes.csv", 0, {"Bern"}) + "&label=town");
    EXPECT_NE(classes.find("not among the model's 2 classes: ill, well"), std::string::npos)
        << classes;
    std::ofstream(directory_.path() / "schema.json") << "{}";
    const auto broken = refusal(table("ours.csv", 0, {"Bern"}));
    EXPECT_EQ(broken.find("--schema " + (directory_.path() / "schema.json").string()), 0U)
        << broken;
    std::filesystem::remove(directory_.path() / "schema.json");
    EXPECT_EQ(refusal(table("ours.csv", 0, {"Bern"})).find("--schema "), 0U);
}

TEST_F(AgreedSchemas, AreForPrivateSamplesOnly) {
    auto config = founder("csv:x.csv");
    config.private_data = false;
    const auto refused = validate(config);
    ASSERT_TRUE(refused.has_error());
    EXPECT_NE(refused.error().message.find("add --private"), std::string::npos);
}

}  // namespace
}  // namespace starling::peer
