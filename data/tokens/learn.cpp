// Learning merges. The words of the text are counted first; then merges are chosen over the distinct
// words alone, each weighted by its count.

#include <algorithm>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "data/tokens/bpe.hpp"
#include "data/tokens/pretokenizer.hpp"

namespace starling::data {

namespace {

using Id = Bpe::Id;

/// When there are more distinct words, or more bytes in them, the rarest are forgotten: first those
/// that were seen once, and so on, until at most half remain. A word that comes back begins at zero.
constexpr std::size_t kDistinctWordsMax = std::size_t{1} << 17U;
constexpr std::size_t kDistinctBytesMax = std::size_t{2} << 20U;
/// A longer word is a row of dashes or a key, from which nothing is to be learned.
constexpr std::size_t kLearnedWordBytesMax = 64;
constexpr std::size_t kPieceBytes = std::size_t{1} << 16U;

struct TextHash {
    using is_transparent = void;

    std::size_t operator()(std::string_view text) const {
        return std::hash<std::string_view>{}(text);
    }
};

class WordCounts {
public:
    using Map = std::unordered_map<std::string, std::uint64_t, TextHash, std::equal_to<>>;

    void add(std::string_view word) {
        if (word.size() > kLearnedWordBytesMax) return;
        if (const auto known = counts_.find(word); known != counts_.end()) {
            ++known->second;
            return;
        }
        counts_.emplace(word, 1);
        bytes_ += word.size();
        if (counts_.size() > kDistinctWordsMax || bytes_ > kDistinctBytesMax) forget();
    }

    [[nodiscard]] const Map& counts() const { return counts_; }

private:
    void forget() {
        for (std::uint64_t floor = 1;
             counts_.size() > kDistinctWordsMax / 2 || bytes_ > kDistinctBytesMax / 2;
             ++floor) {
            for (auto at = counts_.begin(); at != counts_.end();) {
                if (at->second > floor) {
                    ++at;
                    continue;
                }
                bytes_ -= at->first.size();
                at = counts_.erase(at);
            }
        }
    }

    Map counts_;
    std::size_t bytes_ = 0;
};

Result<WordCounts> count_words(ByteStream& text) {
    WordCounts words;
    std::string piece;
    bool more = true;
    while (more) {
        const auto start = piece.size();
        piece.resize(start + kPieceBytes);
        auto* room = reinterpret_cast<std::uint8_t*>(piece.data()) + start;
        const auto got = text.read({room, kPieceBytes});
        if (!got) return got.error();
        more = *got == kPieceBytes;
        piece.resize(start + *got);
        const std::size_t lookahead = more ? kWordLookahead : 0;
        std::size_t at = 0;
        while (at < piece.size()) {
            const auto end = word_end(piece, at);
            if (end + lookahead > piece.size()) break;
            words.add(std::string_view(piece).substr(at, end - at));
            at = end;
        }
        piece.erase(0, at);
    }
    return words;
}

/// How many old counts of pairs may lie in the heap before it is built afresh.
constexpr std::size_t kStaleMax = std::size_t{1} << 18U;

struct Word {
    std::vector<Id> ids;
    std::uint64_t count = 0;
};

struct PairFacts {
    std::uint64_t count = 0;
    std::uint64_t queued = 0;          ///< the count with which it was last put into the heap
    std::vector<std::uint32_t> words;  ///< where it is or was; one may stand there twice
};

struct Choice {
    std::uint64_t count = 0;
    Id left = 0;
    Id right = 0;
};

constexpr std::uint64_t pair_of(Id left, Id right) {
    return (std::uint64_t{left} << 32U) | right;
}

struct PairHash {
    std::size_t operator()(std::uint64_t pair) const {
        return static_cast<std::size_t>(mix64(pair));
    }
};

class Learner {
public:
    explicit Learner(WordCounts counts) : heap_(Later{&tokens_}) {
        tokens_.resize(kByteTokens);
        for (unsigned byte = 0; byte < kByteTokens; ++byte) {
            const auto value = static_cast<std::uint8_t>(byte);
            tokens_[Bpe::id_of_byte(value)] = std::string(1, static_cast<char>(byte));
            known_.emplace(1, static_cast<char>(byte));
        }
        for (const auto& [text, count] : counts.counts()) {
            Word word{{}, count};
            for (const char c : text)
                word.ids.push_back(Bpe::id_of_byte(static_cast<std::uint8_t>(c)));
            word.ids.shrink_to_fit();
            words_.push_back(std::move(word));
        }
        for (std::uint32_t i = 0; i < words_.size(); ++i) {
            for (std::size_t at = 0; at + 1 < words_[i].ids.size(); ++at) {
                count_pair(i, at);
                remember_word(i, at);
            }
        }
        push_changed();
    }

