#include "data/tokens/text_encoder.hpp"

#include <algorithm>

#include "data/utf8.hpp"

namespace starling::data {

namespace {

constexpr std::int32_t kNone = -1;

std::string numbers_of(std::span<const std::uint16_t> tokens) {
    std::string text;
    for (const auto token : tokens) text += (text.empty() ? "" : " ") + std::to_string(token);
    return text;
}

std::string shown(char32_t point) {
    if (point < 0x20 || point == 0x7f) return "number " + std::to_string(point);
    std::string text;
    append_utf8(text, point);
    return text;
}

}  // namespace

Result<TextEncoder> TextEncoder::make(const TokenRecipe& recipe) {
    TextEncoder made;
    made.kind_ = recipe.tokenizer;
    switch (recipe.tokenizer) {
        case Tokenizer::Characters: {
            auto points = utf8_points(recipe.vocabulary);
            if (!points || points->empty()) {
                return fail(FaultCode::BadValue, "the vocabulary is not UTF-8");
            }
            made.points_ = std::move(*points);
            made.tokens_ = static_cast<std::uint32_t>(made.points_.size());
            made.number_common();
            if (made.points_.front() == kCharacterMark) made.mark_ = std::uint16_t{0};
            return made;
        }
        case Tokenizer::Bytes:
            made.mark_ = static_cast<std::uint16_t>(kTokensOfBytes - 1);
            return made;
        case Tokenizer::Bpe: {
            auto bpe = Bpe::parse(as_byte_view(recipe.vocabulary));
            if (!bpe) return bpe.error();
            if (bpe->tokens() > kClassesMax) {
                return fail(FaultCode::Oversized, "more than 65536 tokens");
            }
            made.bpe_ = std::make_unique<Bpe>(std::move(*bpe));
            made.encoder_ = std::make_unique<BpeEncoder>(*made.bpe_);
            made.tokens_ = made.bpe_->tokens();
            made.mark_ = static_cast<std::uint16_t>(made.bpe_->end_mark());
            return made;
        }
        case Tokenizer::Numbers:
            break;
    }
    return fail(
        FaultCode::Unsupported, "its tokens are bare numbers, and no text can be turned into them"
    );
}

Result<void> TextEncoder::feed(std::string_view text, std::vector<std::uint16_t>& out) {
    if (kind_ == Tokenizer::Characters) return feed_characters(text, out);
    if (kind_ == Tokenizer::Bytes) {
        for (const char c : text) out.push_back(static_cast<unsigned char>(c));
        return {};
    }
    encoder_->feed(text, ids_);
    move_ids(out);
    return {};
}

/// Most texts have only characters of a few alphabets, which are found in a table.
void TextEncoder::number_common() {
    constexpr std::size_t kAlphabets = 0x3000;
    common_.assign(kAlphabets, kNone);
    for (std::size_t i = 0; i < points_.size() && points_[i] < kAlphabets; ++i) {
        common_[points_[i]] = static_cast<std::int32_t>(i);
    }
}

Result<void> TextEncoder::feed_characters(std::string_view text, std::vector<std::uint16_t>& out)
    const {
    for (std::size_t at = 0; at < text.size();) {
        at += feed_bytes(text.substr(at), out);
        if (at == text.size()) break;
        const auto character = utf8_at(text, at);
        if (!character) return fail(FaultCode::BadValue, "a text that is not UTF-8");
        if (character->point < common_.size() && common_[character->point] != kNone) {
            out.push_back(static_cast<std::uint16_t>(common_[character->point]));
            at += character->bytes;
            continue;
        }
        const auto found = std::lower_bound(points_.begin(), points_.end(), character->point);
        if (found == points_.end() || *found != character->point) {
            return fail(
                FaultCode::Usage,
                "the character " + shown(character->point) +
                    " is not in the vocabulary that the model was trained with"
            );
        }
        out.push_back(static_cast<std::uint16_t>(found - points_.begin()));
        at += character->bytes;
    }
    return {};
}

/// Appends the tokens of the characters of one byte that a text begins with, and returns how many there are.
std::size_t TextEncoder::feed_bytes(std::string_view text, std::vector<std::uint16_t>& out) const {
    constexpr unsigned char kBytePoints = 0x80;
    const auto known = [this](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < kBytePoints && common_[byte] != kNone;
    };
    const auto end = std::find_if_not(text.begin(), text.end(), known);
    const auto done = static_cast<std::size_t>(end - text.begin());
    const auto begin = out.size();
    out.resize(begin + done);
    for (std::size_t i = 0; i < done; ++i) {
        out[begin + i] = static_cast<std::uint16_t>(common_[static_cast<unsigned char>(text[i])]);
    }
    return done;
}

void TextEncoder::finish(std::vector<std::uint16_t>& out) {
    if (!encoder_) return;
    encoder_->finish(ids_);
    move_ids(out);
}

void TextEncoder::move_ids(std::vector<std::uint16_t>& out) {
    for (const auto id : ids_) out.push_back(static_cast<std::uint16_t>(id));
    ids_.clear();
}

std::vector<std::uint32_t> bytes_of_tokens(const TokenRecipe& recipe) {
    std::vector<std::uint32_t> bytes;
    if (recipe.tokenizer == Tokenizer::Characters) {
        const auto points = utf8_points(recipe.vocabulary);
        if (!points) return bytes;
        for (const auto point : *points) {
            std::string text;
            append_utf8(text, point);
            bytes.push_back(point == kCharacterMark ? 0 : static_cast<std::uint32_t>(text.size()));
        }
    } else if (recipe.tokenizer == Tokenizer::Bytes) {
        bytes.assign(kTokensOfBytes, 1);
        bytes.back() = 0;
    } else if (recipe.tokenizer == Tokenizer::Bpe) {
        const auto bpe = Bpe::parse(as_byte_view(recipe.vocabulary));
        if (!bpe) return bytes;
        for (Bpe::Id id = 0; id < bpe->tokens(); ++id) {
            const bool mark = id == bpe->end_mark();
            bytes.push_back(mark ? 0 : static_cast<std::uint32_t>(bpe->bytes_of(id).size()));
        }
    }
    return bytes;
}

std::string text_of(const TokenRecipe& recipe, std::span<const std::uint16_t> tokens) {
    std::string text;
    if (recipe.tokenizer == Tokenizer::Characters) {
        const auto points = utf8_points(recipe.vocabulary);
        if (!points) return numbers_of(tokens);
        for (const auto token : tokens) {
            if (token < points->size()) append_utf8(text, (*points)[token]);
        }
        return text;
    }
    if (recipe.tokenizer == Tokenizer::Bytes) {
        for (const auto token : tokens) {
            if (token < kByteTokens) text += static_cast<char>(token);
        }
        return text;
    }
    if (recipe.tokenizer == Tokenizer::Numbers) return numbers_of(tokens);
    const auto bpe = Bpe::parse(as_byte_view(recipe.vocabulary));
    if (!bpe) return numbers_of(tokens);
    auto decoded = bpe->decode(std::vector<Bpe::Id>(tokens.begin(), tokens.end()));
    return decoded ? *decoded : numbers_of(tokens);
}

}  // namespace starling::data
