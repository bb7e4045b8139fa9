// Goal: no archive harms its reader. Method: libFuzzer mutates small archives; all members are read.

#include <cstddef>
#include <cstdint>

#include "data/arrays/npz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace starling::data;  // NOLINT(google-build-using-namespace) one function
    const MemoryBytes bytes(std::string_view(reinterpret_cast<const char*>(data), size));
    const auto file = NpzFile::open(bytes);
    if (!file) return 0;
    std::vector<std::uint8_t> room(std::size_t{1} << 12U);
    for (const auto& member : file->members()) {
        auto content = file->content(member.name);
        if (!content) continue;
        auto array = file->array(member.name, **content);
        if (!array) continue;
        // A megabyte of zeros has a kilobyte when deflated, so reading ends after some pieces.
        for (int pieces = 0; pieces < 64; ++pieces) {
            const auto got = array->read(room);
            if (!got || *got == 0) break;
        }
    }
    return 0;
}
