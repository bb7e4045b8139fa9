// How fast the facts of a table are learned: the first of the two passes that a founder makes. One JSON line each.
//
//   table_bench FILE.csv FILE.jsonl ...

#include <cstdio>
#include <filesystem>
#include <string>

#include "data/formats/byte_stream.hpp"
#include "data/tables/csv.hpp"
#include "data/tables/jsonl.hpp"
#include "tests/bench/thread_time.hpp"

namespace starling::data {
namespace {

Result<std::uint64_t> rows_of(ByteStream& stream, bool lines) {
    if (lines) {
        const auto facts = scan_jsonl(stream, {});
        if (!facts) return facts.error();
        return facts->table.rows;
    }
    const auto facts = scan_csv(stream, {});
    if (!facts) return facts.error();
    return facts->table.rows;
}

int measure(const std::filesystem::path& path) {
    const bool lines = path.extension() == ".jsonl";
    const auto begin = thread_time();
    auto stream = FileStream::open(path);
    const auto rows = stream ? rows_of(*stream, lines) : Result<std::uint64_t>(stream.error());
    if (!rows) {
        std::fprintf(stderr, "%s\n", rows.error().message.c_str());
        return 1;
    }
    const auto seconds = thread_time() - begin;
    const auto megabytes = static_cast<double>(std::filesystem::file_size(path)) / 1e6;
    std::printf(
        "{\"bench\": \"scan\", \"dataset\": \"%s\", \"megabytes\": %.1f, \"rows\": %llu, "
        "\"cpu_seconds\": %.2f, "
        "\"mb_per_s\": %.1f}\n",
        lines ? "jsonl" : "csv",
        megabytes,
        static_cast<unsigned long long>(*rows),
        seconds,
        megabytes / seconds
    );
    return 0;
}

}  // namespace
}  // namespace starling::data

int main(int argc, char** argv) {
    int failed = 0;
    for (int i = 1; i < argc; ++i) failed += starling::data::measure(argv[i]);
    return failed == 0 && argc > 1 ? 0 : 2;
}
