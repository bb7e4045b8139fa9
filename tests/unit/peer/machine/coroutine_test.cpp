// Goal: a coroutine that ends by an exception is noticed by whoever knows what that means. Method:
// coroutines that throw, before and after they have waited.

#include "peer/machine/coroutine.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>
#include <new>
#include <vector>

namespace starling::peer {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> end_well() {
    co_return;
}

asio::awaitable<void> run_out_of_memory(bool later) {
    if (later) {
        asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::nanoseconds(0));
        co_await timer.async_wait(asio::use_awaitable);
    }
    throw std::bad_alloc();
}

asio::awaitable<void> throw_a_number() {
    throw 7;
    co_return;
}

class Coroutines : public ::testing::Test {
protected:
    void start(asio::awaitable<void> work) {
        spawn(io_.get_executor(), std::move(work), "a test", [this](const std::string& line) {
            lines_.push_back(line);
        });
    }

    asio::io_context io_{1};
    std::vector<std::string> lines_;
};

TEST_F(Coroutines, OneThatEndsByAnExceptionIsToldByItsName) {
    start(run_out_of_memory(false));
    start(run_out_of_memory(true));
    start(throw_a_number());
    io_.run();
    EXPECT_EQ(
        lines_,
        (std::vector<std::string>{
            "a test has failed: std::bad_alloc",
            "a test has failed",
            "a test has failed: std::bad_alloc"})
    );
}

TEST_F(Coroutines, OneThatReturnsIsNotToldAtAll) {
    start(end_well());
    spawn_vital(io_.get_executor(), end_well(), "a test");
    io_.run();
    EXPECT_TRUE(lines_.empty());
}

TEST_F(Coroutines, AVitalOneEndsTheLoop) {
    for (const bool later : {false, true}) {
        asio::io_context io(1);
        spawn_vital(io.get_executor(), run_out_of_memory(later), "accepting");
        try {
            io.run();
            ADD_FAILURE() << "the loop went on";
        } catch (const std::runtime_error& error) {
            EXPECT_STREQ(error.what(), "accepting has failed: std::bad_alloc");
        }
    }
}

TEST_F(Coroutines, OneThatIsNeverRunIsDroppedInSilence) {
    {
        asio::io_context io(1);
        spawn_vital(io.get_executor(), run_out_of_memory(true), "a test");
    }
    EXPECT_TRUE(lines_.empty());
}

}  // namespace
}  // namespace starling::peer
