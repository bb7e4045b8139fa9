// Goal: a newcomer finds a donor that lies, also one that answers questions truly, and believes honest donors
// whose parameters differ as those of peers that train do. Method: a fetch from donors with stores of their
// own, wired directly to it.

#include "peer/transfer/copy_check.hpp"

#include <array>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/rng.hpp"
#include "peer/transfer/state_donor.hpp"
#include "peer/transfer/state_fetch.hpp"
#include "peer/transfer/store_chunks.hpp"
#include "tests/unit/peer/transfer/support/wire.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kChunks = 20;
/// Donors have made so many steps, and as many more as their number says.
constexpr std::uint64_t kSteps = 5000;

compute::ParameterLayout layout_of(std::size_t chunks) {
    compute::ParameterInfo weights;
    weights.name = "w";
    weights.shape = {static_cast<std::int64_t>(chunks * compute::kChunkElements)};
    weights.init = compute::Init::UniformFanIn;
    return compute::ParameterLayout({weights});
}

struct Donor {
    compute::ParameterStore store{layout_of(kChunks)};
    StoreChunks chunks{store, 2};
    std::unique_ptr<StateDonor> machine;
};

class CopyCheckTest : public ::testing::Test {
protected:
    CopyCheckTest() { begin(7); }

    void begin(std::uint64_t salt) {
        fetch_.emplace(mine_chunks_, LayoutHash{}, salt, wire_.outbox(kSelf));
        donors_.clear();
        notes_.clear();
    }

    Donor& add(std::uint8_t n) {
        auto& donor = donors_[peer_id(n)];
        donor.chunks.initialize();
        donor.machine =
            std::make_unique<StateDonor>(donor.chunks, LayoutHash{}, wire_.outbox(peer_id(n)));
        return donor;
    }

    /// Changes all parameters of a donor.
    template <class Change>
    static void change(Donor& donor, const Change& change) {
        std::vector<float> values(donor.store.layout().elements());
        donor.store.read_all(values);
        for (auto& value : values) value = change(value);
        donor.store.write_all(values);
    }

    /// Runs the fetch; each frame takes a millisecond, so all donors give something.
    void run(Duration time = seconds(60)) {
        std::vector<PeerId> candidates;
        for (const auto& [id, donor] : donors_) candidates.push_back(id);
        const auto until = now_ + time;
        while (!fetch_->complete() && now_ < until) {
            now_ += milliseconds(1);
            fetch_->set_candidates(now_, candidates);
            if (const auto due = fetch_->timeout(); due && *due <= now_)
                fetch_->handle_timeout(now_);
            auto& box = wire_.outbox(kSelf);
            for (auto left = box.size(); left > 0; --left) {
                const auto frame = std::move(box.front());
                box.pop_front();
                ask(frame);
            }
            for (auto& [id, donor] : donors_) answer(id);
            while (auto note = fetch_->poll_note()) notes_.push_back(std::move(*note));
        }
    }

    void ask(const OutgoingFrame& frame) {
        if (gone_.contains(frame.to)) return;
        auto& donor = donors_.at(frame.to);
        if (frame.type == FrameType::StateInfoRequest) {
            donor.machine->handle_info_request(kSelf, true, kSteps + frame.to.bytes[0]);
            return;
        }
        const bool excerpt = frame.payload.size() == 12 && [&] {
            ByteReader reader(frame.payload);
            (void)reader.take<std::uint64_t>();
            return reader.take<std::uint32_t>() == CopyCheck::kExcerptBytes;
        }();
        excerpts_ += excerpt ? 1 : 0;
        // One that lies may tell the truth when it is questioned.
        if (excerpt && honest_when_asked_.contains(frame.to))
            change(donor, [](float v) { return -v; });
        donor.machine->handle_request(kSelf, frame.payload, false);
        if (excerpt && honest_when_asked_.contains(frame.to))
            change(donor, [](float v) { return -v; });
        if (excerpt && mute_.contains(frame.to)) wire_.outbox(frame.to).clear();
    }

    void answer(const PeerId& id) {
        auto& box = wire_.outbox(id);
        while (!box.empty()) {
            const auto frame = std::move(box.front());
            box.pop_front();
            if (frame.type == FrameType::StateInfo) fetch_->handle_info(now_, id, frame.payload);
            if (frame.type == FrameType::StateChunk) {
                given_[id] += frame.payload.size();
                fetch_->handle_chunk(now_, id, frame.payload);
            }
        }
    }

    /// Returns whether all that was fetched is what this donor has.
    [[nodiscard]] bool is_that_of(std::uint8_t n) {
        std::vector<float> mine(mine_.layout().elements());
        std::vector<float> theirs(mine.size());
        mine_.read_all(mine);
        donors_.at(peer_id(n)).store.read_all(theirs);
        return mine == theirs;
    }

    static inline const PeerId kSelf = peer_id(200);
    compute::ParameterStore mine_{layout_of(kChunks)};
    StoreChunks mine_chunks_{mine_, 1};
    Wire wire_;
    std::optional<StateFetch> fetch_;
    std::map<PeerId, Donor> donors_;
    std::map<PeerId, std::size_t> given_;
    std::set<PeerId> honest_when_asked_;
    std::set<PeerId> mute_;
    std::set<PeerId> gone_;
    std::vector<std::string> notes_;
    int excerpts_ = 0;
    Instant now_{seconds(100)};
};

TEST_F(CopyCheckTest, HonestDonorsAreComparedAndBelieved) {
    add(1);
    add(2);
    run();
    ASSERT_TRUE(fetch_->complete());
    EXPECT_TRUE(is_that_of(1));
    EXPECT_EQ(excerpts_, static_cast<int>(CopyCheck::kExcerpts));
    EXPECT_TRUE(notes_.empty());
    EXPECT_GT(given_[peer_id(1)], 1'000'000U);
    EXPECT_GT(given_[peer_id(2)], 1'000'000U);
}

