// Goal: each kernel is also CUDA, with the arguments of the host's table, and keeps its arrays in
// registers. Method: the PTX that the build has made is read as text; ptxas_test.py assembles it. Where the
// build had no clang that writes PTX, the tests skip.

#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "compute/gpu/kernel_table.hpp"

namespace starling::compute::gpu {
namespace {

class Ptx : public ::testing::TestWithParam<std::string> {
protected:
    void SetUp() override {
        const std::string folder = STARLING_PTX;
        if (folder.empty()) {
            GTEST_SKIP() << "this build has no PTX: it found no clang with the target NVPTX";
        }
        std::ifstream file(folder + "/" + GetParam() + ".ptx");
        ASSERT_TRUE(file.good()) << folder;
        std::ostringstream text;
        text << file.rdbuf();
        text_ = text.str();
    }

    std::string text_;
};

/// Returns a kernel's parameters from what stands between its name's parentheses: `u64`, `f32`, or the bytes of
/// a structure.
std::vector<std::string> parameters_of(const std::string& text) {
    static const std::regex kScalar(R"(\.param \.([usfb]\d+) )");
    static const std::regex kBlock(R"(\.param \.align \d+ \.b8 \w+\[(\d+)\])");
    std::vector<std::string> found;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::smatch match;
        const bool known =
            std::regex_search(line, match, kBlock) || std::regex_search(line, match, kScalar);
        if (known) found.push_back(match[1]);
    }
    return found;
}

/// Returns the parameters of each kernel.
std::map<std::string, std::vector<std::string>, std::less<>> entries_of(const std::string& text) {
    std::map<std::string, std::vector<std::string>, std::less<>> found;
    const std::string start = ".entry ";
    for (auto at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) {
        const auto open = text.find('(', at);
        const auto name = text.substr(at + start.size(), open - at - start.size());
        found[name] = parameters_of(text.substr(open, text.find(')', open) - open));
    }
    return found;
}

std::vector<std::string> parameters_in_table(std::string_view letters) {
    std::vector<std::string> wanted;
    for (const char letter : letters) {
        switch (letter) {
            case 'F':
            case 'W':
                wanted.insert(wanted.end(), {"u64", "u64"});
                break;
            case 'i':
            case 'u':
                wanted.emplace_back("u32");
                break;
            case 'l':
            case 'L':
                wanted.emplace_back("u64");
                break;
            case 'f':
                wanted.emplace_back("f32");
                break;
            default:
                wanted.push_back(std::to_string(argument_bytes(letter)));
        }
    }
    return wanted;
}

TEST_P(Ptx, EachKernelOfTheTableIsAnEntryWithItsParametersAndThereIsNoOther) {
    const auto entries = entries_of(text_);
    EXPECT_EQ(entries.size(), kernel_table().size());
    for (const auto& facts : kernel_table()) {
        const auto found = entries.find(facts.name);
        ASSERT_NE(found, entries.end()) << facts.name;
        EXPECT_EQ(found->second, parameters_in_table(facts.arguments)) << facts.name;
    }
}

TEST_P(Ptx, NoArrayOfAThreadLiesInMemory) {
    const auto at = text_.find(".local");
    EXPECT_EQ(at, std::string::npos) << text_.substr(at == std::string::npos ? 0 : at, 80)
                                     << "\na loop over an array in registers wants UNROLL";
}

TEST_P(Ptx, NothingIsCalledThatThePtxLacks) {
    EXPECT_EQ(text_.find(".extern"), std::string::npos) << "cuda_math.h lacks a function";
}

TEST_P(Ptx, ProductsInBf16UseTensorCoresWhereTheCardHasThem) {
    const bool has = GetParam() == "sm_80";
    for (const auto& facts : kernel_table()) {
        const auto at = text_.find(".entry " + std::string(facts.name) + "(");
        const auto body = text_.substr(at, text_.find(".entry ", at + 1) - at);
        const bool used = body.find("mma.sync") != std::string::npos;
        EXPECT_EQ(used, has && facts.name.ends_with("_bf16")) << facts.name;
    }
}

TEST_P(Ptx, AnOldDriverTakesIt) {
    // 5.0 wants a driver of 2016, 7.0 one of 2020; Debian 12 has a later one.
    const auto version = GetParam() == "sm_60" ? ".version 5.0\n" : ".version 7.0\n";
    EXPECT_NE(text_.find(version), std::string::npos);
    EXPECT_NE(text_.find(".target " + GetParam()), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Targets, Ptx, ::testing::Values("sm_60", "sm_80"), [](const auto& given) {
    return given.param;
});

}  // namespace
}  // namespace starling::compute::gpu
