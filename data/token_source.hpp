#pragma once

// Texts as tokens, as a reader has found them: counted by one pass over the files, encoded by another
// one, and read run by run when shards are cut. The tokens lie in files, not in memory.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/source.hpp"

namespace starling::data {

/// A field of the documents whose tokens are for training: `groups.of` is by document, and its sizes
/// are tokens.
struct TokenGroups {
    Groups groups;
    std::vector<std::uint64_t> begins;  ///< the first token of each document; the first one has 0
};

/// Thread    any one at a time
class TokenSource {
public:
    TokenSource() = default;
    virtual ~TokenSource() = default;
    TokenSource(const TokenSource&) = delete;
    TokenSource& operator=(const TokenSource&) = delete;

    /// Reads the tokens of a split from place `at` on.
    /// Requires  at + out.size() <= count(split)
    /// Errors    Io, Truncated, Corrupt (the file is not what it was when it was scanned)
    [[nodiscard]] virtual Result<void> read(
        Split split, std::uint64_t at, std::span<std::uint16_t> out
    ) const = 0;

    /// Returns where so many tokens lie from place `at` on, if they lie in users' files as they are.
    /// Requires  at + count <= count(split)
    [[nodiscard]] virtual std::vector<FileExtent> file_extents(Split, std::uint64_t, std::uint64_t)
        const {
        return {};
    }

    /// Reads a field of the documents, by which their tokens can be divided.
    /// Errors    Usage (no such field: the message lists them; too many values)
    [[nodiscard]] virtual Result<TokenGroups> groups(const std::string& field) const {
        return no_such_field(name_, field, {});
    }

    [[nodiscard]] std::uint64_t count(Split split) const {
        return counts_[static_cast<std::size_t>(split)];
    }

    [[nodiscard]] const std::string& name() const { return name_; }

    [[nodiscard]] const TokenRecipe& recipe() const { return recipe_; }

    /// Returns the number of different tokens.
    [[nodiscard]] std::uint32_t tokens() const { return tokens_; }

    [[nodiscard]] const ScanNotes& notes() const { return notes_; }

protected:
    std::string name_;
    TokenRecipe recipe_;
    std::uint32_t tokens_ = 0;
    std::array<std::uint64_t, kSplits> counts_{};
    ScanNotes notes_;
};

using TokenSourcePointer = std::unique_ptr<TokenSource>;

/// The tokens of a swarm that is there: its texts are encoded as its first ones were.
struct KnownTokens {
    TokenRecipe recipe;
    std::uint32_t tokens = 0;
};

/// Returns whether open_tokens reads what a SPEC names: `text:`, `bin:DIR` or `jsonl:FILE?text=FIELD`.
[[nodiscard]] bool is_token_spec(const Spec& spec);

/// Opens the files that a SPEC names, scans and encodes them.
/// Errors    as open_source; Usage also where `known` cannot encode the text
[[nodiscard]] Result<TokenSourcePointer> open_tokens(
    const Spec& spec, const ScanOptions& options, const KnownTokens* known = nullptr
);

/// Cuts tokens into runs, in their order, and hands each over as a shard; only one is in memory. No
/// window crosses from one run into the next.
/// Errors    Usage (a partition that a text cannot have, too few tokens), those of TokenSource::read, and
///           what the sink returns
[[nodiscard]] Result<Manifest> cut_tokens(
    const TokenSource& source,
    const Partition& partition,
    const std::optional<ShardCounts>& counts,
    HashFunction sha256,
    const ShardSink& sink
);

}  // namespace starling::data
