#pragma once

// Texts to tokens and back, by the recipe of a manifest.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/recipe.hpp"
#include "data/tokens/bpe.hpp"

namespace starling::data {

/// Among characters this one is the mark between documents: a text has no zero byte.
inline constexpr char32_t kCharacterMark = 0;
inline constexpr std::uint32_t kTokensOfBytes = 257;

/// Encodes documents, each of which may arrive in pieces of whole characters.
/// Thread    one at a time
class TextEncoder {
public:
    /// Takes the tokenizer of a recipe, which may be a stranger's.
    /// Errors    BadValue, those of Bpe::parse; Unsupported (the recipe's tokens are bare numbers)
    [[nodiscard]] static Result<TextEncoder> make(const TokenRecipe& recipe);

    /// Returns the number of different tokens.
    [[nodiscard]] std::uint32_t tokens() const { return tokens_; }

    /// Returns the token that stands between documents; a vocabulary of characters may have none.
    [[nodiscard]] std::optional<std::uint16_t> mark() const { return mark_; }

    /// Appends the tokens that are complete.
    /// Errors    Usage (a character that is not in the vocabulary), BadValue (not UTF-8)
    [[nodiscard]] Result<void> feed(std::string_view text, std::vector<std::uint16_t>& out);

    /// Appends what is left of a document; the next one begins afresh.
    void finish(std::vector<std::uint16_t>& out);

private:
    TextEncoder() = default;

    std::size_t feed_bytes(std::string_view text, std::vector<std::uint16_t>& out) const;
    [[nodiscard]] Result<void> feed_characters(
        std::string_view text, std::vector<std::uint16_t>& out
    ) const;
    void number_common();
    void move_ids(std::vector<std::uint16_t>& out);

    Tokenizer kind_ = Tokenizer::Bytes;
    std::uint32_t tokens_ = kTokensOfBytes;
    std::optional<std::uint16_t> mark_;
    std::vector<char32_t> points_;
    std::vector<std::int32_t> common_;  ///< numbers of the characters below 0x3000, or -1
    std::unique_ptr<Bpe> bpe_;          ///< the encoder refers to it, so it must not move
    std::unique_ptr<BpeEncoder> encoder_;
    std::vector<Bpe::Id> ids_;
};

/// Returns the text of tokens, for people. Bare numbers are listed.
/// Errors    none: what cannot be decoded is shown as numbers
[[nodiscard]] std::string text_of(const TokenRecipe& recipe, std::span<const std::uint16_t> tokens);

/// Returns of each token how many bytes of text it stands for; nothing for bare numbers, and 0 for a mark
/// between documents.
/// Errors    none: of a vocabulary that cannot be read nothing is known
[[nodiscard]] std::vector<std::uint32_t> bytes_of_tokens(const TokenRecipe& recipe);

}  // namespace starling::data
