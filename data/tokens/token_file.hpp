#pragma once

// Files of tokens that others have made: nanoGPT's (bare 16-bit numbers) and llm.c's (the same behind
// a header of 1,024 bytes).

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "data/formats/random_bytes.hpp"

namespace starling::data {

enum class TokenFileKind { NanoGpt, LlmC };

struct TokenFileFacts {
    TokenFileKind kind = TokenFileKind::NanoGpt;
    std::uint64_t tokens = 0;
    std::uint64_t first_byte = 0;
};

/// Reads what a file is from its beginning (8 bytes are enough, with 12 the count is checked) and size.
/// Errors    BadFormat (an odd size; a count that disagrees with it), BadVersion, Unsupported (llm.c's files of
///           32-bit tokens), Truncated, Usage (no token); messages do not name the source
/// Thread    any (pure)
/// Source    karpathy/nanoGPT, data/*/prepare.py; karpathy/llm.c, dev/data/data_common.py
[[nodiscard]] Result<TokenFileFacts> parse_token_file(
    std::string_view beginning, std::uint64_t size
);

/// Tokens that are read where they lie. Any number of threads may read.
class TokenFile {
public:
    /// Errors    those of parse_token_file and of FileBytes::open
    [[nodiscard]] static Result<TokenFile> open(const std::filesystem::path& path);

    /// Takes bytes from anywhere.
    [[nodiscard]] static Result<TokenFile> open(std::unique_ptr<RandomBytes> bytes);

    [[nodiscard]] const TokenFileFacts& facts() const { return facts_; }

    /// Reads the tokens from place `at` on.
    /// Errors    BadValue (the place is beyond the end), Truncated (the file has become shorter), Io
    [[nodiscard]] Result<void> read(std::uint64_t at, std::span<std::uint16_t> out) const;

    /// Reads all tokens and returns the largest; the vocabulary has at least one more.
    [[nodiscard]] Result<std::uint16_t> largest() const;

private:
    TokenFile(std::unique_ptr<RandomBytes> bytes, TokenFileFacts facts)
        : bytes_(std::move(bytes)),
          facts_(facts) {}

    std::unique_ptr<RandomBytes> bytes_;
    TokenFileFacts facts_;
};

}  // namespace starling::data
