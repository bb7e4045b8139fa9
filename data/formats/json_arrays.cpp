#include "data/formats/json_arrays.hpp"

#include <vector>

#include "data/formats/json.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20U;
constexpr std::size_t kLevelsMax = 64;
constexpr std::size_t kKeyBytesMax = 64;  ///< longer ones are cut, as nobody asks for them

bool is_blank(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/// Follows brackets and quotes through the text, which comes piece by piece.
class Splitter {
public:
    Splitter(const ByteStream& stream, const JsonElementVisit& visit)
        : stream_(stream),
          visit_(visit) {}

    Result<void> take(std::string_view piece) {
        begin_ = 0;
        for (std::size_t i = 0; i < piece.size(); ++i) {
            if (in_string_) {
                i = skip_string(piece, i);
                continue;
            }
            if (auto ok = take_mark(piece, i); !ok) return ok.error();
        }
        if (inside_element()) {
            if (auto ok = keep(piece.substr(begin_)); !ok) return ok.error();
        }
        offset_ += piece.size();
        return {};
    }

    Result<void> finish() const {
        if (ended_) return {};
        return stream_.bad(FaultCode::Truncated, "the JSON text ends inside of its object");
    }

private:
    /// Goes on in a string, and returns the place of its last byte in this piece.
    std::size_t skip_string(std::string_view piece, std::size_t at) {
        for (; at < piece.size(); ++at) {
            const char c = piece[at];
            if (!escaped_ && c == '"') {
                in_string_ = false;
                return at;
            }
            escaped_ = !escaped_ && c == '\\';
            if (levels_.size() == 1 && key_.size() < kKeyBytesMax) key_ += c;
        }
        return at;
    }

    Result<void> take_mark(std::string_view piece, std::size_t at) {
        const char c = piece[at];
        if (levels_.empty() && !is_blank(c) && (ended_ || c != '{')) {
            return bad(at, ended_ ? "something follows the end" : "it is no JSON object");
        }
        if (c == '"') {
            in_string_ = true;
            if (levels_.size() == 1) key_.clear();
        } else if (c == '{' || c == '[') {
            if (levels_.size() == kLevelsMax) return bad(at, "more than 64 levels of brackets");
            levels_ += c;
            if (inside_element() && levels_.size() == 3) begin_ = at;
        } else if (c == '}' || c == ']') {
            return close(piece, at);
        }
        return {};
    }

    Result<void> close(std::string_view piece, std::size_t at) {
        if (levels_.back() != (piece[at] == '}' ? '{' : '['))
            return bad(at, "brackets do not match");
        const bool element = inside_element() && levels_.size() == 3;
        levels_.pop_back();
        if (levels_.empty()) ended_ = true;
        if (!element) return {};
        if (auto ok = keep(piece.substr(begin_, at + 1 - begin_)); !ok) return ok.error();
        const auto size = element_.size();
        element_.resize(size + kJsonPadding);
        auto seen = visit_(key_, std::string_view(element_).substr(0, size));
        element_.clear();
        return seen;
    }

    /// Returns whether we are in an object that lies in an array of the root.
    [[nodiscard]] bool inside_element() const { return levels_.starts_with("{[{"); }

    Result<void> keep(std::string_view text) {
        begin_ = 0;
        if (element_.size() + text.size() > kJsonElementBytesMax) {
            return bad(0, "one object in " + key_ + " has over 16 MiB", FaultCode::Oversized);
        }
        element_ += text;
        return {};
    }

    [[nodiscard]] Fault bad(
        std::size_t at, const std::string& what, FaultCode code = FaultCode::BadFormat
    ) const {
        return stream_.bad(code, "byte " + std::to_string(offset_ + at) + ": " + what);
    }

    const ByteStream& stream_;
    const JsonElementVisit& visit_;
    std::string levels_;  ///< the brackets that are open
    std::string key_;     ///< the last string that began in the root
    std::string element_;
    std::uint64_t offset_ = 0;  ///< of the piece in the text
    std::size_t begin_ = 0;     ///< where the running element begins in the piece
    bool in_string_ = false;
    bool escaped_ = false;
    bool ended_ = false;
};

}  // namespace

Result<void> each_array_object(ByteStream& stream, const JsonElementVisit& visit) {
    std::vector<std::uint8_t> piece(kPieceBytes);
    Splitter splitter(stream, visit);
    while (true) {
        const auto got = stream.read(piece);
        if (!got) return got.error();
        const auto text = std::string_view(reinterpret_cast<const char*>(piece.data()), *got);
        if (auto ok = splitter.take(text); !ok) return ok.error();
        if (*got < piece.size()) return splitter.finish();
    }
}

}  // namespace starling::data
