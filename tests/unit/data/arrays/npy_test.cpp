// Goal: arrays are what numpy reads, and a header that lies costs nothing. Method: headers written here
// as numpy writes them, each kind of element with known values, and one test for each wrong header.

#include "data/arrays/npy.hpp"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace starling::data {
namespace {

std::string npy(std::string dictionary, std::string_view content, int version = 1) {
    std::string bytes("\x93NUMPY");
    bytes += static_cast<char>(version);
    bytes += '\0';
    const std::size_t start = version == 1 ? 10 : 12;
    while ((start + dictionary.size() + 1) % 64 != 0) dictionary += ' ';
    dictionary += '\n';
    for (std::size_t i = 0; i < start - 8; ++i) {
        bytes += static_cast<char>((dictionary.size() >> (8 * i)) & 0xffU);
    }
    return bytes + dictionary + std::string(content);
}

std::string dictionary(const std::string& element, const std::string& shape, bool fortran = false) {
    return "{'descr': '" + element + "', 'fortran_order': " + (fortran ? "True" : "False") +
           ", 'shape': " + shape + ", }";
}

struct Read {
    std::vector<double> values;
    std::string fault;
};

Read read(std::string_view bytes, std::size_t piece = 24) {
    MemoryStream stream(bytes, "a.npy");
    auto reader = NpyReader::open(stream, bytes.size());
    if (!reader) return {{}, reader.error().message};
    const auto width = bytes_of(reader->header().element);
    std::vector<std::uint8_t> room(piece / width * width);
    Read result;
    while (true) {
        const auto got = reader->read(room);
        if (!got) result.fault = got.error().message;
        if (!got || *got == 0) return result;
        for (std::size_t i = 0; i < *got / width; ++i) {
            result.values.push_back(npy_value(reader->header().element, room, i));
        }
    }
}

std::string refusal(const std::string& header) {
    return read(npy(header, "")).fault;
}

TEST(Npy, AllKindsOfElementsAreRead) {
    using V = std::vector<double>;
    const auto of = [](const std::string& element, std::string_view content) {
        const auto result = read(npy(dictionary(element, "(2,)"), content));
        EXPECT_EQ(result.fault, "") << element;
        return result.values;
    };
    EXPECT_EQ(of("|u1", "\x01\xff"), (V{1, 255}));
    EXPECT_EQ(of("|i1", "\x01\xff"), (V{1, -1}));
    EXPECT_EQ(of("|b1", std::string_view("\x00\x01", 2)), (V{0, 1}));
    EXPECT_EQ(of("<u2", std::string_view("\x01\x02\xff\xff", 4)), (V{513, 65535}));
    EXPECT_EQ(of(">u2", std::string_view("\x01\x02\xff\xff", 4)), (V{258, 65535}));
    EXPECT_EQ(of("<i2", std::string_view("\x01\x02\xff\xff", 4)), (V{513, -1}));
    EXPECT_EQ(of("<f2", std::string_view("\x00\x3e\x01\x80", 4)), (V{1.5, -std::ldexp(1, -24)}));
    EXPECT_TRUE(std::isinf(of("<f2", std::string_view("\x00\xfc\x00\x7e", 4))[0]));
    EXPECT_TRUE(std::isnan(of("<f2", std::string_view("\x00\xfc\x00\x7e", 4))[1]));
    EXPECT_EQ(of(">i4", std::string_view("\xff\xff\xff\xfe\x00\x00\x00\x07", 8)), (V{-2, 7}));
    EXPECT_EQ(
        of("<u4", std::string_view("\xff\xff\xff\xff\x00\x00\x00\x01", 8)),
        (V{4294967295, 16777216})
    );
    EXPECT_EQ(of("<f4", std::string_view("\x00\x00\xc0\x3f\x00\x00\x00\xc0", 8)), (V{1.5, -2}));
    EXPECT_EQ(
        of(">f8", std::string_view("\x3f\xf8\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0", 16)), (V{1.5, -2})
    );
    EXPECT_EQ(
        of("<i8", std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\5\0\0\0\0\0\0\0", 16)),
        (V{-1, 5})
    );
    EXPECT_EQ(of("<u8", std::string_view("\1\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0", 16)), (V{1, 5}));
}

TEST(Npy, VersionsAndShapesAreThoseOfNumpy) {
    using V = std::vector<double>;
    for (const int version : {1, 2, 3}) {
        EXPECT_EQ(read(npy(dictionary("|u1", "(3, 1)"), "\1\2\3", version)).values, (V{1, 2, 3}));
    }
    EXPECT_EQ(read(npy(dictionary("|u1", "()"), "\7")).values, (V{7}));
    EXPECT_EQ(read(npy(dictionary("|u1", "(2L,)"), "\1\2")).values, (V{1, 2}));
    const auto empty = read(npy(dictionary("|u1", "(0, 5)"), ""));
    EXPECT_EQ(empty.fault, "");
    EXPECT_TRUE(empty.values.empty());
    EXPECT_EQ(
        read(npy("{\"shape\":(1,),\"descr\":\"|u1\",\"fortran_order\":False}", "\1")).values, (V{1})
    );
}

TEST(Npy, FortranOrderOfTwoAxesIsTurned) {
    const auto two = read(
        npy(dictionary("<u2", "(2, 3)", true), std::string_view("\1\0\4\0\2\0\5\0\3\0\6\0", 12)), 4
    );
    EXPECT_EQ(two.values, (std::vector<double>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(read(npy(dictionary("|u1", "(3, 1)", true), "\1\2\3")).values.size(), 3U);
    EXPECT_NE(
        refusal(dictionary("|u1", "(2, 2, 2)", true)).find("Fortran order"), std::string::npos
    );
    // 2^33 elements are claimed and 3 bytes are there: the size is not known, as of a gzipped file.
    const auto lying = npy(dictionary("|u1", "(65536, 131072)", true), "abc");
    MemoryStream stream(lying);
    auto reader = NpyReader::open(stream);
    std::vector<std::uint8_t> room(16);
    EXPECT_EQ(reader->read(room).error().code, FaultCode::Oversized);
    const auto shorter = npy(dictionary("|u1", "(4096, 4096)", true), "abc");
    MemoryStream short_stream(shorter);
    auto short_reader = NpyReader::open(short_stream);
    EXPECT_EQ(short_reader->read(room).error().code, FaultCode::Truncated);
}

TEST(Npy, ALyingShapeIsRefusedBeforeAnythingIsAllocated) {
    EXPECT_NE(refusal(dictionary("|u1", "(1000000, 1000)")).find("promises"), std::string::npos);
    EXPECT_NE(
        refusal(dictionary("|u1", "(4294967296, 4294967296)")).find("over 1 TiB"), std::string::npos
    );
    EXPECT_NE(
        refusal(dictionary("|u1", "(0, 18446744073709551615)")).find("over 1 TiB"),
        std::string::npos
    );
    EXPECT_NE(
        refusal(dictionary("|u1", "(99999999999999999999,)")).find("shape"), std::string::npos
    );
    EXPECT_NE(refusal(dictionary("|u1", "(1,1,1,1,1,1,1,1,1)")).find("shape"), std::string::npos);
    const auto bytes = npy(dictionary("|u1", "(3,)"), "abcd");
    EXPECT_NE(read(bytes).fault.find("promises"), std::string::npos);
    MemoryStream longer(bytes);
    auto reader = NpyReader::open(longer);
    std::vector<std::uint8_t> room(16);
    EXPECT_EQ(reader->read(room).error().code, FaultCode::BadFormat) << "bytes behind";
}

TEST(Npy, WrongHeadersAreRefused) {
    EXPECT_NE(refusal(dictionary("|O", "(1,)")).find("never read"), std::string::npos);
    for (const auto* element : {"<U4", "|S3", "<M8[ns]", "<c8", "<f16", "", "f", "<i3", "|i4"}) {
        EXPECT_NE(refusal(dictionary(element, "(1,)")), "") << element;
    }
    for (const auto* header :
         {"",
          "{}",
          "{'descr': '|u1'}",
          "{'descr': '|u1', 'fortran_order': False, 'shape': (1)}",
          "{'descr': '|u1', 'fortran_order': 0, 'shape': (1,)}",
          "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}",
          "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), 'more': 1}",
          "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1,)}",
          "{'descr': '|u1', 'fortran_order': False, 'shape': (1,)} + evil()",
          "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
          "{'descr': '|u1' 'fortran_order': False, 'shape': (1,)}"}) {
        EXPECT_NE(refusal(header), "") << header;
    }
    EXPECT_NE(read("PK\3\4").fault.find("not an NPY"), std::string::npos);
    EXPECT_NE(
        read(npy(dictionary("|u1", "(1,)"), "a", 4)).fault.find("version 4.0"), std::string::npos
    );
    const auto whole = npy(dictionary("<u2", "(3,)"), "abcdef");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_NE(read(std::string_view(whole).substr(0, size)).fault, "") << size;
    }
}

}  // namespace
}  // namespace starling::data
