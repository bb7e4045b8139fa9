#include "data/tokens/token_file.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace starling::data {

namespace {

constexpr std::uint32_t kMagic16 = 20240520;
constexpr std::uint32_t kMagic32 = 20240801;
constexpr std::uint32_t kVersion16 = 1;
constexpr std::uint64_t kHeaderBytes = 1024;
constexpr std::size_t kPieceTokens = std::size_t{1} << 16U;

}  // namespace

Result<TokenFileFacts> parse_token_file(std::string_view beginning, std::uint64_t size) {
    ByteReader in(as_byte_view(beginning));
    const auto magic = in.take<std::uint32_t>();
    const auto version = in.take<std::uint32_t>();
    const auto count = in.take<std::uint32_t>();
    if (magic == kMagic32) {
        return fail(
            FaultCode::Unsupported,
            "llm.c's file of 32-bit tokens; only 16-bit ones (GPT-2's) are read"
        );
    }
    TokenFileFacts facts;
    if (magic == kMagic16) {
        if (size < kHeaderBytes || !in.ok()) {
            return fail(FaultCode::Truncated, "it ends inside llm.c's header of 1024 bytes");
        }
        if (version != kVersion16) {
            return fail(
                FaultCode::BadVersion,
                "llm.c's format in version " + std::to_string(version) + "; version 1 is read"
            );
        }
        facts = {TokenFileKind::LlmC, count, kHeaderBytes};
        if (size - kHeaderBytes != 2 * std::uint64_t{count}) {
            return fail(
                FaultCode::BadFormat,
                "its header promises " + std::to_string(count) + " tokens, it has " +
                    std::to_string((size - kHeaderBytes) / 2)
            );
        }
    } else {
        facts = {TokenFileKind::NanoGpt, size / 2, 0};
        if (size % 2 != 0) {
            return fail(FaultCode::BadFormat, "an odd number of bytes; 16-bit tokens are expected");
        }
    }
    if (facts.tokens == 0) return fail(FaultCode::Usage, "there is no token in it");
    return facts;
}

Result<TokenFile> TokenFile::open(const std::filesystem::path& path) {
    auto bytes = FileBytes::open(path);
    if (!bytes) return bytes.error();
    return open(std::move(*bytes));
}

Result<TokenFile> TokenFile::open(std::unique_ptr<RandomBytes> bytes) {
    constexpr std::uint64_t kBeginning = 12;
    std::array<std::uint8_t, kBeginning> beginning{};
    const auto known = static_cast<std::size_t>(std::min(kBeginning, bytes->size()));
    if (auto read = bytes->read_at(0, std::span(beginning).first(known)); !read)
        return read.error();
    const auto text = as_text(std::as_bytes(std::span(beginning).first(known)));
    const auto facts = parse_token_file(text, bytes->size());
    if (!facts) return bytes->bad(facts.error().code, facts.error().message);
    return TokenFile(std::move(bytes), *facts);
}

Result<void> TokenFile::read(std::uint64_t at, std::span<std::uint16_t> out) const {
    if (at > facts_.tokens || out.size() > facts_.tokens - at) {
        return bytes_->bad(
            FaultCode::BadValue,
            "tokens from " + std::to_string(at) + " on, of " + std::to_string(facts_.tokens) +
                " in it"
        );
    }
    // The file's numbers are little-endian, and so is every machine that this is built for (bytes.hpp).
    auto* room = reinterpret_cast<std::uint8_t*>(out.data());
    return bytes_->read_at(facts_.first_byte + 2 * at, {room, out.size_bytes()});
}

Result<std::uint16_t> TokenFile::largest() const {
    std::vector<std::uint16_t> piece(kPieceTokens);
    std::uint16_t most = 0;
    for (std::uint64_t at = 0; at < facts_.tokens;) {
        const auto count = std::min<std::uint64_t>(piece.size(), facts_.tokens - at);
        const auto tokens = std::span(piece).first(static_cast<std::size_t>(count));
        if (auto got = read(at, tokens); !got) return got.error();
        most = std::max(most, *std::max_element(tokens.begin(), tokens.end()));
        at += count;
    }
    return most;
}

}  // namespace starling::data
