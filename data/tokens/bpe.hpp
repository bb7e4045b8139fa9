#pragma once

// Byte-pair encoding as GPT-2 does it: a text is cut into words (pretokenizer.hpp), a word into bytes,
// and in each word the pair of neighbours that was learned first becomes one token, until none is left.
//
// Token ids: the 256 bytes in GPT-2's order, the merges in rank order, then the end mark.
// A tokenizer never changes; any number of threads may use it.

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "data/formats/byte_stream.hpp"

namespace starling::data {

inline constexpr std::size_t kByteTokens = 256;
inline constexpr std::size_t kMergesMax = std::size_t{1} << 18U;
/// Each merge may double a token, so that few lines could else make a token of any length.
inline constexpr std::size_t kTokenBytesMax = 1024;
inline constexpr std::size_t kVocabularyBytesMax = std::size_t{8} << 20U;
inline constexpr std::string_view kEndMark = "<|endoftext|>";
/// Bounds of what one may ask of Bpe::learn.
inline constexpr std::uint32_t kLearnedTokensMin = 300;
inline constexpr std::uint32_t kLearnedTokensMax = 32768;

class Bpe {
public:
    using Id = std::uint32_t;

    struct Merge {
        Id left = 0;
        Id right = 0;
    };

    /// Reads GPT-2's `vocab.bpe`, and compares with the text of `encoder.json` if that is given.
    /// Errors    BadFormat (with the line), Oversized, BadValue (the two files disagree)
    /// Thread    any
    [[nodiscard]] static Result<Bpe> from_gpt2(
        std::string_view merges, std::optional<std::string_view> encoder = std::nullopt
    );

    /// Learns merges from a text until there are `tokens` ids. The result has fewer if the text has no
    /// pair any more that stands in it twice. Of pairs that stand in the text equally often, the one
    /// with the smaller bytes comes first, so that every machine learns the same.
    ///
    /// Of a large text the rarest words are forgotten on the way (learn.cpp says when), so memory does
    /// not grow with the text; what is forgotten depends on the text alone.
    /// Errors    Usage (tokens out of range), those of the text
    /// Thread    any
    /// Source    Sennrich et al. 2016, algorithm 1, over bytes and GPT-2's words. We skip a pair whose
    ///           bytes are a token already: bytes and ids then determine each other.
    [[nodiscard]] static Result<Bpe> learn(ByteStream& text, std::uint32_t tokens);

    /// Takes merges in rank order.
    /// Errors    BadFormat (a merge of tokens that do not exist yet, or of what is a token already),
    ///           Oversized
    [[nodiscard]] static Result<Bpe> from_merges(std::vector<Merge> merges);

    /// Reads what serialize() wrote; the bytes may be anybody's.
    /// Errors    BadFormat, BadVersion, Truncated, Oversized
    [[nodiscard]] static Result<Bpe> parse(ByteView bytes);

    /// Returns the only bytes from which parse() makes this tokenizer: 200 kB for GPT-2's.
    [[nodiscard]] Bytes serialize() const;

    /// Returns the number of ids, the end mark's included.
    [[nodiscard]] std::uint32_t tokens() const { return end_mark() + 1; }

    [[nodiscard]] Id end_mark() const { return static_cast<Id>(kByteTokens + merges_.size()); }

    [[nodiscard]] std::span<const Merge> merges() const { return merges_; }

    /// Returns the bytes of a token, those of the end mark being kEndMark. Requires id < tokens().
    [[nodiscard]] std::string_view bytes_of(Id id) const;

    /// Returns the rank of the merge of two tokens, if there is one.
    [[nodiscard]] std::optional<std::uint32_t> rank(Id left, Id right) const;

    /// Returns the tokens of a whole text. The end mark never comes out of a text. For long texts and
    /// for many, BpeEncoder is faster.
    [[nodiscard]] std::vector<Id> encode(std::string_view text) const;

    /// Returns the text's bytes, just as encode() got them.
    /// Errors    BadValue (an id that does not exist)
    [[nodiscard]] Result<std::string> decode(std::span<const Id> ids) const;

    /// Returns the token of one byte.
    [[nodiscard]] static Id id_of_byte(std::uint8_t byte);

private:
    friend class BpeEncoder;

    struct Entry {
        std::uint64_t pair = 0;
        std::uint32_t rank = 0;
    };

    [[nodiscard]] std::size_t slot_of(std::uint64_t pair) const;
    /// Appends the tokens of one word.
    void encode_word(std::string_view word, std::vector<Id>& out) const;

    std::vector<Merge> merges_;
    std::string bytes_;                ///< of all tokens but the end mark, one after the other
    std::vector<std::uint32_t> ends_;  ///< where each token ends in bytes_
    std::vector<Entry> pairs_;         ///< open addressing, a power of two, at most half full
};

/// Encodes a text that arrives in pieces, and remembers the tokens of recent words. Its memory is
/// bounded by 2 MiB and kWordBytesMax. Pieces may be cut anywhere, inside characters too.
/// Thread    one at a time
class BpeEncoder {
public:
    /// `bpe` must outlive the encoder.
    explicit BpeEncoder(const Bpe& bpe);

    /// Appends the tokens of all words that are known to be complete.
    void feed(std::string_view text, std::vector<Bpe::Id>& out);

    /// Appends what is left; the next text begins afresh.
    void finish(std::vector<Bpe::Id>& out);

private:
    static constexpr std::size_t kCachedBytes = 22;
    static constexpr std::size_t kCachedTokens = 10;

    struct CachedWord {
        std::uint8_t length = 0;
        std::uint8_t count = 0;
        std::array<char, kCachedBytes> bytes{};
        std::array<Bpe::Id, kCachedTokens> ids{};
    };

    void put(std::string_view word, std::vector<Bpe::Id>& out);
    /// Encodes words while at least `lookahead` bytes lie behind them; returns where it stopped.
    std::size_t encode_complete(
        std::string_view text, std::size_t lookahead, std::vector<Bpe::Id>& out
    );

    const Bpe& bpe_;
    std::vector<CachedWord> cache_;
    std::size_t remembered_ = 0;  ///< since the cache last grew
    std::string pending_;
};

/// Reads `vocab.bpe` or `vocab.bpe.gz` of a folder, and `encoder.json` or `encoder.json.gz` if there.
/// Errors    NotFound, Io, Oversized and those of Bpe::from_gpt2; the message names the folder
/// Thread    any
[[nodiscard]] Result<Bpe> load_bpe(const std::filesystem::path& folder);

}  // namespace starling::data
