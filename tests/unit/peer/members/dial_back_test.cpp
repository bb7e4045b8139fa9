// Goal: a peer learns from others whether they can dial it, and says so once. Method: two peers with
// real streams on loopback; one announces an address where it lives, or one where nobody does.

#include "peer/members/dial_back.hpp"

#include <gtest/gtest.h>

#include "tests/support/introductions.hpp"

namespace starling::peer {
namespace {

class Host final : private LinkHandler {
public:
    explicit Host(Loop& loop)
        : links(loop, *this),
          dial_back(loop, links, [this](const std::string& line) { notes.push_back(line); }) {
        address = *links.bind(Endpoint::v4(0x7f000001, 0));
    }

    void open(const Endpoint& announced) {
        auto introduction = new_introduction(9);
        introduction.ours.address = announced;
        dial_back.begin(introduction.ours.id, announced);
        links.open(std::move(introduction));
    }

    void meet(const Host& other) {
        links.introduce(other.address, [this](const Result<PeerId>& greeted) {
            ASSERT_TRUE(greeted.has_value()) << greeted.error().message;
            dial_back.on_greeted(*greeted);
        });
    }

    Endpoint address;
    Links links;
    std::vector<std::string> notes;
    DialBack dial_back;

private:
    void on_sent(FrameType, Bytes) override {}

    void on_broken(const PeerId&, const Fault&) override {}

    void on_lane_broken(const PeerId&, Lanes, const Fault&) override {}

    void on_descriptor_wanted(Connection&, std::size_t) override {}

    std::optional<Endpoint> address_of(const PeerId&) override { return std::nullopt; }
};

class DialBacks : public ::testing::Test {
protected:
    bool run_until(const std::function<bool()>& done) {
        bool late = false;
        Timer deadline(loop_, [&late] { late = true; });
        deadline.arm_after(std::chrono::seconds(10));
        loop_.run_until([&] { return done() || late; });
        return !late;
    }

    Loop loop_;
    Host seed_{loop_};
    Host joiner_{loop_};
};

TEST_F(DialBacks, APeerThatLivesWhereItSaysIsReached) {
    seed_.open(seed_.address);
    joiner_.open(joiner_.address);
    EXPECT_EQ(joiner_.dial_back.reach(), Reach::Unknown);
    joiner_.meet(seed_);
    ASSERT_TRUE(run_until([&] { return joiner_.dial_back.reach() == Reach::Reached; }));
    EXPECT_TRUE(joiner_.notes.empty());
}

TEST_F(DialBacks, APeerThatAnnouncesAnAddressOfNobodyOrOfAnotherSaysSoOnce) {
    seed_.open(seed_.address);
    Host other(loop_);
    other.open(other.address);
    joiner_.open(other.address);
    joiner_.meet(seed_);
    ASSERT_TRUE(run_until([&] { return joiner_.dial_back.reach() == Reach::NotReached; }));
    ASSERT_EQ(joiner_.notes.size(), 1U);
    EXPECT_NE(joiner_.notes[0].find(other.address.to_string()), std::string::npos);
    EXPECT_NE(joiner_.notes[0].find("--advertise"), std::string::npos);
    Host closed(loop_);
    closed.links.unbind();
    Host second(loop_);
    second.open(closed.address);
    second.meet(seed_);
    EXPECT_TRUE(run_until([&] { return second.dial_back.reach() == Reach::NotReached; }));
}

}  // namespace
}  // namespace starling::peer