TEST_F(CopyCheckTest, OneDonorAloneIsBelieved) {
    add(1);
    run();
    ASSERT_TRUE(fetch_->complete());
    EXPECT_EQ(excerpts_, 0);
}

TEST_F(CopyCheckTest, DonorsThatTrainDifferAndAreBelieved) {
    add(1);
    Rng rng(3);
    // Half as far apart as the norm is long would be too far; two tenths are much for a swarm.
    change(add(2), [&](float value) {
        return value * (1.0F + 0.2F * static_cast<float>(rng.normal()));
    });
    run();
    EXPECT_TRUE(fetch_->complete());
    EXPECT_TRUE(notes_.empty());
}

TEST_F(CopyCheckTest, AThirdDonorDecidesWhoLiesAndNothingOfTheLiarIsKept) {
    for (const std::uint8_t liar : std::array<std::uint8_t, 3>{1, 2, 3}) {
        SCOPED_TRACE(int{liar});
        begin(liar);
        for (const std::uint8_t n : std::array<std::uint8_t, 3>{1, 2, 3}) {
            auto& donor = add(n);
            if (n == liar) change(donor, [](float value) { return -value; });
        }
        run();
        ASSERT_TRUE(fetch_->complete());
        EXPECT_TRUE(is_that_of(liar == 1 ? 2 : 1));
        ASSERT_EQ(notes_.size(), 1U);
        const auto name = peer_id(liar).short_string();
        EXPECT_NE(notes_[0].find(name + " is not believed"), std::string::npos) << notes_[0];
        EXPECT_NE(notes_[0].find("200 % of their norm"), std::string::npos) << notes_[0];
        EXPECT_EQ(fetch_->schedule_step(), kSteps + (liar == 3 ? 2U : 3U))
            << "nor what it says of the schedule";
    }
}

TEST_F(CopyCheckTest, ALiarThatTellsTheTruthWhenQuestionedIsFoundByTheQuestionsToOthers) {
    for (const std::uint8_t n : std::array<std::uint8_t, 3>{1, 2, 3}) add(n);
    change(donors_[peer_id(2)], [](float value) { return -value; });
    honest_when_asked_.insert(peer_id(2));
    run();
    ASSERT_TRUE(fetch_->complete());
    EXPECT_TRUE(is_that_of(1));
    ASSERT_EQ(notes_.size(), 1U);
    EXPECT_NE(notes_[0].find(peer_id(2).short_string() + " is not believed"), std::string::npos);
}

TEST_F(CopyCheckTest, WithoutAThirdTheLowerIdIsTakenAndPeopleReadALine) {
    add(1);
    change(add(2), [](float value) { return -value; });
    run();
    ASSERT_TRUE(fetch_->complete());
    EXPECT_TRUE(is_that_of(1));
    ASSERT_EQ(notes_.size(), 1U);
    EXPECT_NE(
        notes_[0].find(
            "no third peer says which are right; taking those of " + peer_id(1).short_string()
        ),
        std::string::npos
    ) << notes_[0];
}

TEST_F(CopyCheckTest, WhoDoesNotAnswerQuestionsHoldsNobodyUp) {
    for (const std::uint8_t n : std::array<std::uint8_t, 2>{1, 2}) {
        add(n);
        mute_.insert(peer_id(n));
    }
    run();
    EXPECT_TRUE(fetch_->complete());
    EXPECT_TRUE(is_that_of(1));
}

TEST_F(CopyCheckTest, ASpreadThatIsLargeLetsDonorsDifferMore) {
    add(1);
    change(add(2), [](float value) { return 0.35F * value; });
    fetch_->set_spread(0.2);
    run();
    EXPECT_TRUE(fetch_->complete());
    EXPECT_TRUE(notes_.empty()) << "0.65 apart, and 4 times 0.2 are allowed";
}

TEST_F(CopyCheckTest, WithoutASpreadTheSameDistanceIsTooFar) {
    add(1);
    change(add(2), [](float value) { return 0.35F * value; });
    run();
    EXPECT_TRUE(fetch_->complete());
    ASSERT_EQ(notes_.size(), 1U);
    EXPECT_NE(notes_[0].find("65 % of their norm"), std::string::npos) << notes_[0];
}

TEST_F(CopyCheckTest, AYoungModelMayMoveByMore) {
    EXPECT_EQ(CopyCheck::bound(0.0, 10), CopyCheck::kFar);
    EXPECT_EQ(CopyCheck::bound(0.0, CopyCheck::kYoungSteps), CopyCheck::kNear);
    EXPECT_EQ(CopyCheck::bound(0.2, CopyCheck::kYoungSteps), 0.8);
}

TEST_F(CopyCheckTest, ASecondDonorThatComesLateIsAskedForWhatComesAfterIt) {
    add(1);
    run(milliseconds(2));
    ASSERT_FALSE(fetch_->complete());
    ASSERT_EQ(excerpts_, 0);
    now_ += seconds(4);
    change(add(2), [](float value) { return -value; });
    run();
    ASSERT_TRUE(fetch_->complete());
    EXPECT_GT(excerpts_, 0);
    EXPECT_EQ(notes_.size(), 1U);
    EXPECT_TRUE(is_that_of(1));
}

TEST_F(CopyCheckTest, NoSpreadExplainsZeros) {
    add(1);
    change(add(2), [](float) { return 0.0F; });
    fetch_->set_spread(100.0);
    run();
    ASSERT_TRUE(fetch_->complete());
    EXPECT_EQ(notes_.size(), 1U);
    EXPECT_TRUE(is_that_of(1));
}

}  // namespace
}  // namespace starling::peer
