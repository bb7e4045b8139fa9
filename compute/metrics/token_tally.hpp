#pragma once

// What an evaluation of a language model adds up.

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/metrics/exact_sum.hpp"
#include "compute/metrics/scores.hpp"

namespace starling::compute {

/// Nats, tokens, and the bytes of text that the tokens stand for, so that models with different
/// tokens compare. Everything merges exactly, in any order.
/// Thread    any, one at a time
class TokenTally {
public:
    /// Adds tokens, all or none.
    ///
    /// Units     bytes: of the text that the labels stand for; 0 where they are not known
    /// Errors    BadValue: as check_rows, or too many tokens or bytes in all
    [[nodiscard]] Result<void> add(const ClassRows& rows, std::uint64_t bytes);

    /// Adds a cross entropy that is summed already.
    /// Units     as in add()
    /// Errors    BadValue: nats that are below 0, not finite, or too many for the tokens; too many
    ///           tokens or bytes in all
    [[nodiscard]] Result<void> add_sum(double nats, std::uint64_t tokens, std::uint64_t bytes);

    /// Errors    BadValue: too many tokens or bytes in all; nothing was merged
    [[nodiscard]] Result<void> merge(const TokenTally& other);

    /// Returns the number of tokens.
    [[nodiscard]] std::uint64_t count() const { return tokens_; }

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

    /// Returns the mean cross entropy of a token; empty without one.
    /// Units     nats
    [[nodiscard]] std::optional<double> loss() const;

    /// Returns e to the loss; an infinity above 709 nats.
    [[nodiscard]] std::optional<double> perplexity() const;

    /// Returns the cross entropy of all tokens for each byte of text; empty where no bytes are known.
    /// Units     bits (1 nat = 1.4427 bits)
    [[nodiscard]] std::optional<double> bits_per_byte() const;

    void encode(ByteWriter& out) const;

    /// Errors    BadFormat: cut, out of range, or nats that so many tokens cannot have
    [[nodiscard]] static Result<TokenTally> decode(ByteReader& in);

    [[nodiscard]] bool operator==(const TokenTally& other) const = default;

private:
    ExactSum nats_;
    std::uint64_t tokens_ = 0;
    std::uint64_t bytes_ = 0;
};

}  // namespace starling::compute
