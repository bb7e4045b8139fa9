#include "data/tokens/bpe.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <queue>
#include <string>
#include <unordered_set>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "data/tokens/pretokenizer.hpp"

namespace starling::data {

namespace {

constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t kMagic = 0x45504253;  // "SBPE"
constexpr std::uint16_t kVersion = 1;

/// GPT-2 numbers first the bytes that it shows as they are, then the others.
constexpr bool shown_as_itself(unsigned byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

constexpr auto kBytesInOrder = [] {
    std::array<std::uint8_t, kByteTokens> bytes{};
    std::size_t next = 0;
    for (const bool shown : {true, false}) {
        for (unsigned byte = 0; byte < kByteTokens; ++byte) {
            if (shown_as_itself(byte) == shown) bytes[next++] = static_cast<std::uint8_t>(byte);
        }
    }
    return bytes;
}();

constexpr auto kIdsOfBytes = [] {
    std::array<Bpe::Id, kByteTokens> ids{};
    for (std::size_t id = 0; id < kByteTokens; ++id) {
        ids[kBytesInOrder[id]] = static_cast<Bpe::Id>(id);
    }
    return ids;
}();

constexpr std::uint64_t pair_of(Bpe::Id left, Bpe::Id right) {
    return (std::uint64_t{left} << 32U) | right;
}

/// One token of a word that is being merged; a list by indices, because its middle is taken out.
struct Symbol {
    Bpe::Id id = 0;
    std::uint32_t before = kNoRank;
    std::uint32_t behind = kNoRank;
    bool gone = false;
};

/// A pair that may be merged. The order of a heap of these is: lowest rank first, then from the left.
struct Candidate {
    std::uint32_t rank = 0;
    std::uint32_t at = 0;

    bool operator>(const Candidate& other) const {
        return rank != other.rank ? rank > other.rank : at > other.at;
    }
};

std::string merge_number(std::size_t rank) {
    return "merge " + std::to_string(rank + 1);
}

}  // namespace

Bpe::Id Bpe::id_of_byte(std::uint8_t byte) {
    return kIdsOfBytes[byte];
}

Result<Bpe> Bpe::from_merges(std::vector<Merge> merges) {
    if (merges.size() > kMergesMax) {
        return fail(
            FaultCode::Oversized,
            std::to_string(merges.size()) + " merges; at most " + std::to_string(kMergesMax) +
                " are read"
        );
    }
    Bpe bpe;
    bpe.pairs_.resize(std::bit_ceil(2 * merges.size() + 2));
    std::unordered_set<std::string> known;
    for (const auto byte : kBytesInOrder) {
        bpe.bytes_.push_back(static_cast<char>(byte));
        bpe.ends_.push_back(static_cast<std::uint32_t>(bpe.bytes_.size()));
        known.emplace(1, static_cast<char>(byte));
    }
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
        const auto [left, right] = merges[rank];
        if (left >= bpe.ends_.size() || right >= bpe.ends_.size()) {
            return fail(
                FaultCode::BadFormat, merge_number(rank) + " names a token that does not exist yet"
            );
        }
        std::string token(bpe.bytes_of(left));
        token += bpe.bytes_of(right);
        if (token.size() > kTokenBytesMax ||
            bpe.bytes_.size() + token.size() > kVocabularyBytesMax) {
            return fail(
                FaultCode::Oversized,
                merge_number(rank) + " makes a token of over 1 KiB, or the vocabulary over 8 MiB"
            );
        }
        if (!known.insert(token).second) {
            return fail(
                FaultCode::BadFormat, merge_number(rank) + " makes what is a token already"
            );
        }
        bpe.bytes_ += token;
        bpe.ends_.push_back(static_cast<std::uint32_t>(bpe.bytes_.size()));
        bpe.merges_.push_back({left, right});
        const auto pair = pair_of(left, right);
        bpe.pairs_[bpe.slot_of(pair)] = {pair, static_cast<std::uint32_t>(rank + 1)};
    }
    return bpe;
}

/// Returns the slot of the pair, or the empty one where it belongs. An entry's rank is one more than
/// the merge's, so that zero can mean empty.
std::size_t Bpe::slot_of(std::uint64_t pair) const {
    const std::size_t mask = pairs_.size() - 1;
    auto slot = static_cast<std::size_t>(mix64(pair)) & mask;
    while (pairs_[slot].rank != 0 && pairs_[slot].pair != pair) slot = (slot + 1) & mask;
    return slot;
}

std::optional<std::uint32_t> Bpe::rank(Id left, Id right) const {
    const auto& entry = pairs_[slot_of(pair_of(left, right))];
    if (entry.rank == 0) return std::nullopt;
    return entry.rank - 1;
}

std::string_view Bpe::bytes_of(Id id) const {
    STARLING_CHECK(id <= ends_.size());
    if (id == ends_.size()) return kEndMark;
    const std::size_t begin = id == 0 ? 0 : ends_[id - 1];
    return std::string_view(bytes_).substr(begin, ends_[id] - begin);
}

/// A heap keeps this at n log n for a word of n bytes: a word of 64 KiB would take minutes with the
/// search for the best pair that the original repeats for each merge.
void Bpe::encode_word(std::string_view word, std::vector<Id>& out) const {
    std::vector<Symbol> symbols(word.size());
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
    const auto consider = [&](std::uint32_t at) {
        const auto behind = symbols[at].behind;
        if (behind == kNoRank) return;
        if (const auto found = rank(symbols[at].id, symbols[behind].id)) {
            candidates.push({*found, at});
        }
    };
    const auto count = static_cast<std::uint32_t>(word.size());
    for (std::uint32_t i = 0; i < count; ++i) {
        symbols[i].id = id_of_byte(static_cast<std::uint8_t>(word[i]));
        if (i > 0) symbols[i].before = i - 1;
        if (i + 1 < count) symbols[i].behind = i + 1;
    }
    for (std::uint32_t i = 0; i < count; ++i) consider(i);
    while (!candidates.empty()) {
        const auto [rank_found, at] = candidates.top();
        candidates.pop();
        auto& left = symbols[at];
        if (left.gone || left.behind == kNoRank) continue;
        auto& right = symbols[left.behind];
        // The pair may have changed since it was put here; a merge says which pair it is of.
        const auto& merge = merges_[rank_found];
        if (left.id != merge.left || right.id != merge.right) continue;
        left.id = static_cast<Id>(kByteTokens + rank_found);
        right.gone = true;
        left.behind = right.behind;
        if (left.behind != kNoRank) symbols[left.behind].before = at;
        consider(at);
        if (left.before != kNoRank) consider(left.before);
    }
    for (const auto& symbol : symbols) {
        if (!symbol.gone) out.push_back(symbol.id);
    }
}

std::vector<Bpe::Id> Bpe::encode(std::string_view text) const {
    std::vector<Id> ids;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = word_end(text, at);
        encode_word(text.substr(at, end - at), ids);
        at = end;
    }
    return ids;
}

