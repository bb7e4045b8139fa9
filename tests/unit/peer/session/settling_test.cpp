// Goal: peers that settle agree, each with every other, after few exchanges, and wait for peers
// that still train. Method: real averagers and stores in virtual time; each frame takes 0.1 ms.

#include "peer/session/settling.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <tuple>

#include "peer/averaging/gossip_driver.hpp"
#include "tests/unit/compute/support/homes.hpp"

namespace starling::peer {
namespace {

constexpr double kTolerance = 1e-3;
constexpr Duration kPatience = std::chrono::seconds(20);
constexpr Duration kDelay = std::chrono::microseconds(100);
constexpr Duration kStep = std::chrono::microseconds(100);

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
    Peer(std::size_t number, gossip::Encoding encoding, const compute::HomeKind& home)
        : store(layout(), home.make(layout().elements())),
          vector(store),
          averager(config(encoding), id_of(number), LayoutHash{}, vector, Rng(number)),
          settling(averager, kTolerance) {
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
    StoreVector vector;
    gossip::Averager averager;
    std::size_t committed = 0;
    Settling settling;
};

class Swarm {
public:
    /// The parameters of every second peer lie in the other home.
    Swarm(
        std::size_t size,
        gossip::Encoding encoding,
        const compute::HomeKind& other = compute::kHostHome
    ) {
        for (std::size_t i = 0; i < size; ++i) {
            const auto& home = i % 2 == 0 ? other : compute::kHostHome;
            peers.push_back(std::make_unique<Peer>(i, encoding, home));
        }
        for (std::size_t i = 0; i < size; ++i) {
            for (std::size_t j = 0; j < size; ++j) {
                if (i != j) peers[i]->averager.peer_up(now, id_of(j));
            }
            update(i, false);
        }
    }

    void begin(std::size_t peer, gossip::Encoding encoding) {
        peers[peer]->settling.begin(now, encoding);
    }

    void begin_all(gossip::Encoding encoding) {
        for (std::size_t i = 0; i < peers.size(); ++i) begin(i, encoding);
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

    /// Runs until `done`, for at most twenty seconds of virtual time.
    void run_until(const std::function<bool()>& done) {
        const Instant end = now + kPatience;
        while (!done() && now < end) {
            if (mail.empty() || mail.begin()->first > now) {
                for (auto& peer : peers) turn(*peer);
            }
            drain();
            if (mail.empty() || mail.begin()->first > now) now += kStep;
            deliver();
            drain();
        }
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

    std::vector<std::unique_ptr<Peer>> peers;
    Instant now{std::chrono::seconds(100)};

private:
    struct Letter {
        std::size_t from = 0;
        std::size_t to = 0;
        Bytes frame;
    };

    void turn(Peer& peer) {
        peer.settling.handle_timeout(now);
        if (const auto due = peer.averager.poll_timeout(); due && *due <= now) {
            peer.averager.handle_timeout(now);
        }
    }

    void deliver() {
        while (!mail.empty() && mail.begin()->first <= now) {
            const auto letter = std::move(mail.begin()->second);
            mail.erase(mail.begin());
            ASSERT_TRUE(peers.at(letter.to)
                            ->averager.handle_frame(now, id_of(letter.from), letter.frame)
                            .has_value());
            drain();
        }
    }

    void drain() {
        for (std::size_t i = 0; i < peers.size(); ++i) {
            auto& peer = *peers[i];
            while (auto out = peer.averager.poll_transmit()) {
                mail.emplace(
                    now + kDelay,
                    Letter{i, std::size_t{out->to.bytes[0]} - 1, std::move(out->frame)}
                );
            }
            while (const auto event = peer.averager.poll_event()) {
                peer.committed += event->outcome == gossip::Outcome::Committed ? 1U : 0U;
                peer.settling.handle_exchange(now, *event);
            }
        }
    }

    std::multimap<Instant, Letter> mail;
};

class SettlingOf
    : public testing::TestWithParam<std::tuple<std::size_t, gossip::Encoding, compute::HomeKind>> {
};

TEST_P(SettlingOf, AllAgreeWithAllAfterFewExchanges) {
    const auto [size, encoding, home] = GetParam();
    Swarm swarm(size, encoding, home);
    swarm.begin_all(encoding);
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
        testing::Values(gossip::Encoding::F32, gossip::Encoding::Lattice8),
        testing::Values(compute::kHostHome)
    )
);

INSTANTIATE_TEST_SUITE_P(
    Homes,
    SettlingOf,
    testing::Combine(
        testing::Values<std::size_t>(2, 3),
        testing::Values(gossip::Encoding::F32, gossip::Encoding::Lattice8),
        testing::Values(compute::kFileHome)
    )
);

TEST(Settling, NobodyAgreesWhileSomebodyTrains) {
    Swarm swarm(2, gossip::Encoding::F32);
    swarm.update(0, true);
    swarm.begin_all(gossip::Encoding::F32);
    swarm.run_until([&] { return swarm.peers[1]->settling.agreed(); });
    EXPECT_FALSE(swarm.peers[0]->settling.agreed());
    swarm.update(0, false);
    swarm.run_until([&] { return swarm.agreed(); });
    EXPECT_TRUE(swarm.agreed());
}

TEST(Settling, APartnerThatMovesAwayMustAgreeAnew) {
    Swarm swarm(3, gossip::Encoding::F32);
    swarm.begin_all(gossip::Encoding::F32);
    swarm.run_until([&] { return swarm.agreed(); });
    ASSERT_TRUE(swarm.agreed());
    for (auto& peer : swarm.peers) peer->settling.stop();
    swarm.peers[1]->store.write_all(std::vector<float>(20000, 7.0F));
    // This peer asks; the others have stopped and only answer.
    swarm.begin(1, gossip::Encoding::F32);
    EXPECT_FALSE(swarm.peers[1]->settling.agreed());
    swarm.run_until([&] { return swarm.peers[1]->settling.agreed(); });
    EXPECT_LT(swarm.spread(), 2.0 * kTolerance);
}

TEST(Settling, AloneThereIsNobodyToAgreeWith) {
    Swarm swarm(1, gossip::Encoding::F32);
    swarm.begin(0, gossip::Encoding::F32);
    EXPECT_TRUE(swarm.peers[0]->settling.agreed());
}

}  // namespace
}  // namespace starling::peer
