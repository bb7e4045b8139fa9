#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace starling {

void check_failed(std::string_view condition, const std::source_location& at) {
    std::fprintf(
        stderr,
        "starling: CHECK failed: %.*s at %s:%u in %s\n",
        static_cast<int>(condition.size()),
        condition.data(),
        at.file_name(),
        at.line(),
        at.function_name()
    );
    std::abort();
}

void ThreadOwner::check() const {
    const auto self = std::this_thread::get_id();
    if (owner_ == std::thread::id{}) owner_ = self;
    STARLING_CHECK(owner_ == self);
}

}  // namespace starling
