// Goal: `starling help` neither invents nor forgets a spec or a key. Method: each example is parsed
// by the code that the flag uses, and an unknown key makes that code list the ones that it knows.

#include "peer/commands/help_topics.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>

#include "compute/models/models.hpp"
#include "compute/training/schedule.hpp"
#include "data/partition.hpp"
#include "data/schema.hpp"
#include "gossip/config.hpp"
#include "peer/terms/data_set.hpp"

namespace starling::peer {
namespace {

/// Returns why the flag of a topic does not take this spec, or nothing.
std::string refusal(std::string_view topic, const std::string& spec) {
    const auto why = [](const auto& result) {
        return result.has_error() ? result.error().message : std::string();
    };
    if (topic == "models") {
        const bool text = spec.starts_with("gpt");
        const auto shape = text ? compute::Shape{64} : compute::Shape{1, 28, 28};
        compute::Task task{shape, 10};
        if (spec.starts_with("detector")) {
            task.sample_shape = {3, 240, 320};
            task.kind = compute::LabelKind::Boxes;
            task.boxes = data::kBoxesMax;
        }
        return why(compute::build_model(spec, task, 1, compute::Purpose::Inference, {}));
    }
    if (topic == "optimizer") return why(compute::OptimizerSpec::parse(spec));
    if (topic == "mix") return why(gossip::Mix::parse(spec));
    if (topic == "partition") return why(data::Partition::parse(spec));
    return why(cut_for_swarm(spec, ""));
}

std::set<std::string> words_of(std::string text) {
    std::set<std::string> words;
    text += ",";
    for (std::size_t at = 0; at < text.size(); at = text.find(',', at) + 1) {
        words.insert(text.substr(at, text.find(',', at) - at));
    }
    return words;
}

TEST(HelpTopics, KeysAreThoseThatTheParserKnows) {
    for (const auto& topic : help_topics()) {
        for (const auto& spec : topic.specs) {
            std::set<std::string> keys;
            for (const auto& key : spec.keys) keys.emplace(key.name);
            const auto name = std::string(spec.name.substr(0, spec.name.find(':')));
            const auto path = name == spec.name ? std::string() : std::string(":x");
            const auto said = refusal(topic.name, name + path + "?no-such-key=1");
            const auto at = said.find("it takes ");
            ASSERT_NE(at, std::string::npos) << spec.name << ": " << said;
            auto known = words_of(said.substr(at + 9));
            known.erase("none");
            EXPECT_EQ(keys, known) << topic.name << " " << spec.name;
        }
    }
}

TEST(HelpTopics, ExamplesAreAccepted) {
    for (const auto& topic : help_topics()) {
        for (const auto& spec : topic.specs) {
            auto said = refusal(topic.name, std::string(spec.example));
            // Files of the examples are not here; that they are looked for shows a sound spec.
            if (spec.name.find(':') != std::string_view::npos) {
                const bool misses_file = said.find("no directory") != std::string::npos ||
                                         said.find("cannot be opened") != std::string::npos ||
                                         said.find("give a file") != std::string::npos ||
                                         said.find("no such") != std::string::npos ||
                                         said.find("this build does not") != std::string::npos;
                if (misses_file) said.clear();
            }
            EXPECT_EQ(said, "") << spec.example;
        }
    }
}

TEST(HelpTopics, EveryModelThatFitsSomeDataHasAnEntry) {
    const auto said = refusal("models", "no-such-model");
    const std::string mark = "there are ";
    const auto known = said.substr(said.find(mark) + mark.size());
    std::string entries;
    for (const auto& spec : help_topics().front().specs) {
        entries += (entries.empty() ? "" : ", ") + std::string(spec.name);
    }
    EXPECT_EQ(known, entries);
}

TEST(HelpTopics, TextNamesEachKeyAndAnExample) {
    for (const auto& topic : help_topics()) {
        const auto text = help_text(topic);
        for (const auto& spec : topic.specs) {
            EXPECT_NE(text.find(spec.example), std::string::npos);
            for (const auto& key : spec.keys) {
                EXPECT_NE(text.find(std::string(key.name) + "="), std::string::npos);
            }
        }
    }
}

}  // namespace
}  // namespace starling::peer
