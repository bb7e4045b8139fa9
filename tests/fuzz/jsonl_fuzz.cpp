// Goal: no file harms the reader of JSON lines, and what was scanned can be read.
// Method: libFuzzer mutates small files; each is read as a table, by rows, and as texts of a field.

#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "data/tables/jsonl.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace starling::data;  // NOLINT(google-build-using-namespace) one function
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    MemoryStream documents(text);
    JsonlTexts texts(documents, "a");
    while (true) {
        const auto next = texts.next();
        if (!next || !*next) break;
    }
    MemoryStream stream(text);
    const auto facts = scan_jsonl(stream, {{"c"}, {"n"}});
    if (!facts) return 0;
    std::vector<std::size_t> columns;
    for (std::size_t i = 0; i < facts->table.columns.size(); ++i) {
        if (facts->table.columns[i].kind != ColumnKind::Nested) columns.push_back(i);
    }
    MemoryStream again(text);
    auto rows = JsonlRows::open(again, *facts, columns);
    if (!rows) return 0;
    std::vector<double> values(columns.size());
    std::uint64_t count = 0;
    while (true) {
        const auto more = rows->next(values);
        STARLING_CHECK(more.has_value());
        if (!*more) break;
        ++count;
    }
    STARLING_CHECK(count == facts->table.rows);
    STARLING_CHECK(rows->skipped() == facts->wrong.count);
    return 0;
}
