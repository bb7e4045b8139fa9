// Goal: a reader never reads past the end of bytes that others have sent. Method: cut a valid
// message at every length, and check that the reader notices it.

#include "base/bytes.hpp"

#include <gtest/gtest.h>
#include <istream>

namespace starling {
namespace {

Bytes sample_message() {
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.put(std::uint32_t{0xdeadbeef});
    writer.put(2.5);
    writer.put_text("starling");
    writer.put_array(std::array<std::uint8_t, 3>{1, 2, 3});
    return bytes;
}

TEST(ByteReader, ReadsBackWhatWasWritten) {
    const Bytes bytes = sample_message();
    ByteReader reader(bytes);
    EXPECT_EQ(reader.take<std::uint32_t>(), 0xdeadbeef);
    EXPECT_EQ(reader.take<double>(), 2.5);
    EXPECT_EQ(reader.take_text(), "starling");
    EXPECT_EQ(reader.take_array<3>(), (std::array<std::uint8_t, 3>{1, 2, 3}));
    EXPECT_TRUE(reader.finished());
}

TEST(ByteReader, EveryTruncationIsNoticedAndStaysNoticed) {
    const Bytes bytes = sample_message();
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        ByteReader reader(ByteView(bytes).first(length));
        reader.take<std::uint32_t>();
        reader.take<double>();
        reader.take_text();
        reader.take_array<3>();
        EXPECT_FALSE(reader.ok()) << "cut at " << length;
        EXPECT_EQ(reader.take<std::uint64_t>(), 0U);
        EXPECT_FALSE(reader.finished());
    }
}

TEST(ByteWriter, IsLittleEndian) {
    Bytes bytes;
    ByteWriter(bytes).put(std::uint16_t{0x0102});
    EXPECT_EQ(bytes, (Bytes{std::byte{2}, std::byte{1}}));
}

TEST(SpanSource, LetsAStreamReadInPlaceAndTellsWhatIsLeft) {
    const Bytes bytes = sample_message();
    SpanSource source(bytes);
    std::istream stream(&source);
    char word[4];
    stream.read(word, 4);
    EXPECT_TRUE(stream.good());
    EXPECT_EQ(source.remaining(), bytes.size() - 4);
}

}  // namespace
}  // namespace starling