Result<std::string> Bpe::decode(std::span<const Id> ids) const {
    std::string text;
    for (const auto id : ids) {
        if (id >= tokens()) {
            return fail(
                FaultCode::BadValue,
                "token " + std::to_string(id) + " in a vocabulary of " + std::to_string(tokens()) +
                    "; was it encoded with another one?"
            );
        }
        text += bytes_of(id);
    }
    return text;
}

Bytes Bpe::serialize() const {
    Bytes bytes;
    ByteWriter out(bytes);
    out.put(kMagic);
    out.put(kVersion);
    out.put(static_cast<std::uint32_t>(merges_.size()));
    const bool narrow = tokens() <= 0x10000;
    for (const auto [left, right] : merges_) {
        for (const auto id : {left, right}) {
            if (narrow) {
                out.put(static_cast<std::uint16_t>(id));
            } else {
                out.put(id);
            }
        }
    }
    return bytes;
}

Result<Bpe> Bpe::parse(ByteView bytes) {
    ByteReader in(bytes);
    const auto magic = in.take<std::uint32_t>();
    const auto version = in.take<std::uint16_t>();
    const auto count = in.take<std::uint32_t>();
    if (!in.ok()) return fail(FaultCode::Truncated, "the tokenizer ends inside its header");
    if (magic != kMagic) return fail(FaultCode::BadFormat, "this is not a tokenizer");
    if (version != kVersion) {
        return fail(
            FaultCode::BadVersion,
            "the tokenizer has version " + std::to_string(version) +
                "; this program reads version 1"
        );
    }
    if (count > kMergesMax) return fail(FaultCode::Oversized, "the tokenizer has too many merges");
    const bool narrow = count + kByteTokens + 1 <= 0x10000;
    if (in.remaining() != std::size_t{count} * (narrow ? 4 : 8)) {
        return fail(
            FaultCode::Truncated, "the tokenizer has fewer or more bytes than its merges need"
        );
    }
    std::vector<Merge> merges(count);
    for (auto& merge : merges) {
        merge.left = narrow ? in.take<std::uint16_t>() : in.take<std::uint32_t>();
        merge.right = narrow ? in.take<std::uint16_t>() : in.take<std::uint32_t>();
    }
    auto bpe = from_merges(std::move(merges));
    if (!bpe) return fail(bpe.error().code, "the tokenizer: " + bpe.error().message);
    return bpe;
}

}  // namespace starling::data
