#include "compute/gpu/clblast_api.hpp"

#include <string>

#include "compute/gpu/named_library.hpp"

namespace starling::compute::gpu::clblast {

namespace {

struct Opened {
    Api api;
    std::string why;  ///< the library cannot be used; empty when it can
};

Opened open() {
    Opened opened;
    NamedLibrary library("libclblast.so.1", ": products by our own kernels (Debian: libclblast1)");
    library.take("CLBlastSgemm", opened.api.Sgemm);
    library.take("CLBlastSgemmStridedBatched", opened.api.SgemmStridedBatched);
    opened.why = library.why();
    return opened;
}

}  // namespace

Result<const Api*> api() {
    static const Opened opened = open();
    if (!opened.why.empty()) return fail(FaultCode::NotFound, opened.why);
    return &opened.api;
}

}  // namespace starling::compute::gpu::clblast
