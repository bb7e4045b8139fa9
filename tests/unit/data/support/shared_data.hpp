#pragma once

// The real data sets that some tests read where they find them beside the source tree.

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>

namespace starling::data::testing {

/// Returns the path of a file of the shared data; it need not exist.
inline std::filesystem::path shared_data(const char* name) {
    for (const auto* root : {"../shared/data", "../../shared/data"}) {
        const auto path = std::filesystem::path(STARLING_SOURCE_DIR) / root / name;
        if (std::filesystem::exists(path)) return path;
    }
    const char* given =
        std::getenv("STARLING_SHARED_DATA");  // NOLINT(concurrency-mt-unsafe) one thread
    return std::filesystem::path(given == nullptr ? "shared-data" : given) / name;
}

}  // namespace starling::data::testing

/// Skips the running test where a file of the shared data is absent.
#define STARLING_NEEDS_SHARED(path)                                                        \
    if (!std::filesystem::exists(path)) {                                                  \
        GTEST_SKIP() << (path).string() << " is absent; point STARLING_SHARED_DATA at it"; \
    }                                                                                      \
    static_assert(true)
