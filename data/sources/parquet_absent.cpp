// parquet:FILE in a build without it.

#include "data/sources/absent_table.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

Result<SourcePointer> open_parquet(const Spec& spec, const ScanOptions& options) {
    const std::string what =
        "this build does not read Parquet; build with -DSTARLING_PARQUET=ON (it wants "
        "libsnappy-dev and libzstd-dev)";
    return open_table(spec, options, std::make_unique<AbsentTable>(what));
}

}  // namespace starling::data
