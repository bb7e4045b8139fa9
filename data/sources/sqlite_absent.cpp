// sqlite:FILE in a build without it.

#include "data/sources/sources.hpp"

namespace starling::data {

Result<SourcePointer> open_sqlite(const Spec& spec, const ScanOptions& /*options*/) {
    return fail(
        FaultCode::Unsupported,
        "'" + spec.to_string() +
            "': this build does not read SQLite; build with -DSTARLING_SQLITE=ON (it wants "
            "libsqlite3-dev)"
    );
}

}  // namespace starling::data
