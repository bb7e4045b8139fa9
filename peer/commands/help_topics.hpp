#pragma once

// What `starling help TOPIC` prints: each SPEC that a flag takes, with its keys and an example.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace starling::peer {

struct HelpKey {
    std::string_view name;
    std::string_view meaning;
};

struct HelpSpec {
    std::string_view name;
    std::string_view meaning;
    std::vector<HelpKey> keys;
    std::string_view example;  ///< the whole SPEC
};

struct HelpTopic {
    std::string_view name;
    std::string_view flag;
    std::vector<HelpSpec> specs;
};

[[nodiscard]] std::span<const HelpTopic> help_topics();

[[nodiscard]] std::string help_text(const HelpTopic& topic);

}  // namespace starling::peer
