// Goal: real data sets are read as Pillow, wave and numpy read them.
// Method: the shared data where they lie beside the repository; sums that Python computed over all of
// their files.

#include <array>
#include <gtest/gtest.h>

#include "data/archive/archive.hpp"
#include "data/media/audio.hpp"
#include "data/media/image.hpp"
#include "tests/unit/data/support/golden.hpp"
#include "tests/unit/data/support/shared_data.hpp"

namespace starling::data {
namespace {

/// Calls `take(name, content)` for each file of an archive. Returns how many there were.
template <class Take>
std::size_t for_each_file(const std::filesystem::path& path, Take take) {
    auto archive = Archive::open(path, {});
    STARLING_CHECK(archive.has_value());
    std::size_t count = 0;
    Bytes content;
    while (true) {
        const auto entry = archive->next();
        STARLING_CHECK(entry.has_value());
        if (!entry->has_value()) return count;
        if (!(*entry)->regular) continue;
        STARLING_CHECK(archive->read(content, std::uint64_t{16} << 20U).has_value());
        take((*entry)->name, content);
        ++count;
    }
}

TEST(SharedFiles, SpokenDigitsAreThoseOfWave) {
    const auto path = testing::shared_data("fsdd/fsdd.tar.gz");
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "there is no " << path;
    std::size_t clips = 0;
    std::uint64_t samples = 0;
    std::int64_t squares = 0;
    for_each_file(path, [&](const std::string& name, const Bytes& content) {
        if (!name.ends_with(".wav")) return;
        const auto clip = decode_audio(content, {});
        ASSERT_TRUE(clip.has_value()) << name << ": " << clip.error().message;
        ++clips;
        samples += clip->size();
        for (const float value : *clip) {
            const auto whole = static_cast<std::int64_t>(value * 32768);
            ASSERT_EQ(static_cast<float>(whole) / 32768, value);
            squares += whole * whole;
        }
    });
    EXPECT_EQ(clips, 3000U);
    EXPECT_EQ(samples, 10'498'424U);
    EXPECT_EQ(squares, 41'722'163'322'106);
}

TEST(SharedFiles, BloodCellsAreThoseOfPillow) {
    const auto path = testing::shared_data("bccd/bccd_trainval.tar.gz");
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "there is no " << path;
    std::size_t pictures = 0;
    std::array<std::uint64_t, 3> sums{};
    for_each_file(path, [&](const std::string& name, const Bytes& content) {
        if (!name.ends_with(".jpg")) return;
        const auto image = decode_image(content, {});
        ASSERT_TRUE(image.has_value()) << name << ": " << image.error().message;
        ASSERT_EQ(image->width, 640U);
        ASSERT_EQ(image->height, 480U);
        ASSERT_EQ(image->channels, 3U);
        ++pictures;
        for (std::size_t i = 0; i < image->values.size(); ++i) sums[i % 3] += image->values[i];
    });
    ASSERT_EQ(pictures, 292U);
    const double pixels = 292.0 * 640 * 480;
    EXPECT_NEAR(static_cast<double>(sums[0]) / pixels, 187.95507615, 0.01);
    EXPECT_NEAR(static_cast<double>(sums[1]) / pixels, 177.45134272, 0.01);
    EXPECT_NEAR(static_cast<double>(sums[2]) / pixels, 182.39303903, 0.01);
}

}  // namespace
}  // namespace starling::data
