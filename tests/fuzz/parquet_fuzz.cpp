// Goal: no Parquet file harms its reader. Method: libFuzzer mutates small files; their columns are read.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "data/parquet/column_reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace starling::data;  // NOLINT(google-build-using-namespace) one function
    // A few bytes may stand for four thousand million missing values, so reading ends after some.
    constexpr std::uint64_t kRows = 2000;
    const MemoryBytes bytes(std::string_view(reinterpret_cast<const char*>(data), size));
    const auto file = ParquetFile::open(bytes);
    if (!file) return 0;
    ParquetRoom room;
    for (std::size_t i = 0; i < file->columns().size(); ++i) {
        if (!file->columns()[i].readable()) continue;
        ParquetColumnReader reader(*file, i, room, size % 2 == 0);
        for (std::size_t g = 0; g < std::min<std::size_t>(file->row_groups(), 8); ++g) {
            const auto group = file->row_group(g);
            if (!group || !reader.begin(group->chunks[i])) break;
            Cell cell;
            for (std::uint64_t row = 0; row < std::min(group->rows, kRows); ++row) {
                if (!reader.next(cell)) break;
            }
        }
    }
    return 0;
}
