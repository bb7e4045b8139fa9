#include "peer/fleet/live_table.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <optional>

#include "peer/fleet/outcome.hpp"

namespace starling::peer {
namespace {

constexpr std::size_t kGap = 2;
/// Columns that are kept so long are words, all others are numbers.
constexpr int kWords = 9;

struct Column {
    const char* title;
    std::size_t width;
    int keep;  ///< columns with a smaller number are dropped first
    std::string (*cell)(const PeerView&);
};

std::string count_text(std::uint64_t value) {
    if (value < 1'000'000) return fmt::format("{}", value);
    if (value < 100'000'000) return fmt::format("{:.2f}M", static_cast<double>(value) / 1e6);
    return fmt::format("{:.0f}M", static_cast<double>(value) / 1e6);
}

std::string rate_text(double value) {
    if (value < 10'000) return fmt::format("{:.0f}", value);
    return fmt::format("{:.1f}k", value / 1e3);
}

std::string bytes_text(std::uint64_t bytes) {
    const auto value = static_cast<double>(bytes);
    if (bytes < 1'000'000) return fmt::format("{:.1f} kB", value / 1e3);
    if (bytes < 1'000'000'000) return fmt::format("{:.1f} MB", value / 1e6);
    return fmt::format("{:.2f} GB", value / 1e9);
}

std::string number_text(const std::optional<double>& value) {
    return value ? fmt::format("{:.4f}", *value) : "-";
}

/// Returns `auc 0.9712`.
std::string quality_text(const PeerView& peer) {
    if (!peer.quality) return "-";
    return fmt::format("{} {:.4f}", compute::to_string(peer.quality->kind), peer.quality->value);
}

std::string time_text(double seconds) {
    const auto whole = static_cast<long>(seconds);
    return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string state_text(const PeerView& peer) {
    if (peer.hit) return "killed";
    if (peer.exit && !peer.exit->ok()) return "failed";
    return peer.state;
}

const std::array kColumns = {
    Column{
        "peer",
        12,
        kWords + 1,
        [](const PeerView& p) { return fmt::format("{:>3} {}", p.index, p.short_id()); }},
    Column{"state", 10, kWords, state_text},
    Column{"steps", 8, 4, [](const PeerView& p) { return count_text(p.steps); }},
    Column{
        "samples/s",
        9,
        5,
        [](const PeerView& p) { return p.living() ? rate_text(p.samples_per_s) : "-"; }},
    Column{"loss", 7, 6, [](const PeerView& p) { return number_text(p.loss); }},
    Column{"test loss", 9, 7, [](const PeerView& p) { return number_text(p.test_loss); }},
    Column{"accuracy", 8, 8, [](const PeerView& p) { return number_text(p.accuracy); }},
    Column{"quality", 12, 8, quality_text},
    Column{"spread", 8, 3, [](const PeerView& p) { return fmt::format("{:.2g}", p.spread); }},
    Column{"exchanges", 9, 2, [](const PeerView& p) { return count_text(p.exchanges); }},
    Column{
        "shards", 9, 1, [](const PeerView& p) { return fmt::format("{}/{}", p.held, p.shards); }},
};

/// Returns the columns that fit, in their order.
std::vector<Column> fitting_columns(const FleetView& swarm, std::size_t width) {
    std::vector<Column> columns(kColumns.begin(), kColumns.end());
    // Of many swarms the accuracy tells most, and there is no other quality to show.
    const bool watched = std::any_of(swarm.peers.begin(), swarm.peers.end(), [](const auto& peer) {
        return peer.quality.has_value();
    });
    if (!watched) std::erase_if(columns, [](const auto& c) { return c.cell == quality_text; });
    const auto total = [&columns] {
        std::size_t sum = 0;
        for (const auto& column : columns) sum += column.width + kGap;
        return sum - kGap;
    };
    const auto least = [](const Column& a, const Column& b) { return a.keep < b.keep; };
    while (columns.size() > 1 && total() > width) {
        columns.erase(std::min_element(columns.begin(), columns.end(), least));
    }
    return columns;
}

std::string cut(std::string line, std::size_t width) {
    while (!line.empty() && line.back() == ' ') line.pop_back();
    if (line.size() > width) line.resize(width);
    return line;
}

/// Returns one row. The first two columns are words and are aligned left, numbers right.
template <class Text>
std::string row(const std::vector<Column>& columns, const Text& text) {
    std::string line;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (i > 0) line.append(kGap, ' ');
        const auto& column = columns[i];
        const bool words = column.keep >= kWords;
        line += words ? fmt::format("{:<{}}", text(column), column.width)
                      : fmt::format("{:>{}}", text(column), column.width);
    }
    return line;
}

std::uint64_t swarm_samples(const FleetView& swarm) {
    std::uint64_t most = 0;  // the sum only grows, so the largest one is the newest
    for (const auto& peer : swarm.peers) most = std::max(most, peer.swarm_samples);
    return most;
}

double swarm_rate(const FleetView& swarm) {
    double sum = 0;
    for (const auto& peer : swarm.peers) {
        if (peer.living() && peer.state == "training") sum += peer.samples_per_s;
    }
    return sum;
}

std::string header(const FleetView& swarm) {
    const auto living = [](const PeerView& peer) { return peer.living(); };
    const auto there = [](const PeerView& peer) { return peer.living() && peer.target; };
    const auto& peers = swarm.peers;
    auto line = fmt::format(
        "starling swarm  {}  {} samples  {}/s",
        time_text(swarm.seconds),
        count_text(swarm_samples(swarm)),
        rate_text(swarm_rate(swarm))
    );
    if (!swarm.until.empty()) {
        line += fmt::format(
            "  until {} ({} of {} there)",
            swarm.until,
            std::count_if(peers.begin(), peers.end(), there),
            std::count_if(peers.begin(), peers.end(), living)
        );
    }
    return line;
}

/// Returns `name 0.1..0.2` over the living peers, or an empty text when none has the value.
std::string range_text(
    const FleetView& swarm, const char* name, std::optional<double> PeerView::*member
) {
    std::optional<double> low;
    std::optional<double> high;
    for (const auto& peer : swarm.peers) {
        const auto& value = peer.*member;
        if (!peer.living() || !value) continue;
        low = std::min(low.value_or(*value), *value);
        high = std::max(high.value_or(*value), *value);
    }
    if (!low) return {};
    if (*low == *high) return fmt::format("  {} {:.4f}", name, *low);
    return fmt::format("  {} {:.4f}..{:.4f}", name, *low, *high);
}

/// All peers of a swarm watch the same quality.
std::string quality_range_text(const FleetView& swarm) {
    std::vector<compute::Quality> found;
    for (const auto& peer : swarm.peers) {
        if (peer.living() && peer.quality) found.push_back(*peer.quality);
    }
    if (found.empty()) return {};
    const auto less = [](const auto& a, const auto& b) { return a.value < b.value; };
    const auto [low, high] = std::minmax_element(found.begin(), found.end(), less);
    const auto name = compute::to_string(found.front().kind);
    if (low->value == high->value) return fmt::format("  {} {:.4f}", name, low->value);
    return fmt::format("  {} {:.4f}..{:.4f}", name, low->value, high->value);
}

std::string ending_text(const PeerView& peer) {
    if (peer.hit) return "killed";
    if (peer.exit && !peer.exit->ok()) return "failed: " + peer.exit->to_string();
    return "no final report";
}

}  // namespace

std::vector<std::string> render_table(const FleetView& swarm, const Screen& screen) {
    const auto columns = fitting_columns(swarm, screen.columns);
    std::vector<std::string> lines;
    lines.push_back(cut(header(swarm), screen.columns));
    lines.push_back(cut(
        row(columns, [](const Column& column) { return std::string(column.title); }), screen.columns
    ));
    const std::size_t room = screen.rows > 4 ? screen.rows - 4 : 1;
    const std::size_t shown = std::min(room, swarm.peers.size());
    for (std::size_t i = 0; i < shown; ++i) {
        const auto& peer = swarm.peers[i];
        lines.push_back(
            cut(row(columns, [&peer](const Column& column) { return column.cell(peer); }),
                screen.columns)
        );
    }
    if (shown < swarm.peers.size()) {
        lines.push_back(
            cut(fmt::format("... and {} more", swarm.peers.size() - shown), screen.columns)
        );
    }
    return lines;
}

std::string render_line(const FleetView& swarm) {
    const auto training = [](const PeerView& peer) {
        return peer.living() && peer.state == "training";
    };
    const auto count = std::count_if(swarm.peers.begin(), swarm.peers.end(), training);
    double spread = 0;
    for (const auto& peer : swarm.peers) {
        if (peer.living()) spread = std::max(spread, peer.spread);
    }
    return fmt::format(
               "{:>6}  {} samples  {}/s",
               time_text(swarm.seconds),
               count_text(swarm_samples(swarm)),
               rate_text(swarm_rate(swarm))
           ) +
           range_text(swarm, "loss", &PeerView::loss) +
           range_text(swarm, "test loss", &PeerView::test_loss) +
           range_text(swarm, "accuracy", &PeerView::accuracy) + quality_range_text(swarm) +
           fmt::format("  spread {:.2g}  {} training", spread, count);
}

std::vector<std::string> render_summary(const FleetView& swarm) {
    static constexpr auto kFormat = "{:>4} {:<8}  {:>8}  {:>9}  {:>9}  {:>8}  {:>8}  {:>9}";
    std::vector<std::string> lines;
    lines.push_back(fmt::format(
        kFormat, "peer", "", "accuracy", "test loss", "samples", "steps", "spread", "exchanges"
    ));
    for (const auto& peer : swarm.peers) {
        const auto reached = peer.reached();
        if (!reached || peer.hit) {
            lines.push_back(
                fmt::format("{:>4} {:<8}  {}", peer.index, peer.short_id(), ending_text(peer))
            );
            continue;
        }
        lines.push_back(fmt::format(
            kFormat,
            peer.index,
            peer.short_id(),
            number_text(reached->accuracy),
            number_text(reached->loss),
            count_text(reached->samples),
            count_text(reached->steps),
            fmt::format("{:.2g}", reached->spread),
            count_text(reached->exchanges)
        ));
    }
    const Totals totals = add_up(swarm.peers, swarm.seconds);
    lines.push_back(fmt::format(
        "{:.1f} s, {} samples ({}/s)",
        totals.seconds,
        count_text(totals.samples),
        rate_text(totals.samples_per_s)
    ));
    if (totals.share) {
        lines.back() +=
            fmt::format(", {:.1f} % of the data took part to the last", 100 * *totals.share);
    }
    if (totals.bytes > 0) lines.back() += ", " + bytes_text(totals.bytes) + " exchanged";
    return lines;
}

}  // namespace starling::peer
