// Goal: no file harms the reader of tables, and what was scanned can be read.
// Method: libFuzzer mutates small tables; each is scanned as it stands and with a separator and a
// header that its first byte chooses; then all its rows are read.

#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "data/tables/csv.hpp"

namespace starling::data {
namespace {

void read(std::string_view text, const CsvOptions& options) {
    MemoryStream stream(text);
    const auto facts = scan_csv(stream, options);
    if (!facts) return;
    std::vector<std::size_t> columns(facts->table.columns.size());
    for (std::size_t i = 0; i < columns.size(); ++i) columns[i] = i;
    for (const auto& column : facts->table.columns) {
        STARLING_CHECK(column.count + column.missing == facts->table.rows);
        STARLING_CHECK(column.min <= column.max && column.deviation >= 0);
    }
    MemoryStream again(text);
    auto rows = CsvRows::open(again, *facts, columns);
    if (!rows) return;
    std::vector<double> values(columns.size());
    std::uint64_t count = 0;
    while (true) {
        const auto more = rows->next(values);
        STARLING_CHECK(more.has_value());
        if (!*more) break;
        ++count;
    }
    STARLING_CHECK(count == facts->table.rows);
}

}  // namespace
}  // namespace starling::data

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace starling::data;  // NOLINT(google-build-using-namespace) one function
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    read(text, {});
    if (size == 0) return 0;
    CsvOptions options;
    options.separator = ",;\t|"[data[0] % 4];
    options.header = data[0] % 8 < 4;
    options.table.categories = {"column 1"};
    read(text.substr(1), options);
    return 0;
}
