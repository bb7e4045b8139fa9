#pragma once

// A text in memory as a source of tokens, and its shards. Needs no test framework, so that benchmarks use it, too.

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "data/dataset.hpp"
#include "data/token_source.hpp"
#include "data/utf8.hpp"

namespace starling::data::testing {

/// Characters, of which each is a token: the place of its character in the sorted vocabulary.
class FewTokens final : public TokenSource {
public:
    FewTokens(
        const std::string& name,
        std::string vocabulary,
        std::uint32_t context,
        std::vector<std::uint16_t> train,
        std::vector<std::uint16_t> test
    )
        : splits_{std::move(train), std::move(test), {}} {
        name_ = name;
        tokens_ = static_cast<std::uint32_t>(utf8_points(vocabulary)->size());
        recipe_ = {Tokenizer::Characters, std::move(vocabulary), context};
        for (std::size_t i = 0; i < kSplits; ++i) counts_[i] = splits_[i].size();
    }

    [[nodiscard]] const std::vector<std::uint16_t>& all(Split split) const {
        return splits_[static_cast<std::size_t>(split)];
    }

    [[nodiscard]] Result<void> read(Split split, std::uint64_t at, std::span<std::uint16_t> out)
        const override {
        const auto from = all(split).begin() + static_cast<std::ptrdiff_t>(at);
        std::copy_n(from, out.size(), out.begin());
        return {};
    }

private:
    std::array<std::vector<std::uint16_t>, kSplits> splits_;
};

/// Cuts the training part into runs of about so many tokens, and the test part into one.
inline Sharded cut_text(
    const FewTokens& text,
    std::size_t tokens_per_run,
    HashFunction sha256,
    const Partition& partition = {}
) {
    const auto runs = std::max<std::uint64_t>(1, text.count(Split::Train) / tokens_per_run);
    const ShardCounts counts{{static_cast<std::uint32_t>(runs)}, 1, 0};
    Sharded cut;
    auto manifest = cut_tokens(text, partition, counts, sha256, collect_in(cut.shards));
    STARLING_CHECK(manifest.has_value());
    cut.manifest = std::move(*manifest);
    return cut;
}

}  // namespace starling::data::testing
