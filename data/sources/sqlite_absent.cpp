// sqlite:FILE in a build without it.

#include "data/sources/absent_table.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

Result<SourcePointer> open_sqlite(const Spec& spec, const ScanOptions& options) {
    const std::string what =
        "this build does not read SQLite; build with -DSTARLING_SQLITE=ON (it wants "
        "libsqlite3-dev)";
    return open_table(spec, options, std::make_unique<AbsentTable>(what, ",query,table"));
}

}  // namespace starling::data
