// Goal: a peer dials whom it was told of until it knows them alive, tells people once why it cannot,
// and remembers where others live without growing for ever. Method: real streams on loopback, with
// tables that the tests fill; every wait has a deadline.

#include "peer/members/bootstrap.hpp"

#include <gtest/gtest.h>
#include <map>
#include <memory>

#include "peer/crypto/notary.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;

SwarmId swarm_id(std::uint8_t number) {
    SwarmId id;
    id.bytes[0] = number;
    return id;
}

PeerId peer_id(std::size_t number) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(number);
    id.bytes[1] = static_cast<std::uint8_t>(number >> 8U);
    return id;
}

/// A peer with streams and a membership table.
class Host final : private LinkHandler {
public:
    explicit Host(Loop& loop, const SwarmId& of = swarm_id(9)) : swarm(of), links(loop, *this) {
        address = *links.bind(Endpoint::v4(0x7f000001, 0));
    }

    void open() {
        Introduction introduction;
        introduction.ours.swarm = swarm;
        introduction.ours.address = address;
        introduction.notary = make_notary(identity);
        introduction.keys = keyed_channel({});
        links.open(std::move(introduction));
    }

    /// Makes the table when the address that others dial is known.
    membership::Swim& table() {
        if (!swim) {
            membership::SwimConfig config;
            config.swarm = swarm;
            swim.emplace(
                config,
                membership::Swim::Self{id(), address, 1, make_notary(identity), nullptr},
                Rng(1),
                Instant{}
            );
        }
        return *swim;
    }

    /// Learns what the other's table says.
    void hear(Host& other) {
        for (const auto& page : other.table().push_pull_pages()) {
            ASSERT_TRUE(table().handle_push_pull(Instant{}, page).has_value());
        }
    }

    [[nodiscard]] const PeerId& id() const { return identity.id; }

    void on_sent(FrameType, Bytes) override {}

    void on_broken(const PeerId&, const Fault&) override {}

    void on_lane_broken(const PeerId&, Lanes, const Fault&) override {}

    void on_descriptor_wanted(Connection&, std::size_t) override {}

    std::optional<Endpoint> address_of(const PeerId&) override { return std::nullopt; }

    Identity identity = ephemeral_identity();
    SwarmId swarm;
    Endpoint address;
    std::optional<membership::Swim> swim;
    Links links;
};

class BootstrapTest : public ::testing::Test, protected BootstrapHandler {
protected:
    BootstrapTest() { self_.open(); }

    const membership::Swim& table() const override { return self_.table(); }

    void on_greeted(const PeerId& peer) override { ++greeted_[peer]; }

    void on_unreachable(const std::string& line) override { notes_.push_back(line); }

    void on_other_swarm(const Endpoint& seed, const std::string& line) override {
        foreign_.push_back(seed);
        notes_.push_back(line);
    }

    /// Runs the loop until `done` is true. Returns false after ten seconds.
    bool run_until(const std::function<bool()>& done) {
        bool late = false;
        Timer deadline(loop_, [&late] { late = true; });
        deadline.arm_after(std::chrono::seconds(10));
        loop_.run_until([&] { return done() || late; });
        return !late;
    }

    /// Runs the loop for so long. All of its timers that are due earlier have fired then.
    void run_for(Duration time) {
        bool over = false;
        Timer timer(loop_, [&over] { over = true; });
        timer.arm_after(time);
        loop_.run_until([&over] { return over; });
    }

    Loop loop_;
    mutable Host self_{loop_};  // makes its table when it is asked for
    std::map<PeerId, int> greeted_;
    std::vector<std::string> notes_;
    std::vector<Endpoint> foreign_;
    Bootstrap bootstrap_{loop_, self_.links, *this};
};

TEST_F(BootstrapTest, EachSeedIsDialledAndWhoAnsweredIsRemembered) {
    Host one(loop_);
    Host two(loop_);
    one.open();
    two.open();
    bootstrap_.begin(self_.address, {}, {one.address, two.address, one.address});
    ASSERT_TRUE(run_until([&] { return greeted_.size() == 2; }));
    EXPECT_EQ(bootstrap_.hint_of(one.id()), one.address);
    EXPECT_EQ(bootstrap_.hint_of(two.id()), two.address);
    EXPECT_EQ(bootstrap_.hint_of(self_.id()), std::nullopt);
    EXPECT_EQ(self_.links.counters().dialled, 2U) << "an address that is given twice is one";
    EXPECT_TRUE(notes_.empty());
}

