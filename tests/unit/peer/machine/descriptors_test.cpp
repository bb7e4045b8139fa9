// Goal: a process may open as much as its user may, and when that runs short, streams stop before
// HTTP, and HTTP before files. Method: the limit of this process is lowered for the time of a test.

#include "peer/machine/descriptors.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <memory>
#include <sys/resource.h>
#include <vector>

#include "peer/machine/files.hpp"

namespace starling::peer {
namespace {

class Descriptors : public ::testing::Test {
protected:
    Descriptors() { EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0); }

    ~Descriptors() override { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }

    void allow(std::size_t limit) const {
        const rlimit low{limit, before_.rlim_max};
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    }

    rlimit before_{};
};

TEST_F(Descriptors, TheLimitRisesAsFarAsTheUserMay) {
    allow(100);
    const auto most = std::min<rlim_t>(before_.rlim_max, kDescriptorsMax);
    EXPECT_EQ(raise_descriptor_limit(), most);
    rlimit now{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &now), 0);
    EXPECT_EQ(now.rlim_cur, most);
    EXPECT_EQ(now.rlim_max, before_.rlim_max);
    EXPECT_EQ(raise_descriptor_limit(), most) << "again nothing changes";
}

TEST_F(Descriptors, AReserveIsKept) {
    for (const std::size_t limit : {0U, 1U, 8U, 24U, 64U, 1024U, 65536U}) {
        const auto streams = descriptors_below(limit, DescriptorUse::Stream);
        const auto http = descriptors_below(limit, DescriptorUse::Http);
        EXPECT_LE(streams, http) << limit;
        EXPECT_LE(http, limit) << limit;
        EXPECT_LE(limit - streams, 32U) << limit;
        if (limit >= 8) {
            EXPECT_LT(streams, http) << limit;
            EXPECT_LT(http, limit) << limit;
        }
    }
}

TEST_F(Descriptors, StreamsStopFirstThenHttpThenFiles) {
    allow(64);
    std::vector<std::unique_ptr<InputFile>> open;
    std::size_t streams = 0;
    std::size_t http = 0;
    std::size_t files = 0;
    while (true) {
        const bool stream_free = descriptor_free(DescriptorUse::Stream);
        const bool http_free = descriptor_free(DescriptorUse::Http);
        EXPECT_TRUE(http_free || !stream_free);
        auto file = real_disk().open("/proc/self/status", 1U << 20U);
        if (!file) break;
        ++(stream_free ? streams : http_free ? http : files);
        open.push_back(std::move(*file));
    }
    EXPECT_GT(streams, 0U);
    EXPECT_EQ(http, 8U);
    EXPECT_EQ(files, 8U);
}

}  // namespace
}  // namespace starling::peer
