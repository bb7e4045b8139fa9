// Goal: `auto` takes the first graphics card that is free, has the memory and is faster than the CPU,
// and one sentence says why it is this one and none before it. Method: facts by hand.

#include "compute/training/device_choice.hpp"

#include <gtest/gtest.h>
#include <vector>

namespace starling::compute {
namespace {

Candidate card(const std::string& name, std::optional<double> seconds) {
    Candidate candidate;
    candidate.info.name = name;
    candidate.info.model = "Arc";
    candidate.info.kind = DeviceKind::Gpu;
    candidate.info.ready = true;
    candidate.fit = DeviceFit{64, 100, 50, 1000, 0, 64};
    candidate.step_seconds = seconds;
    return candidate;
}

HostFacts host(double seconds) {
    return {seconds, ""};
}

TEST(DeviceChoice, AFasterCardIsTakenWithBothTimes) {
    const std::vector<Candidate> cards{card("opencl:0", 0.005)};
    const auto choice = choose_device(cards, host(0.012), {});
    EXPECT_EQ(choice.device, "opencl:0");
    EXPECT_EQ(choice.why, "opencl:0 (Arc) made a step in 5.00 ms, the cpu in 12 ms");
    EXPECT_TRUE(choice.notable);
}

TEST(DeviceChoice, ASlowerOrEqualCardIsNot) {
    for (const double seconds : {0.031, 0.012}) {
        const std::vector<Candidate> cards{card("opencl:0", seconds)};
        const auto choice = choose_device(cards, host(0.012), {});
        EXPECT_EQ(choice.device, "cpu");
        EXPECT_TRUE(choice.notable);
        EXPECT_EQ(choice.why, objection(cards[0], host(0.012)));
    }
    EXPECT_EQ(
        objection(card("opencl:0", 0.031), host(0.012)),
        "opencl:0 (Arc) made a step in 31 ms, the cpu in 12 ms"
    );
}

TEST(DeviceChoice, TheFirstThatNothingSpeaksAgainstWinsAndTheOthersAreNamed) {
    auto processor = card("opencl:0", std::nullopt);
    processor.info.kind = DeviceKind::Cpu;
    auto broken = card("opencl:1", std::nullopt);
    broken.info.ready = false;
    broken.info.state = "its driver has no compiler";
    auto small = card("opencl:2", std::nullopt);
    small.fit = DeviceFit{4096, 3400000000, 1, 2100000000, 0, 2511};
    auto taken = card("opencl:3", std::nullopt);
    taken.taken_by = "process 12";
    auto unable = card("opencl:4", std::nullopt);
    unable.fault = "operator 'Sort' has no kernel";
    const std::vector<Candidate> cards{
        processor, broken, small, taken, unable, card("opencl:5", 1.5), card("opencl:6", 0.001)};
    const auto choice = choose_device(cards, host(2.25), {});
    EXPECT_EQ(choice.device, "opencl:5");
    EXPECT_EQ(
        choice.why,
        "opencl:0 (Arc) is no graphics card; opencl:1 (Arc): its driver has no compiler; "
        "opencl:2 (Arc) has 2.1 GB, and batches of 4096 need 3.4 GB there; the largest batch that "
        "fits is 2511; opencl:3 (Arc) is taken by process 12; opencl:4 (Arc) cannot: operator "
        "'Sort' has no kernel; opencl:5 (Arc) made a step in 1.50 s, the cpu in 2.25 s"
    );
}

TEST(DeviceChoice, ACardThatWasNotMeasuredIsNotTaken) {
    const std::vector<Candidate> cards{card("opencl:0", std::nullopt)};
    EXPECT_EQ(choose_device(cards, host(1.0), {}).device, "cpu");
}

TEST(DeviceChoice, WhatTheCpuCannotACardMay) {
    const std::vector<Candidate> cards{card("opencl:0", 8.0)};
    const auto choice = choose_device(cards, {std::nullopt, "no memory"}, {});
    EXPECT_EQ(choice.device, "opencl:0");
    EXPECT_EQ(choice.why, "opencl:0 (Arc) made a step in 8.00 s, the cpu cannot: no memory");
}

TEST(DeviceChoice, WithoutACardThereIsNothingToTellEverybody) {
    const auto choice = choose_device({}, {}, {"card", "this machine has no graphics card"});
    EXPECT_EQ(choice.device, "cpu");
    EXPECT_EQ(choice.why, "this machine has no graphics card");
    EXPECT_FALSE(choice.notable);
    const auto other = choose_device({}, {}, {"opencl", "no OpenCL driver is installed"});
    EXPECT_EQ(other.device, "cpu");
    EXPECT_EQ(other.why, "no OpenCL driver is installed");
    EXPECT_TRUE(other.notable) << "there is a card";
}

TEST(DeviceFit, LacksTheWholeOrOnePieceOrRoomForASingleSample) {
    DeviceFit fit{64, 100, 50, 100, 50, 64};
    EXPECT_TRUE(fit.fits());
    fit.piece_bytes_max = 0;
    EXPECT_TRUE(fit.fits());
    fit.have_bytes = 99;
    EXPECT_FALSE(fit.fits());
    fit.have_bytes = 5000000;
    fit.need_bytes = 4000000;
    fit.piece_bytes = 2000000;
    fit.piece_bytes_max = 1250000;
    fit.batch_max = 0;
    EXPECT_FALSE(fit.fits());
    EXPECT_EQ(
        describe_lack(fit),
        "has 1.2 MB in one piece, and batches of 64 need 2.0 MB there; not even one sample fits"
    );
}

}  // namespace
}  // namespace starling::compute