TEST_F(BootstrapTest, ASeedThatIsDownIsDialledUntilItIsUpAndNotedOnce) {
    Host late(loop_);
    late.links.unbind();
    bootstrap_.begin(self_.address, {}, {late.address});
    ASSERT_TRUE(run_until([&] { return notes_.size() == 1; }));
    EXPECT_NE(notes_[0].find(late.address.to_string()), std::string::npos) << notes_[0];
    ASSERT_TRUE(late.links.bind(late.address).has_value());
    late.open();
    ASSERT_TRUE(run_until([&] { return greeted_.contains(late.id()); }));
    EXPECT_EQ(notes_.size(), 1U);
    EXPECT_EQ(self_.links.counters().dial_failures, 1U);
}

TEST_F(BootstrapTest, ASeedThatStaysDownIsNotedOnce) {
    Host down(loop_);
    down.links.unbind();
    bootstrap_.begin(self_.address, {}, {down.address});
    ASSERT_TRUE(run_until([&] { return self_.links.counters().dial_failures == 2; }));
    EXPECT_EQ(notes_.size(), 1U);
}

TEST_F(BootstrapTest, NeitherItselfNorWhomItKnowsAliveIsDialled) {
    Host alive(loop_);
    Host stranger(loop_);
    alive.open();
    stranger.open();
    self_.hear(alive);
    bootstrap_.begin(self_.address, {}, {self_.address, alive.address, stranger.address});
    ASSERT_TRUE(run_until([&] { return greeted_.contains(stranger.id()); }));
    EXPECT_EQ(self_.links.counters().dialled, 1U);
}

TEST_F(BootstrapTest, AMemberThatHasLeftIsDialledAgain) {
    Host left(loop_);
    left.open();
    left.table().leave(Instant{});
    self_.hear(left);
    bootstrap_.begin(self_.address, {}, {left.address});
    ASSERT_TRUE(run_until([&] { return greeted_.contains(left.id()); }));
}

TEST_F(BootstrapTest, ASeedThatAdvertisesAnotherAddressIsNotDialledAgainWhileItLives) {
    Host seed(loop_);
    seed.open();
    const auto dialled = seed.address;
    seed.address.port = 1;  // for its table: what others dial
    bootstrap_.begin(self_.address, {}, {dialled});
    ASSERT_TRUE(run_until([&] { return greeted_.contains(seed.id()); }));
    self_.hear(seed);
    run_for(milliseconds(700));  // the second dial of a stranger comes after 625 ms at most
    EXPECT_EQ(self_.links.counters().dialled, 1U);
}

TEST_F(BootstrapTest, ASeedOfAnotherSwarmIsNoFriendAndIsNoted) {
    Host other(loop_, swarm_id(8));
    other.open();
    bootstrap_.begin(self_.address, {}, {other.address});
    ASSERT_TRUE(run_until([&] { return !notes_.empty(); }));
    EXPECT_TRUE(greeted_.empty());
    EXPECT_EQ(bootstrap_.hint_of(other.id()), std::nullopt);
    EXPECT_NE(notes_[0].find("swarm"), std::string::npos) << notes_[0];
    EXPECT_TRUE(foreign_.empty()) << "an address of the last life may belong to anybody now";
}

TEST_F(BootstrapTest, AnotherSwarmWhereTheUserHasNamedASeedIsToldOnce) {
    Host other(loop_, swarm_id(8));
    other.open();
    bootstrap_.begin(self_.address, {other.address.to_string()}, {other.address});
    ASSERT_TRUE(run_until([&] { return self_.links.counters().dialled >= 2; }));
    EXPECT_EQ(foreign_, std::vector<Endpoint>{other.address});
    ASSERT_EQ(notes_.size(), 1U);
    EXPECT_NE(notes_[0].find(swarm_id(8).short_string()), std::string::npos) << notes_[0];
    EXPECT_NE(notes_[0].find(swarm_id(9).short_string()), std::string::npos) << notes_[0];
}