    [[nodiscard]] std::vector<Bpe::Merge> run(std::size_t merges_max) {
        std::vector<Bpe::Merge> merges;
        while (merges.size() < merges_max && !heap_.empty()) {
            const auto best = heap_.top();
            heap_.pop();
            const auto facts = pairs_.find(pair_of(best.left, best.right));
            // The heap keeps a pair's old counts, too. Only that which is still right counts.
            if (facts == pairs_.end() || facts->second.count != best.count) continue;
            if (best.count < 2) break;
            auto token = tokens_[best.left] + tokens_[best.right];
            if (!known_.insert(token).second) continue;
            tokens_.push_back(std::move(token));
            merges.push_back({best.left, best.right});
            merge(best.left, best.right);
        }
        return merges;
    }

private:
    /// The heap's top is the pair with the highest count, and of those the smallest bytes.
    struct Later {
        const std::vector<std::string>* tokens;

        bool operator()(const Choice& a, const Choice& b) const {
            if (a.count != b.count) return a.count < b.count;
            const auto& left_a = (*tokens)[a.left];
            const auto& left_b = (*tokens)[b.left];
            if (left_a != left_b) return left_a > left_b;
            return (*tokens)[a.right] > (*tokens)[b.right];
        }
    };

    void count_pair(std::uint32_t index, std::size_t at) {
        const auto& word = words_[index];
        const auto pair = pair_of(word.ids[at], word.ids[at + 1]);
        pairs_[pair].count += word.count;
        changed_.insert(pair);
    }

    void remember_word(std::uint32_t index, std::size_t at) {
        const auto& ids = words_[index].ids;
        auto& known = pairs_[pair_of(ids[at], ids[at + 1])].words;
        if (known.empty() || known.back() != index) known.push_back(index);
    }

    void uncount_pair(std::uint32_t index, std::size_t at) {
        const auto& word = words_[index];
        const auto pair = pair_of(word.ids[at], word.ids[at + 1]);
        pairs_[pair].count -= word.count;
        changed_.insert(pair);
    }

    void merge(Id left, Id right) {
        const auto made = static_cast<Id>(tokens_.size() - 1);
        const auto words = std::move(pairs_[pair_of(left, right)].words);
        for (const auto index : words) merge_in_word(index, left, right, made);
        push_changed();
    }

    void merge_in_word(std::uint32_t index, Id left, Id right, Id made) {
        auto& ids = words_[index].ids;
        const auto stands_at = [&](std::size_t at) {
            return at + 1 < ids.size() && ids[at] == left && ids[at + 1] == right;
        };
        bool found = false;
        for (std::size_t at = 0; at < ids.size() && !found; ++at) found = stands_at(at);
        if (!found) return;
        for (std::size_t at = 0; at + 1 < ids.size(); ++at) uncount_pair(index, at);
        std::size_t kept = 0;
        for (std::size_t at = 0; at < ids.size(); ++kept) {
            const bool pair = stands_at(at);
            const auto id = pair ? made : ids[at];
            at += pair ? 2 : 1;
            ids[kept] = id;
        }
        ids.resize(kept);
        for (std::size_t at = 0; at + 1 < ids.size(); ++at) {
            count_pair(index, at);
            // Pairs without the new token stood in this word before and know it already.
            if (ids[at] == made || ids[at + 1] == made) remember_word(index, at);
        }
    }

    void push_changed() {
        for (const auto pair : changed_) {
            const auto facts = pairs_.find(pair);
            STARLING_CHECK(facts != pairs_.end());
            if (facts->second.count == 0) {
                pairs_.erase(facts);
            } else if (facts->second.count != facts->second.queued) {
                push(pair, facts->second);
            }
        }
        changed_.clear();
        if (heap_.size() > 2 * pairs_.size() + kStaleMax) drop_old_counts();
    }

    void push(std::uint64_t pair, PairFacts& facts) {
        facts.queued = facts.count;
        heap_.push({facts.count, static_cast<Id>(pair >> 32U), static_cast<Id>(pair)});
    }

    void drop_old_counts() {
        heap_ = Heap(Later{&tokens_});
        for (auto& [pair, facts] : pairs_) push(pair, facts);
    }

    using Heap = std::priority_queue<Choice, std::vector<Choice>, Later>;

    std::vector<std::string> tokens_;
    std::unordered_set<std::string> known_;
    std::vector<Word> words_;
    std::unordered_map<std::uint64_t, PairFacts, PairHash> pairs_;
    std::unordered_set<std::uint64_t, PairHash> changed_;
    Heap heap_;
};

}  // namespace

Result<Bpe> Bpe::learn(ByteStream& text, std::uint32_t tokens) {
    if (tokens < kLearnedTokensMin || tokens > kLearnedTokensMax) {
        return fail(
            FaultCode::Usage,
            "a vocabulary of " + std::to_string(tokens) + " tokens cannot be learned; ask for " +
                std::to_string(kLearnedTokensMin) + " to " + std::to_string(kLearnedTokensMax)
        );
    }
    auto counts = count_words(text);
    if (!counts) return counts.error();
    return from_merges(Learner(std::move(*counts)).run(tokens - kByteTokens - 1));
}

}  // namespace starling::data
