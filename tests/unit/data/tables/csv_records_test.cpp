// Goal: records are those of RFC 4180 and of Python's csv module, in bounded memory, whatever the
// pieces in which the file arrives. Method: small files, and streams that give a byte at a time or
// never end.

#include "data/tables/csv_records.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace starling::data {
namespace {

using Rows = std::vector<std::vector<std::string>>;

struct Read {
    Rows rows;
    std::vector<std::uint64_t> lines;
    std::string fault;
};

Read read(ByteStream& stream, char separator = ',') {
    Read result;
    CsvRecords records(stream, separator);
    CsvRecord record;
    while (true) {
        const auto more = records.next(record);
        if (!more) result.fault = more.error().message;
        if (!more || !*more) return result;
        result.rows.emplace_back(record.fields.begin(), record.fields.end());
        result.lines.push_back(record.line);
    }
}

Read read(std::string_view text, char separator = ',') {
    MemoryStream stream(text);
    return read(stream, separator);
}

/// Gives `head` and then the same byte for ever.
class EndlessStream final : public ByteStream {
public:
    EndlessStream(std::string head, char filler) : head_(std::move(head)), filler_(filler) {}

    Result<std::size_t> read(std::span<std::uint8_t> out) override {
        for (auto& byte : out) {
            byte = static_cast<std::uint8_t>(at_ < head_.size() ? head_[at_] : filler_);
            ++at_;
        }
        return out.size();
    }

    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const override {
        return fail(code, "endless: " + what);
    }

    [[nodiscard]] std::size_t given() const { return at_; }

private:
    std::string head_;
    char filler_;
    std::size_t at_ = 0;
};

TEST(CsvRecords, LinesEndInAnyWayAndEmptyOnesAreSkipped) {
    const Rows rows{{"a", "b"}, {"c", ""}, {"", "d"}};
    EXPECT_EQ(read("a,b\nc,\n,d\n").rows, rows);
    EXPECT_EQ(read("a,b\r\nc,\r\n,d").rows, rows);
    EXPECT_EQ(read("a,b\rc,\r,d\r").rows, rows);
    const auto gaps = read("\n\r\n\ra,b\n\n\r\nc,\n\n,d\n\n\n");
    EXPECT_EQ(gaps.rows, rows);
    EXPECT_EQ(gaps.lines, (std::vector<std::uint64_t>{4, 7, 9}));
    EXPECT_TRUE(read("").rows.empty());
    EXPECT_TRUE(read("\n\r\n").rows.empty());
    EXPECT_EQ(
        read(
            "\xef\xbb\xbf"
            "a;b",
            ';'
        )
            .rows,
        (Rows{{"a", "b"}})
    );
}

TEST(CsvRecords, QuotedFieldsMayHaveSeparatorsLineEndsAndQuotes) {
    const auto result = read("\"a,b\",\"c\nd\r\ne\",\"f\"\"g\"\"\"\n\"\",\"\"\"\",x\"y\n");
    EXPECT_EQ(result.rows, (Rows{{"a,b", "c\nd\r\ne", "f\"g\""}, {"", "\"", "x\"y"}}));
    EXPECT_EQ(result.lines, (std::vector<std::uint64_t>{1, 4}));
    EXPECT_EQ(read("\"a\"").rows, (Rows{{"a"}}));
    EXPECT_EQ(read("a,\"b\"\r\nc,d").rows, (Rows{{"a", "b"}, {"c", "d"}}));
}

TEST(CsvRecords, WrongQuotesAreNamedWithTheirLine) {
    EXPECT_NE(read("a,b\nc,\"d\nx,y\n").fault.find("line 2: the quote"), std::string::npos);
    EXPECT_NE(read("a\n\"x\ny\"z\n").fault.find("line 3: text behind"), std::string::npos);
    EXPECT_NE(
        read("\xff\xfe"
             "a")
            .fault.find("UTF-16"),
        std::string::npos
    );
}

TEST(CsvRecords, AnythingLongComesWholeHoweverThePiecesFall) {
    Rng rng(2);
    std::string text;
    Rows rows;
    while (text.size() < (std::size_t{3} << 20U)) {
        auto& row = rows.emplace_back();
        for (auto left = 1 + rng.below(4); left > 0; --left) {
            const auto size = rng.chance(0.01) ? 200000 : rng.below(20);
            std::string field;
            while (field.size() < size) field += "ab\n\",\r"[rng.below(6)];
            field += 'x';
            row.push_back(field);
            text += '"';
            for (const char c : field) text += c == '"' ? "\"\"" : std::string(1, c);
            text += left > 1 ? "\"," : (rng.chance(0.5) ? "\"\n" : "\"\r\n");
        }
    }
    EXPECT_EQ(read(text).rows, rows);
}

TEST(CsvRecords, MemoryIsBoundedWhateverTheFileClaims) {
    EndlessStream quoted("a,b\n\"", 'x');
    EXPECT_NE(read(quoted).fault.find("line 2: a field has over 1 MiB"), std::string::npos);
    EXPECT_LT(quoted.given(), std::size_t{4} << 20U);
    EndlessStream plain("a,b\n", 'x');
    EXPECT_NE(read(plain).fault.find("over 1 MiB"), std::string::npos);
    EndlessStream doubled("\"", '"');
    EXPECT_NE(read(doubled).fault.find("over 1 MiB"), std::string::npos);
    EndlessStream commas("", ',');
    EXPECT_NE(read(commas).fault.find("more than 4096 fields"), std::string::npos);
    std::string wide;
    for (int i = 0; i < 40; ++i) wide += std::string(900000, 'x') + ',';
    EXPECT_NE(read(wide).fault.find("the record has over 16 MiB"), std::string::npos);
}

TEST(CsvRecords, LookingAheadTakesNothing) {
    MemoryStream stream("a,b\nc,d\n");
    CsvRecords records(stream, ',');
    EXPECT_EQ(*records.peek(5), "a,b\nc");
    CsvRecord record;
    EXPECT_TRUE(*records.next(record));
    EXPECT_EQ(record.fields[0], "a");
}

}  // namespace
}  // namespace starling::data
