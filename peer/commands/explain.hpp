#pragma once

// What the user reads when the command line cannot be parsed: one line that says what, where and
// what to do.

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace starling::peer {

/// Explains a parse error. `arguments` are those of the program, without its name.
[[nodiscard]] std::string explain(
    const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& arguments
);

/// Returns the candidate that the word is most likely a misspelling of, or nothing when none is
/// within a third of its letters.
[[nodiscard]] std::string nearest(
    std::string_view word, const std::vector<std::string>& candidates
);

}  // namespace starling::peer
