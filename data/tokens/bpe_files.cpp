// GPT-2's two files. In them a byte stands as a character: itself where it is shown, else U+0100 and
// so on, so that no token has a space or a control character.

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/printable.hpp"
#include "data/formats/json.hpp"
#include "data/tokens/bpe.hpp"
#include "data/utf8.hpp"

namespace starling::data {

namespace {

/// GPT-2's files have 0.5 and 1 MB; a vocabulary at our limits has 20 times as much.
constexpr std::size_t kFileBytesMax = std::size_t{32} << 20U;
constexpr char32_t kFirstSubstitute = 0x100;
constexpr std::size_t kPieceBytes = std::size_t{1} << 16U;

/// Returns the bytes for which GPT-2's characters stand, or none if one stands for no byte.
std::optional<std::string> bytes_of_shown(std::string_view shown) {
    // The substitutes are numbered in the order of the bytes that need one, which are the last ids.
    constexpr Bpe::Id kShownBytes = 188;
    static const auto kSubstituted = [] {
        std::string bytes(kByteTokens - kShownBytes, '\0');
        for (unsigned byte = 0; byte < kByteTokens; ++byte) {
            const auto id = Bpe::id_of_byte(static_cast<std::uint8_t>(byte));
            if (id >= kShownBytes) bytes[id - kShownBytes] = static_cast<char>(byte);
        }
        return bytes;
    }();
    std::string bytes;
    for (std::size_t at = 0; at < shown.size();) {
        const auto character = utf8_at(shown, at);
        if (!character) return std::nullopt;
        at += character->bytes;
        const auto point = character->point;
        if (point < kFirstSubstitute) {
            if (Bpe::id_of_byte(static_cast<std::uint8_t>(point)) >= kShownBytes) {
                return std::nullopt;
            }
            bytes.push_back(static_cast<char>(point));
        } else if (point < kFirstSubstitute + kSubstituted.size()) {
            bytes.push_back(kSubstituted[point - kFirstSubstitute]);
        } else {
            return std::nullopt;
        }
    }
    return bytes;
}

Fault bad_line(std::size_t line, const std::string& what) {
    return fail(FaultCode::BadFormat, "vocab.bpe, line " + std::to_string(line) + ": " + what);
}

/// The merges while they are read: each line names two tokens by what they stand for.
class MergeList {
public:
    MergeList() {
        for (unsigned byte = 0; byte < kByteTokens; ++byte) {
            const auto id = Bpe::id_of_byte(static_cast<std::uint8_t>(byte));
            ids_.emplace(std::string(1, static_cast<char>(byte)), id);
        }
    }

    [[nodiscard]] Result<void> add(std::string_view line, std::size_t number) {
        const auto space = line.find(' ');
        if (space == std::string_view::npos || line.find(' ', space + 1) != line.npos) {
            return bad_line(number, "a merge is two tokens with a space between them");
        }
        const auto left = bytes_of_shown(line.substr(0, space));
        const auto right = bytes_of_shown(line.substr(space + 1));
        if (!left || !right) return bad_line(number, "a character that stands for no byte");
        const auto left_id = ids_.find(*left);
        const auto right_id = ids_.find(*right);
        if (left_id == ids_.end() || right_id == ids_.end()) {
            return bad_line(number, "a token that no line before it makes");
        }
        if (merges_.size() == kMergesMax || left->size() + right->size() > kTokenBytesMax) {
            return fail(
                FaultCode::Oversized,
                "vocab.bpe, line " + std::to_string(number) +
                    ": too many merges, or a token of over 1 KiB"
            );
        }
        merges_.push_back({left_id->second, right_id->second});
        const auto id = static_cast<Bpe::Id>(kByteTokens + merges_.size() - 1);
        bytes_ += left->size() + right->size();
        if (bytes_ > kVocabularyBytesMax) {
            return fail(FaultCode::Oversized, "vocab.bpe: the tokens have over 8 MiB together");
        }
        if (!ids_.emplace(*left + *right, id).second) {
            return bad_line(number, "it makes what is a token already");
        }
        return {};
    }

