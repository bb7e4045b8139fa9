// Goal: docs/FORMATS.md lists the operators that files may have, no more and no fewer.
// Method: the words of its table that look like operators against the importer's own list.

#include <cctype>
#include <set>
#include <sstream>

#include "compute/onnx/import.hpp"
#include "tests/unit/compute/support/onnx_fixture.hpp"

namespace starling::compute::onnx {
namespace {

/// The capitalised words of the rows that list operators.
std::set<std::string> documented_operators() {
    const auto bytes = read_file(std::filesystem::path(STARLING_SOURCE_DIR) / "docs/FORMATS.md");
    std::istringstream text{std::string(as_text(bytes))};
    std::set<std::string> names;
    for (std::string line; std::getline(text, line);) {
        bool lists = false;
        for (const auto* row :
             {"| convolution",
              "| matrices",
              "| element by",
              "| normalisation",
              "| folds",
              "| shapes",
              "| computed once"}) {
            lists = lists || line.starts_with(row);
        }
        if (!lists) continue;
        std::string word;
        for (const char c : line + " ") {
            const auto letter = static_cast<unsigned char>(c);
            if (std::isalnum(letter) != 0 || c == '_') {
                word += c;
                continue;
            }
            if (!word.empty() && std::isupper(static_cast<unsigned char>(word[0])) != 0) {
                EXPECT_TRUE(names.insert(word).second) << word << " is there twice";
            }
            word.clear();
        }
    }
    return names;
}

TEST(OnnxFormats, TableListsWhatTheImporterAccepts) {
    std::set<std::string> accepted;
    for (const auto name : accepted_operators()) accepted.emplace(name);
    EXPECT_EQ(documented_operators(), accepted);
}

}  // namespace
}  // namespace starling::compute::onnx
