#include "data/tokens/documents.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "data/formats/byte_stream.hpp"
#include "data/utf8.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 16U;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::size_t kCharacterBytesMax = 4;

bool begins_character(char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80U;
}

/// Returns whether a byte is a character of its own that is taken as it stands.
bool is_plain(char byte) {
    return static_cast<signed char>(byte) > 0 && byte != '\r';
}

/// Returns how many plain bytes a text begins with. Nearly all bytes of most texts are plain, so eight are
/// looked at together: a byte is none if its top bit is set, or if taking 1 from it, or from its difference to
/// CR, borrows. (A borrow may also reach the byte above one that is not plain, which only ends the run of eights.)
std::size_t plain_prefix(std::string_view text) {
    constexpr std::uint64_t kOnes = 0x0101010101010101U;
    constexpr std::uint64_t kTops = kOnes << 7U;
    constexpr std::uint64_t kReturns = kOnes * '\r';
    std::size_t at = 0;
    for (; at + sizeof(std::uint64_t) <= text.size(); at += sizeof(std::uint64_t)) {
        std::uint64_t bytes = 0;
        std::memcpy(&bytes, text.data() + at, sizeof(bytes));
        if (((bytes | (bytes - kOnes) | ((bytes ^ kReturns) - kOnes)) & kTops) != 0) break;
    }
    while (at < text.size() && is_plain(text[at])) ++at;
    return at;
}

/// Cleans the pieces of one file. A character or a line end that is cut by a piece's end waits for the
/// next piece.
class TextCleaner {
public:
    explicit TextCleaner(const DocumentFiles& how = {})
        : keep_line_ends_(how.keep_line_ends),
          latin1_(how.latin1) {}

    /// Reads the next piece. It is empty at the end of the file alone.
    Result<std::string_view> read(ByteStream& stream) {
        clean_.clear();
        while (clean_.empty() && !at_end_) {
            const auto kept = raw_.size();
            raw_.resize(kept + kPieceBytes);
            auto* room = reinterpret_cast<std::uint8_t*>(raw_.data()) + kept;
            const auto got = stream.read({room, kPieceBytes});
            if (!got) return got.error();
            raw_.resize(kept + *got);
            at_end_ = *got < kPieceBytes;
            const auto used = clean(stream);
            if (!used) return used.error();
            lines_ += static_cast<std::uint64_t>(
                std::count(raw_.begin(), raw_.begin() + static_cast<std::ptrdiff_t>(*used), '\n')
            );
            offset_ += *used;
            raw_.erase(0, *used);
        }
        return std::string_view(clean_);
    }

    [[nodiscard]] bool had_mark() const { return had_mark_; }

    [[nodiscard]] std::uint64_t line_ends() const { return line_ends_; }

private:
    /// Returns how many bytes of `raw_` are used.
    Result<std::size_t> clean(const ByteStream& stream) {
        std::size_t at = 0;
        if (offset_ == 0 && raw_.starts_with(kByteOrderMark)) {
            at = kByteOrderMark.size();
            had_mark_ = true;
        }
        while (at < raw_.size()) {
            const auto plain = plain_prefix(std::string_view(raw_).substr(at));
            clean_.append(raw_, at, plain);
            at += plain;
            if (at == raw_.size()) break;
            const char c = raw_[at];
            const auto left = raw_.size() - at;
            if (c == '\r' && left == 1 && !at_end_) return at;
            if (c == '\r' && left > 1 && raw_[at + 1] == '\n' && !keep_line_ends_) {
                ++line_ends_;
                ++at;
                continue;
            }
            if (c == '\0') return bad(stream, at, "is zero; convert it, as with iconv from UTF-16");
            if (c == '\r') {
                clean_ += c;
                ++at;
                continue;
            }
            if (latin1_) {
                // The first 256 code points are Latin-1.
                append_utf8(clean_, static_cast<unsigned char>(c));
                ++at;
                continue;
            }
            const auto character = utf8_at(raw_, at);
            if (!character && left < kCharacterBytesMax && !at_end_) return at;
            if (!character)
                return bad(
                    stream, at, "is not UTF-8; convert it, as with iconv, give encoding=latin1"
                );
            clean_.append(raw_, at, character->bytes);
            at += character->bytes;
        }
        return at;
    }

