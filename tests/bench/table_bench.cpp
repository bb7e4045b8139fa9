// How fast the facts of a table are learned: the first of the two passes that a founder makes. One JSON line each.
//
//   table_bench FILE.csv FILE.jsonl ...

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <string>

#include "data/formats/byte_stream.hpp"
#include "data/tables/csv.hpp"
#include "data/tables/jsonl.hpp"

namespace starling::data {
namespace {

/// The time of this thread alone, which other programs on the machine do not lengthen.
double on_cpu() {
    timespec time{};
    (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

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
    const auto begin = on_cpu();
    auto stream = FileStream::open(path);
    const auto rows = stream ? rows_of(*stream, lines) : Result<std::uint64_t>(stream.error());
    if (!rows) {
        std::fprintf(stderr, "%s\n", rows.error().message.c_str());
        return 1;
    }
    const auto seconds = on_cpu() - begin;
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
