// sqlite:FILE in a build without it.

#include "data/sources/absent_table.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

Result<std::unique_ptr<TableFormat>> sqlite_format(const Spec& /*spec*/) {
    const std::string what =
        "this build does not read SQLite; build with -DSTARLING_SQLITE=ON (it wants "
        "libsqlite3-dev)";
    return std::unique_ptr<TableFormat>(std::make_unique<AbsentTable>(what, ",query,table"));
}

Result<SourcePointer> open_sqlite(const Spec& spec, const ScanOptions& options) {
    auto format = sqlite_format(spec);
    if (!format) return format.error();
    return open_table(spec, options, std::move(*format));
}

}  // namespace starling::data
