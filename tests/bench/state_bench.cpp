// Prints the tables of docs/results/state.md: how long a newcomer takes to fetch parameters over lines in
// virtual time, and how many bytes, beside what the lines need. `scripts/dev bench state` writes the page.

#include <cstdio>
#include <vector>

#include "base/rng.hpp"
#include "peer/virtual/state_lines.hpp"

namespace {

using starling::peer_virtual::run;
using starling::peer_virtual::StateLines;
using starling::peer_virtual::StateLinesResult;

constexpr double kMbit = 1e6 / 8;
constexpr int kKills = 5;

struct Row {
    double mbit;
    std::size_t model;
};

constexpr Row kRows[] = {
    {0.25, 2'100'000},
    {0.5, 2'100'000},
    {1, 2'100'000},
    {5, 23'300'000},
    {20, 23'300'000},
    {100, 100'000'000},
    {1000, 100'000'000},
};

bool all_good = true;

/// Prints seconds beside the goal, and the bytes as a multiple of the model's.
void print(const StateLines& lines, double rate, double most) {
    const auto result = run(lines);
    const double line = static_cast<double>(lines.model_bytes) / rate;
    const double bytes = static_cast<double>(result.bytes) / static_cast<double>(lines.model_bytes);
    const bool good = result.right && result.seconds <= 1.15 * line + 1.0 && bytes <= most;
    all_good = all_good && good;
    std::printf(" %.2f, %.3f%s |", result.seconds / line, bytes, good ? "" : " (!)");
}

StateLines base(const Row& row, std::size_t donors, int milliseconds) {
    StateLines lines;
    lines.rate = row.mbit * kMbit;
    lines.model_bytes = row.model;
    lines.donors = donors;
    lines.round_trip = std::chrono::milliseconds(milliseconds);
    return lines;
}

void print_lines(int milliseconds) {
    std::printf(
        "\n| Mbit/s | model, MB | line, s | goal | 1 donor | 2 donors | 3 donors | 4 donors |\n"
        "|---|---|---|---|---|---|---|---|\n"
    );
    for (const auto& row : kRows) {
        const double line = static_cast<double>(row.model) / (row.mbit * kMbit);
        std::printf(
            "| %g | %.1f | %.1f | %.2f, 1.030 |",
            row.mbit,
            static_cast<double>(row.model) / 1e6,
            line,
            1.15 + 1.0 / line
        );
        for (std::size_t donors = 1; donors <= 4; ++donors) {
            print(base(row, donors, milliseconds), row.mbit * kMbit, 1.03);
        }
        std::printf("\n");
    }
}

/// Of some kills at random bytes the one that took longest and the one that cost most bytes.
void print_kills(const Row& row, std::size_t donors, int milliseconds, starling::Rng& rng) {
    double worst = 0.0;
    double most = 0.0;
    const double line = static_cast<double>(row.model) / (row.mbit * kMbit);
    bool good = true;
    for (int n = 0; n < kKills; ++n) {
        auto lines = base(row, donors, milliseconds);
        lines.seed = rng.next();
        lines.killed_at = rng.below(row.model);
        const auto result = run(lines);
        worst = std::max(worst, result.seconds / line);
        most = std::max(most, static_cast<double>(result.bytes) / static_cast<double>(row.model));
        good = good && result.right;
    }
    good = good && worst * line <= 1.15 * line + 1.0 && most <= 1.05;
    all_good = all_good && good;
    std::printf(" %.2f, %.3f%s |", worst, most, good ? "" : " (!)");
}

void print_all_kills() {
    starling::Rng rng(5);
    std::printf(
        "\n| Mbit/s | goal | 2 donors, 0 ms | 4 donors, 0 ms | 2 donors, 50 ms | 4 donors, 50 ms "
        "|\n"
        "|---|---|---|---|---|---|\n"
    );
    for (const auto& row : kRows) {
        const double line = static_cast<double>(row.model) / (row.mbit * kMbit);
        std::printf("| %g | %.2f, 1.050 |", row.mbit, 1.15 + 1.0 / line);
        for (const int milliseconds : {0, 50}) {
            for (const std::size_t donors : {2U, 4U}) print_kills(row, donors, milliseconds, rng);
        }
        std::printf("\n");
    }
}

/// The donors' own lines are the narrow ones.
void print_uplinks() {
    struct Case {
        const char* name;
        std::vector<double> mbit;
    };

    const Case cases[] = {
        {"four of 2 Mbit/s", {2, 2, 2, 2}},
        {"10, 5, 2 and 1 Mbit/s", {10, 5, 2, 1}},
        {"20 and 0.25 Mbit/s", {20, 0.25}},
    };
    std::printf("\n| donors' lines | goal | 0 ms | 50 ms |\n|---|---|---|---|\n");
    for (const auto& one : cases) {
        double sum = 0.0;
        for (const double mbit : one.mbit) sum += mbit * kMbit;
        const Row row{100, 23'300'000};
        const double line = static_cast<double>(row.model) / sum;
        std::printf("| %s | %.2f, 1.030 |", one.name, 1.15 + 1.0 / line);
        for (const int milliseconds : {0, 50}) {
            auto lines = base(row, one.mbit.size(), milliseconds);
            for (const double mbit : one.mbit) lines.uplinks.push_back(mbit * kMbit);
            print(lines, sum, 1.03);
        }
        std::printf("\n");
    }
}

}  // namespace

int main() {
    std::printf("### Round trip 0 ms\n");
    print_lines(0);
    std::printf("\n### Round trip 50 ms\n");
    print_lines(50);
    std::printf("\n### One donor is killed when a random number of bytes has come\n");
    print_all_kills();
    std::printf("\n### The donors' lines are the narrow ones\n");
    print_uplinks();
    return all_good ? 0 : 1;
}
