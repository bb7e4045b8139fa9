#pragma once

// The readers of texts and tokens that open_tokens knows.

#include "data/token_source.hpp"

namespace starling::data {

/// `text:FILE or DIR` and `jsonl:FILE?text=FIELD`.
[[nodiscard]] Result<TokenSourcePointer> open_texts(
    const Spec& spec, const ScanOptions& options, const KnownTokens* known
);

/// `bin:DIR`: tokens that others have made.
[[nodiscard]] Result<TokenSourcePointer> open_bins(const Spec& spec, const KnownTokens* known);

}  // namespace starling::data
