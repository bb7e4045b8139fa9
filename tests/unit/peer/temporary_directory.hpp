#pragma once

// A fresh directory for one test, removed with everything in it at the end of the scope.

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "base/check.hpp"

namespace starling::peer::testing {

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "starling-XXXXXX").string();
        STARLING_CHECK(mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }

    ~TemporaryDirectory() {
        std::error_code ignored;  // a leftover in the temporary directory fails no test
        std::filesystem::remove_all(path_, ignored);
    }

    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace starling::peer::testing
