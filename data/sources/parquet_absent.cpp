// parquet:FILE in a build without it.

#include "data/sources/sources.hpp"

namespace starling::data {

Result<SourcePointer> open_parquet(const Spec& spec, const ScanOptions& /*options*/) {
    return fail(
        FaultCode::Unsupported,
        "'" + spec.to_string() +
            "': this build does not read Parquet; build with -DSTARLING_PARQUET=ON (it wants "
            "libsnappy-dev and libzstd-dev)"
    );
}

}  // namespace starling::data
