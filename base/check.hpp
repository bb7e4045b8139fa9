#pragma once

// Assertions about our own logic. STARLING_CHECK stays on in every build: a peer that has lost its
// invariants must stop rather than gossip nonsense. STARLING_DCHECK is for numeric inner loops
// only.

#include <source_location>
#include <string_view>
#include <thread>

namespace starling {

/// Prints the failed condition with its place on stderr and aborts.
[[noreturn]] void check_failed(
    std::string_view condition, const std::source_location& at = std::source_location::current()
);

/// Remembers the thread that first used an object and CHECKs that it is always the same one.
/// Thread    the owner; `release` hands the object over while nobody uses it
class ThreadOwner {
public:
    void check() const;

    void release() { owner_ = {}; }

private:
    mutable std::thread::id owner_;
};

}  // namespace starling

#define STARLING_CHECK(condition)                 \
    do {                                          \
        if (!(condition)) [[unlikely]]            \
            ::starling::check_failed(#condition); \
    } while (false)

#ifdef NDEBUG
#define STARLING_DCHECK(condition) \
    do {                           \
    } while (false)
#else
#define STARLING_DCHECK(condition) STARLING_CHECK(condition)
#endif

#define STARLING_UNREACHABLE(why) ::starling::check_failed("unreachable: " why)
