#include "data/formats/text.hpp"

#include "data/formats/gz_source.hpp"
#include "data/manifest.hpp"
#include "data/utf8.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20U;
constexpr std::size_t kPoints = 0x110000;

Result<std::string> read_content(const std::filesystem::path& file) {
    auto source = GzSource::open(file);
    if (!source) return source.error();
    std::string content;
    while (true) {
        const std::size_t start = content.size();
        if (start > kTextBytesMax) {
            return source->bad(FaultCode::Oversized, "the text is over 1 GiB; cut it");
        }
        content.resize(start + kPieceBytes);
        auto* room = reinterpret_cast<std::uint8_t*>(content.data()) + start;
        const auto got = source->read({room, kPieceBytes});
        if (!got) return got.error();
        content.resize(start + *got);
        if (*got < kPieceBytes) break;
    }
    if (content.empty()) return source->bad(FaultCode::Usage, "it is empty; give a text");
    return content;
}

/// Returns for each code point whether the file contains it.
Result<std::vector<bool>> points_in(const std::string& content, const std::string& name) {
    std::vector<bool> present(kPoints);
    for (std::size_t at = 0; at < content.size();) {
        const auto character = utf8_at(content, at);
        if (!character) {
            return fail(
                FaultCode::Usage,
                name + ": not UTF-8 at byte " + std::to_string(at) + "; convert it, as with iconv"
            );
        }
        present[character->point] = true;
        at += character->bytes;
    }
    return present;
}

}  // namespace

Result<Text> read_text(const std::filesystem::path& file) {
    const auto content = read_content(file);
    if (!content) return content.error();
    const auto present = points_in(*content, file.string());
    if (!present) return present.error();
    Text text;
    std::vector<std::uint16_t> number(kPoints);
    for (std::size_t point = 0; point < kPoints; ++point) {
        if (!(*present)[point]) continue;
        if (text.symbols == kClassesMax) {
            return fail(
                FaultCode::Usage,
                file.string() + ": more than 65536 distinct characters; is it a text?"
            );
        }
        number[point] = static_cast<std::uint16_t>(text.symbols++);
        append_utf8(text.vocabulary, static_cast<char32_t>(point));
    }
    text.tokens.reserve(content->size());
    for (std::size_t at = 0; at < content->size();) {
        const auto character = *utf8_at(*content, at);
        text.tokens.push_back(number[character.point]);
        at += character.bytes;
    }
    text.tokens.shrink_to_fit();
    return text;
}

}  // namespace starling::data
