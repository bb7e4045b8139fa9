// Goal: no vocabulary and no text harms byte-pair encoding, and every text comes back.
// Method: the first byte says what the rest is: a tokenizer's blob, the lines of vocab.bpe, the
// text of encoder.json, a text to learn from, or a text to encode with a vocabulary learned here.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "data/tokens/bpe.hpp"

namespace starling::data {
namespace {

const Bpe& learned() {
    static const Bpe bpe = [] {
        std::string text;
        for (int i = 0; i < 400; ++i) text += " the there's\n\n  we'll " + std::to_string(i * i);
        MemoryStream stream(text);
        return *Bpe::learn(stream, 400);
    }();
    return bpe;
}

void encode(const Bpe& bpe, std::string_view text) {
    const auto ids = bpe.encode(text);
    const auto again = bpe.decode(ids);
    STARLING_CHECK(again.has_value() && *again == text);
    BpeEncoder encoder(bpe);
    std::vector<Bpe::Id> pieces;
    for (std::size_t at = 0, size = 1; at < text.size(); at += size, size = size % 7 + 1) {
        encoder.feed(text.substr(at, size), pieces);
    }
    encoder.finish(pieces);
    STARLING_CHECK(pieces == ids);
}

void parse(std::string_view blob) {
    const auto bpe = Bpe::parse(as_byte_view(blob));
    if (!bpe) return;
    const auto bytes = bpe->serialize();
    STARLING_CHECK(as_text(bytes) == blob);
    encode(*bpe, blob);
}

}  // namespace
}  // namespace starling::data

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace starling::data;  // NOLINT(google-build-using-namespace) one function
    if (size == 0) return 0;
    const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    MemoryStream stream(rest);
    switch (data[0] % 5) {
        case 0:
            parse(rest);
            break;
        case 1:
            if (const auto bpe = Bpe::from_gpt2(rest)) encode(*bpe, rest);
            break;
        case 2:
            (void)Bpe::from_gpt2("a b\n", rest);
            break;
        case 3:
            if (const auto bpe = Bpe::learn(stream, 300)) encode(*bpe, rest);
            break;
        default:
            encode(learned(), rest);
            break;
    }
    return 0;
}
