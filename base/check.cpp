#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace starling {

void check_failed(std::string_view condition, SourceLine at) {
    std::fprintf(
        stderr,
        "starling: CHECK failed: %.*s at %s:%d in %s\n",
        static_cast<int>(condition.size()),
        condition.data(),
        at.file,
        at.line,
        at.function
    );
    std::abort();
}

void ThreadOwner::check() const {
    const auto self = std::this_thread::get_id();
    if (owner_ == std::thread::id{}) owner_ = self;
    STARLING_CHECK(owner_ == self);
}

}  // namespace starling
