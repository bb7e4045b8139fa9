// Goal: a quiet swarm allocates nothing, whatever it sends and hears. Method: two machines that
// probe each other under a counting allocator, after a while in which their memory grew.

#include <atomic>
#include <cstdlib>
#include <gtest/gtest.h>
#include <new>

#include "tests/unit/membership/support/samples.hpp"

namespace {

std::atomic<std::uint64_t> allocations{0};

}  // namespace

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}

void operator delete(void* memory, std::size_t /*size*/) noexcept {
    std::free(memory);
}

namespace starling::membership {
namespace {

using std::chrono::minutes;

struct Pair {
    Instant now{};
    Swim a = make(1);
    Swim b = make(2);

    Swim make(std::uint8_t number) const {
        SwimConfig config;
        config.swarm = sample_swarm();
        // Full exchanges are rare and make pages; here it is about datagrams.
        config.push_pull_interval = Duration::zero();
        return {config, self_of(peer(number), address_of(number), 1), Rng(number), now};
    }

    void deliver(Swim& from, Swim& to, std::uint8_t sender) const {
        while (auto datagram = from.poll_transmit()) {
            to.handle_datagram(now, address_of(sender), datagram->bytes);
            from.recycle(std::move(datagram->bytes));
        }
        while (from.poll_event()) continue;
    }

    void run(Duration span) {
        const Instant end = now + span;
        while (now < end) {
            now = std::min({end, a.poll_timeout().value_or(end), b.poll_timeout().value_or(end)});
            a.handle_timeout(now);
            b.handle_timeout(now);
            for (int i = 0; i < 4; ++i) {
                deliver(a, b, 1);
                deliver(b, a, 2);
            }
        }
    }
};

TEST(Allocation, ProbesAndAcksNeedNone) {
    Pair pair;
    for (const auto& page : pair.a.push_pull_pages()) {
        ASSERT_TRUE(pair.b.handle_push_pull(pair.now, page));
    }
    pair.run(minutes(2));
    ASSERT_EQ(pair.a.alive_count(), 2U);
    const auto sent_before = pair.a.counters().datagrams_sent;
    const auto before = allocations.load();
    pair.run(minutes(10));
    EXPECT_GT(pair.a.counters().datagrams_sent, sent_before + 1000);
    EXPECT_EQ(allocations.load(), before);
}

}  // namespace
}  // namespace starling::membership
