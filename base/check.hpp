#pragma once

// Assertions about our own logic. STARLING_CHECK stays on in every build: a peer that has lost its
// invariants must stop rather than gossip nonsense. STARLING_DCHECK is for numeric inner loops
// only.

#include <string_view>
#include <thread>

namespace starling {

/// A line of our source. We cannot use std::source_location: clang 14 does not read libstdc++'s.
struct SourceLine {
    const char* file = nullptr;
    const char* function = nullptr;
    int line = 0;

    /// Returns the line of the caller when a function has this call as a default argument.
    static constexpr SourceLine current(
        const char* file = __builtin_FILE(),
        const char* function = __builtin_FUNCTION(),
        int line = __builtin_LINE()
    ) {
        return {file, function, line};
    }
};

/// Prints the failed condition and its place on stderr, and aborts the process.
[[noreturn]] void check_failed(std::string_view condition, SourceLine at = SourceLine::current());

/// Remembers the thread that first called check(), and fails a CHECK when another thread calls it.
/// Thread    the owner; `release` lets another thread become the owner while nobody uses the object
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
