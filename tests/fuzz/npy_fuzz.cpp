// Goal: no array and no token file harms its reader. Method: libFuzzer mutates small arrays; each is
// read with its size known and unknown, and taken for a file of tokens, too.

#include <cstddef>
#include <cstdint>

#include "data/arrays/npy.hpp"
#include "data/tokens/token_file.hpp"

namespace starling::data {
namespace {

void read(std::string_view text, std::optional<std::uint64_t> size) {
    MemoryStream stream(text);
    auto reader = NpyReader::open(stream, size);
    if (!reader) return;
    const auto element = reader->header().element;
    std::vector<std::uint8_t> room(64);
    while (true) {
        const auto got = reader->read(room);
        if (!got || *got == 0) break;
        for (std::size_t i = 0; i < *got / bytes_of(element); ++i)
            (void)npy_value(element, room, i);
    }
}

}  // namespace
}  // namespace starling::data

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace starling::data;  // NOLINT(google-build-using-namespace) one function
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    read(text, size);
    read(text, std::nullopt);
    const auto tokens = TokenFile::open(std::make_unique<MemoryBytes>(text));
    if (tokens) (void)tokens->largest();
    return 0;
}
