#pragma once

// What the tests of all tallies share: random rows, and what every codec must hold.

#include <cmath>
#include <cstdint>
#include <gtest/gtest.h>
#include <vector>

#include "base/bytes.hpp"
#include "base/rng.hpp"
#include "compute/metrics/scores.hpp"

namespace starling::compute {

/// Rows that own their numbers.
struct OwnedRows {
    std::vector<float> scores;
    std::vector<std::int32_t> labels;
    std::size_t classes = 0;
    ScoreKind kind = ScoreKind::Logit;

    [[nodiscard]] ClassRows view() const { return {scores, labels, classes, kind}; }
};

/// Random logits, on a coarse grid so that some are equal, and higher for the right class.
inline OwnedRows random_rows(Rng& rng, std::size_t count, std::size_t classes) {
    OwnedRows rows{{}, {}, classes};
    for (std::size_t n = 0; n < count; ++n) {
        const auto label = static_cast<std::int32_t>(rng.below(classes));
        rows.labels.push_back(label);
        for (std::size_t c = 0; c < classes; ++c) {
            const bool right = static_cast<std::size_t>(label) == c;
            const double score = rng.normal() + (right ? 1.0 : 0.0);
            rows.scores.push_back(static_cast<float>(std::round(score * 8.0) / 8.0));
        }
    }
    return rows;
}

template <class T>
Bytes bytes_of(const T& tally) {
    Bytes bytes;
    ByteWriter out(bytes);
    tally.encode(out);
    return bytes;
}

template <class T>
bool is_read(ByteView bytes) {
    ByteReader in(bytes);
    return T::decode(in).has_value() && in.finished();
}

/// Expects that a tally survives its codec, that no cut is read, and that a changed byte is refused,
/// or read as a tally that has just these bytes.
template <class T>
void expect_sound_codec(const T& tally) {
    const auto bytes = bytes_of(tally);
    ByteReader in(bytes);
    const auto back = T::decode(in);
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_TRUE(in.finished());
    EXPECT_EQ(bytes_of(*back), bytes);
    for (std::size_t cut = 0; cut < bytes.size(); cut += 1 + bytes.size() / 400) {
        EXPECT_FALSE(is_read<T>(ByteView(bytes).first(cut))) << cut << " of " << bytes.size();
    }
    Rng rng(99);
    for (int i = 0; i < 2000; ++i) {
        auto changed = bytes;
        auto& byte = changed[static_cast<std::size_t>(rng.below(bytes.size()))];
        byte ^= static_cast<std::byte>(1U << rng.below(8));
        ByteReader reader(changed);
        const auto read = T::decode(reader);
        if (read.has_error() || !reader.finished()) continue;
        EXPECT_EQ(bytes_of(*read), changed);
    }
}

/// Expects that the tallies merge to the same bytes forwards, backwards and by a tree.
template <class T>
void expect_any_order(const std::vector<T>& parts, const T& whole) {
    auto forwards = parts.front();
    for (std::size_t i = 1; i < parts.size(); ++i) {
        ASSERT_TRUE(forwards.merge(parts[i]).has_value());
    }
    auto backwards = parts.back();
    for (std::size_t i = parts.size() - 1; i > 0; --i) {
        ASSERT_TRUE(backwards.merge(parts[i - 1]).has_value());
    }
    auto tree = parts;
    while (tree.size() > 1) {
        ASSERT_TRUE(tree[0].merge(tree[tree.size() / 2]).has_value());
        tree.erase(tree.begin() + static_cast<std::ptrdiff_t>(tree.size() / 2));
    }
    EXPECT_EQ(bytes_of(forwards), bytes_of(whole));
    EXPECT_EQ(bytes_of(backwards), bytes_of(whole));
    EXPECT_EQ(bytes_of(tree.front()), bytes_of(whole));
}

}  // namespace starling::compute