TEST_F(BootstrapTest, WithCompanyASeedThatIsDownIsNotNoted) {
    Host alive(loop_);
    Host down(loop_);
    down.links.unbind();
    self_.hear(alive);
    bootstrap_.begin(self_.address, {}, {down.address});
    ASSERT_TRUE(run_until([&] { return self_.links.counters().dial_failures == 1; }));
    EXPECT_TRUE(notes_.empty());
}

TEST_F(BootstrapTest, NothingIsToldAfterStop) {
    Host seed(loop_);
    Host down(loop_);
    seed.open();
    down.links.unbind();
    bootstrap_.begin(self_.address, {}, {seed.address, down.address});
    bootstrap_.stop();
    ASSERT_TRUE(run_until([&] {
        return seed.links.counters().accepted == 1 && self_.links.counters().dial_failures == 1;
    }));
    run_for(milliseconds(50));
    EXPECT_TRUE(greeted_.empty());
    EXPECT_TRUE(notes_.empty());
}

TEST_F(BootstrapTest, NamesAreLookedUpAgainAndLiteralsAreNot) {
    Host named(loop_);
    Host literal(loop_);
    literal.open();
    named.open();
    const auto name = "localhost:" + std::to_string(named.address.port);
    Bootstrap often(loop_, self_.links, *this, milliseconds(10));
    often.begin(self_.address, {name, literal.address.to_string(), "no address"}, {});
    ASSERT_TRUE(run_until([&] { return greeted_.contains(named.id()); }));
    run_for(milliseconds(30));
    EXPECT_EQ(greeted_.size(), 1U);
    EXPECT_EQ(notes_.size(), 1U) << "what is no name is told once";
    often.stop();
}

TEST_F(BootstrapTest, OneAddressOfANameThatAnswersIsEnough) {
    Host down(loop_);
    Host up(loop_);
    down.links.unbind();
    up.open();
    bootstrap_.begin(self_.address, {}, {});
    bootstrap_.add_answers({down.address, up.address});
    ASSERT_TRUE(run_until([&] {
        return greeted_.contains(up.id()) && self_.links.counters().dial_failures == 2;
    }));
    EXPECT_TRUE(notes_.empty()) << notes_[0];
}

TEST_F(BootstrapTest, ANameOfWhichNoAddressAnswersIsToldOnce) {
    Host one(loop_);
    Host two(loop_);
    one.links.unbind();
    two.links.unbind();
    bootstrap_.begin(self_.address, {}, {});
    bootstrap_.add_answers({one.address, two.address});
    ASSERT_TRUE(run_until([&] { return self_.links.counters().dial_failures == 2; }));
    EXPECT_EQ(notes_.size(), 1U);
}

TEST_F(BootstrapTest, HintsAreBoundedAndTheOldestAreForgotten) {
    constexpr std::size_t kBound = 1024;
    const auto at = [](std::size_t n) {
        return Endpoint::v4(0x0a000000U, static_cast<std::uint16_t>(n));
    };
    for (std::size_t n = 1; n <= 3 * kBound; ++n) bootstrap_.hint(peer_id(n), at(n));
    std::size_t known = 0;
    for (std::size_t n = 1; n <= 3 * kBound; ++n) known += bootstrap_.hint_of(peer_id(n)) ? 1U : 0U;
    EXPECT_EQ(known, kBound);
    for (std::size_t n = 2 * kBound + 1; n <= 3 * kBound; ++n) {
        ASSERT_EQ(bootstrap_.hint_of(peer_id(n)), at(n)) << "one of the newest";
    }
    bootstrap_.hint(peer_id(3 * kBound), at(5));
    EXPECT_EQ(bootstrap_.hint_of(peer_id(3 * kBound)), at(5)) << "the newest address of a peer";
    EXPECT_EQ(bootstrap_.hint_of(peer_id(2 * kBound + 1)), at(2 * kBound + 1));
}

}  // namespace
}  // namespace starling::peer
