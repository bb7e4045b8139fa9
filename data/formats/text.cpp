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

/// Removes what editors of some systems put into a text. Returns notes about it.
Result<std::vector<std::string>> clean(std::string& content, const std::string& name) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    std::vector<std::string> notes;
    if (const auto zero = content.find('\0'); zero != std::string::npos) {
        return fail(
            FaultCode::Usage,
            name + ": not a text at byte " + std::to_string(zero) +
                ", which is zero; convert it, as with iconv from UTF-16"
        );
    }
    if (content.starts_with(kByteOrderMark)) {
        content.erase(0, kByteOrderMark.size());
        notes.push_back(name + ": the byte order mark at its beginning is left out");
    }
    std::size_t kept = 0;
    std::size_t ends = 0;
    for (std::size_t at = 0; at < content.size(); ++at) {
        const bool pair = content[at] == '\r' && at + 1 < content.size() && content[at + 1] == '\n';
        if (pair) {
            ++ends;
        } else {
            content[kept++] = content[at];
        }
    }
    content.resize(kept);
    if (ends > 0) {
        notes.push_back(name + ": " + std::to_string(ends) + " line ends of CR LF are read as LF");
    }
    return notes;
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
    auto content = read_content(file);
    if (!content) return content.error();
    auto notes = clean(*content, file.string());
    if (!notes) return notes.error();
    const auto present = points_in(*content, file.string());
    if (!present) return present.error();
    Text text;
    text.notes = std::move(*notes);
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
