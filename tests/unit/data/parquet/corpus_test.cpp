// Goal: the fuzz target's corpus of Parquet files is read without harm in every build, and stays a corpus
// of files that are read and of files that are refused. Method: reads them all. STARLING_CORPUS_DIR=DIR
// writes them anew into DIR/parquet.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "tests/unit/data/parquet/parquet_samples.hpp"
#include "tests/unit/data/support/golden.hpp"

namespace starling::data {
namespace {

namespace fs = std::filesystem;

using testing::parquet_sample;
using testing::plain_bytes;
using testing::write_parquet;

void write_corpus(const fs::path& folder) {
    fs::create_directories(folder);
    const auto write = [&](const std::string& name, std::string_view bytes) {
        std::ofstream(folder / name, std::ios::binary) << bytes;
    };
    for (const int codec : {0, 1, 2, 6}) {
        for (const int version : {1, 2}) {
            auto sample = parquet_sample(9);
            sample.plan.codec = codec;
            sample.plan.page_version = version;
            sample.plan.checksums = false;
            sample.plan.with_list = version == 1;
            sample.plan.rows_in_group = 5;
            sample.plan.rows_in_page = 3;
            const auto bytes = write_parquet(sample.plan);
            const auto name = "codec" + std::to_string(codec) + "v" + std::to_string(version);
            write(name, bytes);
            if (codec != 0) continue;
            write("cut" + name, std::string_view(bytes).substr(0, bytes.size() / 2));
            auto longer = bytes;
            longer.replace(bytes.size() - 8, 4, plain_bytes(0x7fffffffU));
            write("footer" + name, longer);
        }
    }
    auto checked = parquet_sample(9);
    auto bytes = write_parquet(checked.plan);
    write("checksums", bytes);
    bytes[100] = static_cast<char>(bytes[100] ^ 1);
    write("refusedchecksum", bytes);
}

TEST(ParquetCorpus, FilesAreReadOrRefused) {
    const char* wanted =
        std::getenv("STARLING_CORPUS_DIR");  // NOLINT(concurrency-mt-unsafe) one thread
    if (wanted != nullptr) write_corpus(fs::path(wanted) / "parquet");
    int read = 0;
    int refused = 0;
    const auto folder = fs::path(STARLING_SOURCE_DIR) / "tests/fuzz/corpus/parquet";
    for (const auto& entry : fs::directory_iterator(folder)) {
        const auto bytes = testing::read_bytes(entry.path());
        const auto table = testing::read_all(as_text(bytes));
        const auto name = entry.path().filename().string();
        const bool sound = name.starts_with("codec") || name == "checksums";
        EXPECT_EQ(table.has_value(), sound)
            << name << (table ? std::string() : ": " + table.error().message);
        (table ? read : refused) += 1;
    }
    EXPECT_GE(read, 9);
    EXPECT_GE(refused, 5);
}

}  // namespace
}  // namespace starling::data
