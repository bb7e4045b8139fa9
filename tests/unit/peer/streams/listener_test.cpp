// Goal: a listener that cannot go on ends the loop instead of leaving a peer that nobody can reach.
// Method: what takes its streams throws.

#include "peer/streams/listener.hpp"

#include <gtest/gtest.h>
#include <new>

#include "peer/machine/loop.hpp"
#include "peer/streams/dial.hpp"
#include "tests/support/introductions.hpp"

namespace starling::peer {
namespace {

/// Finds no memory for what was accepted.
class Full final : public ListenerHandler {
public:
    void on_accepted(ConnectionPtr /*connection*/) override { throw std::bad_alloc(); }

    void on_hello(Connection& /*connection*/) override {}

    void on_greeted(Connection& /*connection*/) override {}

    void on_frame(Connection& /*from*/, FrameType /*type*/, ByteView /*payload*/) override {}

    void on_sent(Connection& /*by*/, FrameType /*type*/, Bytes /*payload*/) override {}

    void on_closed(Connection& /*connection*/, const Fault& /*why*/) override {}
};

TEST(Listener, AnExceptionWhileItAcceptsEndsTheLoop) {
    Loop loop;
    Full full;
    Listener listener(loop, full);
    const auto bound = listener.bind(Endpoint::v4(0x7f000001, 0));
    ASSERT_TRUE(bound.has_value()) << bound.error().message;
    listener.accept();
    const auto end = dial(loop, *bound, std::chrono::seconds(10), full, [](auto dialled) {
        // The first bytes of a stream: nobody is let in without.
        if (dialled) (*dialled)->start(new_introduction(0), std::chrono::seconds(10));
    });
    Timer late(loop, [&loop] { loop.stop(); });
    late.arm_after(std::chrono::seconds(10));
    try {
        loop.run();
        ADD_FAILURE() << "the loop went on";
    } catch (const std::bad_alloc&) {
    }
}

}  // namespace
}  // namespace starling::peer
