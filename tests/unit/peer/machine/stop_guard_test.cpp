// Goal: a child that was stopped goes on when the guard's owner is gone, and not before. Method: a child
// process that does nothing; the kernel says whether it is stopped.

#include "peer/machine/stop_guard.hpp"

#include <csignal>
#include <gtest/gtest.h>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

namespace starling::peer {
namespace {

class Child {
public:
    Child() : pid_(::fork()) {
        if (pid_ == 0) {
            for (;;) ::pause();
        }
    }

    ~Child() {
        (void)::kill(pid_, SIGKILL);
        (void)::waitpid(pid_, nullptr, 0);
    }

    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    [[nodiscard]] int pid() const { return pid_; }

    /// Blocks until the kernel reports a change of this kind.
    [[nodiscard]] bool waits_for(int kind) const {
        int status = 0;
        if (::waitpid(pid_, &status, kind) != pid_) return false;
        return kind == WUNTRACED ? WIFSTOPPED(status) : WIFCONTINUED(status);
    }

    [[nodiscard]] bool continued_by_now() const {
        int status = 0;
        return ::waitpid(pid_, &status, WCONTINUED | WNOHANG) == pid_ && WIFCONTINUED(status);
    }

private:
    int pid_;
};

TEST(StopGuard, ContinuesTheStoppedChildrenAtTheEndAndOnlyThen) {
    const Child one;
    const Child two;
    auto started = StopGuard::start();
    ASSERT_TRUE(started.has_value()) << started.error().message;
    std::optional<StopGuard> guard(*std::move(started));
    for (const auto* child : {&one, &two, &one})
        ASSERT_TRUE(guard->watch(child->pid()).has_value());
    for (const auto* child : {&one, &two}) {
        ASSERT_EQ(::kill(child->pid(), SIGSTOP), 0);
        ASSERT_TRUE(child->waits_for(WUNTRACED));
        EXPECT_FALSE(child->continued_by_now());
    }
    guard.reset();
    EXPECT_TRUE(one.waits_for(WCONTINUED));
    EXPECT_TRUE(two.waits_for(WCONTINUED));
}

}  // namespace
}  // namespace starling::peer