    [[nodiscard]] Fault bad(const ByteStream& stream, std::size_t at, const char* what) const {
        const auto before = raw_.begin() + static_cast<std::ptrdiff_t>(at);
        const auto line =
            lines_ + 1 + static_cast<std::uint64_t>(std::count(raw_.begin(), before, '\n'));
        return stream.bad(
            FaultCode::Usage,
            "not a text: byte " + std::to_string(offset_ + at) + ", in line " +
                std::to_string(line) + ", " + what + ", or give tokens=bytes"
        );
    }

    bool keep_line_ends_ = false;
    bool latin1_ = false;
    std::string raw_;  ///< what is read and not cleaned yet
    std::string clean_;
    std::uint64_t offset_ = 0;  ///< of raw_ in the file
    std::uint64_t lines_ = 0;   ///< line ends before raw_
    std::uint64_t line_ends_ = 0;
    bool had_mark_ = false;
    bool at_end_ = false;
};

class TextFiles final : public DocumentReader {
public:
    TextFiles(const DocumentFiles& files, std::size_t first) : files_(files), at_(first) {}

    Result<bool> next() override {
        if (at_ == files_.files.size()) return false;
        auto stream = FileStream::open(files_.files[at_++]);
        if (!stream) return stream.error();
        stream_.emplace(std::move(*stream));
        cleaner_ = TextCleaner(files_);
        ended_ = false;
        return true;
    }

    Result<std::string_view> piece() override {
        if (ended_) return std::string_view();
        if (!files_.utf8) return raw_piece();
        auto piece = cleaner_.read(*stream_);
        if (piece && piece->empty()) end();
        return piece;
    }

private:
    Result<std::string_view> raw_piece() {
        bytes_.resize(kPieceBytes);
        const auto got =
            stream_->read({reinterpret_cast<std::uint8_t*>(bytes_.data()), bytes_.size()});
        if (!got) return got.error();
        ended_ = *got == 0;
        return std::string_view(bytes_).substr(0, *got);
    }

    void end() {
        ended_ = true;
        const auto& name = files_.files[at_ - 1];
        if (cleaner_.had_mark()) {
            notes_.push_back(name + ": the byte order mark at its beginning is left out");
        }
        if (cleaner_.line_ends() > 0) {
            notes_.push_back(
                name + ": " + std::to_string(cleaner_.line_ends()) +
                " line ends of CR LF are read as LF"
            );
        }
    }

    const DocumentFiles& files_;
    std::size_t at_ = 0;
    std::optional<FileStream> stream_;
    TextCleaner cleaner_;
    std::string bytes_;
    bool ended_ = true;
};

class JsonTexts final : public DocumentReader {
public:
    JsonTexts(const DocumentFiles& files, std::size_t first) : files_(files), at_(first) {}

    Result<bool> next() override {
        while (true) {
            if (!texts_) {
                if (at_ == files_.files.size()) return false;
                auto stream = FileStream::open(files_.files[at_++]);
                if (!stream) return stream.error();
                stream_.emplace(std::move(*stream));
                texts_.emplace(*stream_, files_.field);
            }
            const auto text = texts_->next();
            if (!text) return text.error();
            if (*text) {
                text_ = **text;
                return true;
            }
            for (const auto& one : texts_->wrong().first) {
                if (wrong_.first.size() < kFindingsKept) wrong_.first.push_back(one);
            }
            wrong_.count += texts_->wrong().count;
            texts_.reset();
        }
    }

    Result<std::string_view> piece() override { return std::exchange(text_, {}); }

    [[nodiscard]] LineFindings wrong() const override { return wrong_; }

private:
    const DocumentFiles& files_;
    std::size_t at_ = 0;
    std::optional<FileStream> stream_;
    std::optional<JsonlTexts> texts_;
    std::string_view text_;
    LineFindings wrong_;
};

}  // namespace

std::unique_ptr<DocumentReader> read_documents(const DocumentFiles& files, std::size_t first) {
    if (files.field.empty()) return std::make_unique<TextFiles>(files, first);
    return std::make_unique<JsonTexts>(files, first);
}

std::size_t take_characters(std::string_view text, std::uint64_t& left, bool utf8) {
    if (!utf8) {
        const auto count = std::min<std::uint64_t>(left, text.size());
        left -= count;
        return static_cast<std::size_t>(count);
    }
    const auto all =
        static_cast<std::uint64_t>(std::count_if(text.begin(), text.end(), begins_character));
    if (all <= left) {
        left -= all;
        return text.size();
    }
    std::size_t at = 0;
    for (; at < text.size(); ++at) {
        if (!begins_character(text[at])) continue;
        if (left == 0) break;
        --left;
    }
    return at;
}

}  // namespace starling::data
