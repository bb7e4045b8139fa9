// Goal: the IDX reader accepts valid files, plain and gzipped, and answers all others with one
// line.
// Method: small files that the tests write, cut at every length, and with each header field spoilt.

#include "data/formats/idx.hpp"

#include <zlib.h>

#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

using starling::testing::TemporaryDirectory;
using testing::idx_bytes;
using testing::write_file;

std::string gzip(const std::string& plain) {
    z_stream stream{};
    STARLING_CHECK(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string packed(deflateBound(&stream, plain.size()) + 64, '\0');
    std::string input = plain;
    stream.next_in = reinterpret_cast<Bytef*>(input.data());
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    STARLING_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    packed.erase(stream.total_out);
    deflateEnd(&stream);
    return packed;
}

class Idx : public ::testing::Test {
protected:
    Result<IdxArray> read(std::string_view bytes, std::size_t rank) {
        write_file(file_, bytes);
        return read_idx(file_, rank);
    }

    /// Checks the fault's code, and that its message is one line that names the file.
    void expect_fault(std::string_view bytes, std::size_t rank, FaultCode code) {
        const auto result = read(bytes, rank);
        ASSERT_FALSE(result.has_value());
        EXPECT_EQ(to_string(result.error().code), to_string(code)) << result.error().message;
        EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
        EXPECT_NE(result.error().message.find("file.idx"), std::string::npos)
            << result.error().message;
    }

    TemporaryDirectory directory_;
    std::filesystem::path file_ = directory_.path() / "file.idx";
};

TEST_F(Idx, ReadsPlainAndGzippedAlike) {
    const std::string bytes = idx_bytes({2, 2, 3}, "abcdefghijkl");
    for (const auto& content : {bytes, gzip(bytes)}) {
        const auto array = read(content, 3);
        ASSERT_TRUE(array.has_value()) << array.error().message;
        EXPECT_EQ(array->dimensions, (std::vector<std::uint32_t>{2, 2, 3}));
        EXPECT_EQ(std::string(array->values.begin(), array->values.end()), "abcdefghijkl");
    }
}

TEST_F(Idx, EveryTruncationOfAPlainFileIsTruncated) {
    const std::string bytes = idx_bytes({2, 2, 3}, "abcdefghijkl");
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        SCOPED_TRACE(length);
        expect_fault(bytes.substr(0, length), 3, FaultCode::Truncated);
    }
}

TEST_F(Idx, EveryTruncationOfAGzippedFileIsTruncated) {
    const std::string bytes = gzip(idx_bytes({4, 2, 3}, std::string(24, 'x')));
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        SCOPED_TRACE(length);
        // A single byte looks like a plain file that is too short, which is the same fault.
        expect_fault(bytes.substr(0, length), 3, FaultCode::Truncated);
    }
}

TEST_F(Idx, NoFlippedByteOfAGzippedFileGoesUnnoticed) {
    const std::string plain = idx_bytes({4, 2, 3}, "abcdefghijklmnopqrstuvwx");
    const std::string bytes = gzip(plain);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        SCOPED_TRACE(at);
        std::string spoilt = bytes;
        spoilt[at] = static_cast<char>(spoilt[at] ^ 0x15);
        const auto array = read(spoilt, 3);
        // A change of the time stamp and similar fields does no harm. The values must not change.
        if (!array) continue;
        EXPECT_EQ(std::string(array->values.begin(), array->values.end()), plain.substr(16));
    }
}

TEST_F(Idx, BytesAfterTheEndAreRefused) {
    const std::string bytes = idx_bytes({3}, "abc") + "d";
    expect_fault(bytes, 1, FaultCode::BadFormat);
    expect_fault(gzip(bytes), 1, FaultCode::BadFormat);
}

TEST_F(Idx, HeadersThatLieAreRefused) {
    const std::string good = idx_bytes({3}, "abc");
    expect_fault("\x01" + good.substr(1), 1, FaultCode::BadFormat);
    expect_fault("PNG image, not IDX at all", 1, FaultCode::BadFormat);
    std::string floats = good;
    floats[2] = '\x0d';
    expect_fault(floats, 1, FaultCode::BadFormat);
    expect_fault(good, 3, FaultCode::BadFormat);
    expect_fault(idx_bytes({0}, ""), 1, FaultCode::BadValue);
    expect_fault(idx_bytes({0xffffffff, 0xffffffff, 0xffffffff}, "abc"), 3, FaultCode::Oversized);
    // The size is within the limit, but the bytes are missing. The reader must notice it without
    // allocating two gigabytes.
    expect_fault(idx_bytes({1U << 31U}, "abc"), 1, FaultCode::Truncated);
}

TEST_F(Idx, ABombIsUnpackedOnlyAsFarAsItsHeaderPromises) {
    expect_fault(gzip(idx_bytes({3}, std::string(64U << 20U, 'x'))), 1, FaultCode::BadFormat);
}

TEST_F(Idx, AMissingFileAndADirectoryAreNamed) {
    const auto missing = read_idx(directory_.path() / "absent", 1);
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, FaultCode::NotFound);
    const auto folder = read_idx(directory_.path(), 1);
    ASSERT_FALSE(folder.has_value());
    EXPECT_EQ(folder.error().code, FaultCode::Usage);
}

}  // namespace
}  // namespace starling::data