    [[nodiscard]] std::vector<Bpe::Merge> take() { return std::move(merges_); }

private:
    std::unordered_map<std::string, Bpe::Id> ids_;
    std::vector<Bpe::Merge> merges_;
    std::size_t bytes_ = 0;
};

Fault disagree(std::string_view name, const std::string& what) {
    return fail(
        FaultCode::BadValue,
        "encoder.json and vocab.bpe disagree: " + printable(std::string(name.substr(0, 64))) + " " +
            what + "; are both of one model?"
    );
}

Result<void> compare(const Bpe& bpe, std::string_view encoder) {
    std::string padded(encoder);
    padded.resize(encoder.size() + kJsonPadding);
    JsonParser parser(kFileBytesMax);
    std::vector<bool> seen(bpe.tokens());
    std::size_t count = 0;
    const auto visit = [&](std::string_view name, const JsonValue& value) -> Result<void> {
        const bool whole = value.kind == JsonKind::Number && value.number >= 0 &&
                           value.number < static_cast<double>(bpe.tokens());
        if (!whole) return disagree(name, "has a number that vocab.bpe does not make");
        const auto id = static_cast<Bpe::Id>(value.number);
        const bool mark = id == bpe.end_mark();
        const auto bytes = mark ? std::optional(std::string(name)) : bytes_of_shown(name);
        if (!bytes || *bytes != bpe.bytes_of(id) || static_cast<double>(id) != value.number) {
            return disagree(name, "has another number in vocab.bpe's order");
        }
        if (seen[id]) return disagree(name, "stands there twice");
        seen[id] = true;
        ++count;
        return {};
    };
    const auto read = parser.object(std::string_view(padded).substr(0, encoder.size()), visit);
    if (!read) {
        const bool json = read.error().code == FaultCode::BadFormat;
        return fail(read.error().code, (json ? "encoder.json: " : "") + read.error().message);
    }
    if (count != bpe.tokens()) {
        return disagree(
            "the first",
            "has " + std::to_string(count) + " tokens, the second makes " +
                std::to_string(bpe.tokens())
        );
    }
    return {};
}

Result<std::string> read_whole(const std::filesystem::path& path) {
    auto stream = FileStream::open(path);
    if (!stream) return stream.error();
    std::string content;
    while (true) {
        const auto start = content.size();
        content.resize(start + kPieceBytes);
        auto* room = reinterpret_cast<std::uint8_t*>(content.data()) + start;
        const auto got = stream->read({room, kPieceBytes});
        if (!got) return got.error();
        content.resize(start + *got);
        if (content.size() > kFileBytesMax) {
            return stream->bad(FaultCode::Oversized, "it has over 32 MiB; is it a vocabulary?");
        }
        if (*got < kPieceBytes) return content;
    }
}

/// Reads the file, or the gzipped one beside it.
Result<std::string> read_either(const std::filesystem::path& path) {
    auto content = read_whole(path);
    if (content || content.error().code != FaultCode::NotFound) return content;
    auto packed = path;
    packed += ".gz";
    return read_whole(packed);
}

}  // namespace

Result<Bpe> Bpe::from_gpt2(std::string_view merges, std::optional<std::string_view> encoder) {
    MergeList list;
    for (std::size_t number = 1; !merges.empty(); ++number) {
        const auto end = std::min(merges.find('\n'), merges.size());
        auto line = merges.substr(0, end);
        merges.remove_prefix(std::min(end + 1, merges.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
        if (auto added = list.add(line, number); !added) return added.error();
    }
    auto bpe = from_merges(list.take());
    if (!bpe || !encoder) return bpe;
    if (auto same = compare(*bpe, *encoder); !same) return same.error();
    return bpe;
}

Result<Bpe> load_bpe(const std::filesystem::path& folder) {
    const auto merges = read_either(folder / "vocab.bpe");
    if (!merges) {
        if (merges.error().code != FaultCode::NotFound) return merges.error();
        return fail(
            FaultCode::NotFound, folder.string() + ": there is no vocab.bpe or vocab.bpe.gz in it"
        );
    }
    const auto encoder = read_either(folder / "encoder.json");
    if (!encoder && encoder.error().code != FaultCode::NotFound) return encoder.error();
    auto bpe =
        Bpe::from_gpt2(*merges, encoder ? std::optional<std::string_view>(*encoder) : std::nullopt);
    if (!bpe) return fail(bpe.error().code, folder.string() + ": " + bpe.error().message);
    return bpe;
}

}  // namespace starling::data
