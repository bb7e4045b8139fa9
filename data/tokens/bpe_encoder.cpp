#include <algorithm>
#include <cstring>

#include "base/rng.hpp"
#include "data/tokens/bpe.hpp"
#include "data/tokens/pretokenizer.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kCachedWordsMin = std::size_t{1} << 8U;
constexpr std::size_t kCachedWordsMax = std::size_t{1} << 15U;
constexpr std::size_t kSeamBytes = 64;

/// A hash of short words. It need not withstand an attacker: a clash costs one word its place.
std::size_t hash_of(std::string_view word) {
    std::uint64_t hash = word.size();
    for (; word.size() >= 8; word.remove_prefix(8)) {
        std::uint64_t part = 0;
        std::memcpy(&part, word.data(), 8);
        hash = mix64(hash ^ part);
    }
    std::uint64_t part = 0;
    std::memcpy(&part, word.data(), word.size());
    return static_cast<std::size_t>(mix64(hash ^ part));
}

}  // namespace

BpeEncoder::BpeEncoder(const Bpe& bpe) : bpe_(bpe), cache_(kCachedWordsMin) {}

void BpeEncoder::put(std::string_view word, std::vector<Bpe::Id>& out) {
    if (word.size() > kCachedBytes) {
        bpe_.encode_word(word, out);
        return;
    }
    auto& known = cache_[hash_of(word) % cache_.size()];
    if (std::string_view(known.bytes.data(), known.length) == word) {
        out.insert(out.end(), known.ids.begin(), known.ids.begin() + known.count);
        return;
    }
    const std::size_t start = out.size();
    bpe_.encode_word(word, out);
    const std::size_t count = out.size() - start;
    if (count > kCachedTokens) return;
    known.length = static_cast<std::uint8_t>(word.size());
    known.count = static_cast<std::uint8_t>(count);
    std::copy(word.begin(), word.end(), known.bytes.begin());
    std::copy(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), known.ids.begin());
    // A short text is not worth a large table. What is forgotten when it grows soon comes again.
    if (++remembered_ > cache_.size() && cache_.size() < kCachedWordsMax) {
        cache_.assign(2 * cache_.size(), {});
        remembered_ = 0;
    }
}

std::size_t BpeEncoder::encode_complete(
    std::string_view text, std::size_t lookahead, std::vector<Bpe::Id>& out
) {
    std::size_t at = 0;
    while (at < text.size()) {
        const auto end = word_end(text, at);
        if (end + lookahead > text.size()) break;
        put(text.substr(at, end - at), out);
        at = end;
    }
    return at;
}

void BpeEncoder::feed(std::string_view text, std::vector<Bpe::Id>& out) {
    // The words that begin in what was left of the last piece are completed in a copy. From the first
    // word that begins in this piece on, it is encoded in place.
    while (!pending_.empty() && !text.empty()) {
        const auto left = pending_.size();
        const auto taken = std::min(text.size(), std::max(left, kSeamBytes));
        pending_ += text.substr(0, taken);
        const auto done = encode_complete(pending_, kWordLookahead, out);
        if (done >= left) {
            pending_.clear();
            text.remove_prefix(done - left);
        } else {
            pending_.erase(0, done);
            text.remove_prefix(taken);
        }
    }
    if (!text.empty()) pending_ = text.substr(encode_complete(text, kWordLookahead, out));
}

void BpeEncoder::finish(std::vector<Bpe::Id>& out) {
    encode_complete(pending_, 0, out);
    pending_.clear();
}

}  // namespace starling::data
