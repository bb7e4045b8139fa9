// parquet:FILE in a build without it.

#include "data/sources/absent_table.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

std::unique_ptr<TableFormat> parquet_format() {
    const std::string what =
        "this build does not read Parquet; build with -DSTARLING_PARQUET=ON (it wants "
        "libsnappy-dev and libzstd-dev)";
    return std::make_unique<AbsentTable>(what);
}

Result<SourcePointer> open_parquet(const Spec& spec, const ScanOptions& options) {
    return open_table(spec, options, parquet_format());
}

}  // namespace starling::data
