// Goal: peers that settle agree, each with every other, after few exchanges, and wait for peers
// that still train. Method: real drivers and stores on one loop, and frames handed over in memory;
// the tests wait for outcomes, and a clock only ends a test that would hang.

#include "peer/averaging/settling.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <memory>
#include <tuple>

#include "peer/machine/clock.hpp"

namespace starling::peer {
namespace {

constexpr double kTolerance = 1e-3;
constexpr Duration kPatience = std::chrono::seconds(20);

PeerId id_of(std::size_t number) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(number + 1);
    return id;
}

compute::ParameterLayout layout() {
    compute::ParameterInfo info;
    info.name = "weights";
    info.shape = {20000};
    return compute::ParameterLayout({info});
}

gossip::AveragerConfig config(gossip::Encoding encoding) {
    gossip::AveragerConfig config;
    config.encoding = encoding;
    return config;
}

struct Peer {
    Peer(
        Loop& loop,
        std::size_t number,
        gossip::Encoding encoding,
        std::function<void(gossip::Outgoing)> send
    )
        : store(layout()),
          gossip(
              loop,
              config(encoding),
              id_of(number),
              LayoutHash{},
              store,
              Rng(number),
              {std::move(send),
               [this](const gossip::ExchangeEvent& event) {
                   committed += event.outcome == gossip::Outcome::Committed ? 1 : 0;
                   settling.on_exchange(event);
               }}
          ),
          settling(loop, gossip, kTolerance) {
        Rng rng(number + 100);
        std::vector<float> values(store.layout().elements());
        for (auto& value : values) value = static_cast<float>(1.0 + 0.2 * rng.normal());
        store.write_all(values);
    }

    [[nodiscard]] std::vector<float> values() {
        std::vector<float> values(store.layout().elements());
        store.read_all(values);
        return values;
    }

    compute::ParameterStore store;
    std::size_t committed = 0;
    GossipDriver gossip;
    Settling settling;
};

class Swarm {
public:
    Swarm(std::size_t size, gossip::Encoding encoding) {
        for (std::size_t i = 0; i < size; ++i) {
            peers.push_back(std::make_unique<Peer>(loop, i, encoding, [this, i](auto outgoing) {
                loop.post([this, i, outgoing = std::move(outgoing)] {
                    peers[outgoing.to.bytes[0] - 1U]->gossip.handle_frame(id_of(i), outgoing.frame);
                });
            }));
        }
        for (std::size_t i = 0; i < size; ++i) {
            for (std::size_t j = 0; j < size; ++j) {
                if (i != j) peers[i]->gossip.peer_up(id_of(j));
            }
            update(i, false);
        }
    }

    void update(std::size_t peer, bool others_train) {
        std::vector<PeerId> partners;
        for (std::size_t j = 0; j < peers.size(); ++j) {
            if (j != peer) partners.push_back(id_of(j));
        }
        peers[peer]->settling.update(partners, others_train);
    }

    [[nodiscard]] bool agreed() const {
        return std::all_of(peers.begin(), peers.end(), [](const auto& peer) {
            return peer->settling.agreed();
        });
    }

    void run_until(const std::function<bool()>& done) {
        const Instant end = real_now() + kPatience;
        Timer watchdog(loop, [] {});
        watchdog.arm(end);
        loop.run_until([&] { return done() || real_now() >= end; });
    }

    [[nodiscard]] std::size_t committed() const {
        std::size_t all = 0;
        for (const auto& peer : peers) all += peer->committed;
        return all / 2;  // each exchange counts at both peers
    }

    /// Returns the largest distance between two peers, relative to the first.
    [[nodiscard]] double spread() {
        double largest = 0.0;
        for (auto& one : peers) {
            for (auto& other : peers) {
                const auto x = one->values();
                const auto y = other->values();
                double distance = 0.0;
                double norm = 0.0;
                for (std::size_t i = 0; i < x.size(); ++i) {
                    distance += std::pow(double{x[i]} - double{y[i]}, 2);
                    norm += std::pow(double{x[i]}, 2);
                }
                largest = std::max(largest, std::sqrt(distance / norm));
            }
        }
        return largest;
    }

    Loop loop;
    std::vector<std::unique_ptr<Peer>> peers;
};

class SettlingOf : public testing::TestWithParam<std::tuple<std::size_t, gossip::Encoding>> {};

TEST_P(SettlingOf, AllAgreeWithAllAfterFewExchanges) {
    const auto [size, encoding] = GetParam();
    Swarm swarm(size, encoding);
    for (auto& peer : swarm.peers) peer->settling.begin(encoding);
    swarm.run_until([&] { return swarm.agreed(); });
    ASSERT_TRUE(swarm.agreed());
    // A peer has asked at most eight others, and these have moved a little since.
    EXPECT_LT(swarm.spread(), 2.0 * kTolerance);
    // With random pairs that all exchange at once, each peer needs some fourteen exchanges to come
    // near enough, and eight to see it.
    EXPECT_LE(swarm.committed(), 20 * size);
}

INSTANTIATE_TEST_SUITE_P(
    Sizes,
    SettlingOf,
    testing::Combine(
        testing::Values<std::size_t>(2, 3, 4, 7, 12),
        testing::Values(gossip::Encoding::F32, gossip::Encoding::Lattice8)
    )
);

TEST(Settling, NobodyAgreesWhileSomebodyTrains) {
    Swarm swarm(2, gossip::Encoding::F32);
    swarm.update(0, true);
    for (auto& peer : swarm.peers) peer->settling.begin(gossip::Encoding::F32);
    swarm.run_until([&] { return swarm.peers[1]->settling.agreed(); });
    EXPECT_FALSE(swarm.peers[0]->settling.agreed());
    swarm.update(0, false);
    swarm.run_until([&] { return swarm.agreed(); });
    EXPECT_TRUE(swarm.agreed());
}

TEST(Settling, APartnerThatMovesAwayMustAgreeAnew) {
    Swarm swarm(3, gossip::Encoding::F32);
    for (auto& peer : swarm.peers) peer->settling.begin(gossip::Encoding::F32);
    swarm.run_until([&] { return swarm.agreed(); });
    ASSERT_TRUE(swarm.agreed());
    for (auto& peer : swarm.peers) peer->settling.stop();
    swarm.peers[1]->store.write_all(std::vector<float>(20000, 7.0F));
    // This peer asks; the others have stopped and only answer.
    swarm.peers[1]->settling.begin(gossip::Encoding::F32);
    EXPECT_FALSE(swarm.peers[1]->settling.agreed());
    swarm.run_until([&] { return swarm.peers[1]->settling.agreed(); });
    EXPECT_LT(swarm.spread(), 2.0 * kTolerance);
}

TEST(Settling, AloneThereIsNobodyToAgreeWith) {
    Swarm swarm(1, gossip::Encoding::F32);
    swarm.peers[0]->settling.begin(gossip::Encoding::F32);
    EXPECT_TRUE(swarm.peers[0]->settling.agreed());
}

}  // namespace
}  // namespace starling::peer
