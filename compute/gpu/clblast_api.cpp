#include "compute/gpu/clblast_api.hpp"

#include <dlfcn.h>
#include <string>
#include <type_traits>

namespace starling::compute::gpu::clblast {

namespace {

constexpr const char* kLibrary = "libclblast.so.1";

struct Opened {
    Api api;
    std::string why;  ///< the library cannot be used; empty when it can
};

Opened open() {
    Opened opened;
    void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        opened.why =
            std::string(kLibrary) + " not found: products by our own kernels (Debian: libclblast1)";
        return opened;
    }
    const auto take = [&](const char* name, auto& to) {
        void* symbol = ::dlsym(library, name);
        if (symbol == nullptr) opened.why = std::string(kLibrary) + " has no " + name;
        // POSIX wants this conversion to work; C++ only allows it conditionally.
        to = reinterpret_cast<std::remove_reference_t<decltype(to)>>(symbol);
    };
    take("CLBlastSgemm", opened.api.Sgemm);
    take("CLBlastSgemmStridedBatched", opened.api.SgemmStridedBatched);
    return opened;
}

}  // namespace

Result<const Api*> api() {
    static const Opened opened = open();
    if (!opened.why.empty()) return fail(FaultCode::NotFound, opened.why);
    return &opened.api;
}

}  // namespace starling::compute::gpu::clblast
