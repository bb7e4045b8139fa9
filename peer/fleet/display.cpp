#include "peer/fleet/display.hpp"

#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

#include "peer/fleet/outcome.hpp"

namespace starling::peer {
namespace {

constexpr Duration kTablePeriod = std::chrono::milliseconds(500);
constexpr Duration kLinePeriod = std::chrono::seconds(5);

Screen terminal_screen() {
    winsize size{};
    Screen screen;
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        screen.columns = size.ws_col;
        screen.rows = size.ws_row;
    }
    return screen;
}

void put_line(std::FILE* file, const std::string& line) {
    std::fputs((line + "\n").c_str(), file);
    std::fflush(file);
}

}  // namespace

void Display::note(const std::string& text) {
    erase_table();
    const bool programs = mode_ == OutputMode::Json || mode_ == OutputMode::Answers;
    put_line(programs ? stderr : stdout, text);
    if (mode_ == OutputMode::Table) updated_at_.reset();
}

void Display::json(const std::string& line) {
    if (mode_ == OutputMode::Json) put_line(stdout, line);
}

void Display::answer(const std::string& line) {
    put_line(stdout, line);
}

void Display::update(const FleetView& swarm, Instant now) {
    if (mode_ == OutputMode::Json || mode_ == OutputMode::Answers) return;
    const auto period = mode_ == OutputMode::Table ? kTablePeriod : kLinePeriod;
    if (updated_at_ && now - *updated_at_ < period) return;
    // The first line comes after one period: at the start there is nothing to show yet.
    const bool first = !updated_at_;
    updated_at_ = now;
    if (mode_ == OutputMode::Lines) {
        if (!first) put_line(stdout, render_line(swarm));
        return;
    }
    erase_table();
    const auto lines = render_table(swarm, terminal_screen());
    for (const auto& line : lines) std::fputs((line + "\n").c_str(), stdout);
    std::fflush(stdout);
    drawn_lines_ = lines.size();
}

void Display::finish(const FleetView& swarm) {
    if (mode_ == OutputMode::Json) {
        put_line(stdout, summary_json(swarm.peers, swarm.seconds));
        return;
    }
    erase_table();
    auto* const file = mode_ == OutputMode::Answers ? stderr : stdout;
    for (const auto& line : render_summary(swarm)) put_line(file, line);
}

void Display::erase_table() {
    if (drawn_lines_ == 0) return;
    // Moves up to the table's first line and erases from there to the end of the screen.
    std::fputs(("\x1b[" + std::to_string(drawn_lines_) + "A\r\x1b[J").c_str(), stdout);
    drawn_lines_ = 0;
}

}  // namespace starling::peer
