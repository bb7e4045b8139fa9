#include "peer/fleet/live_control.hpp"

#include <array>
#include <boost/asio/buffer.hpp>
#include <cerrno>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "base/json_text.hpp"
#include "base/printable.hpp"
#include "peer/machine/process.hpp"

namespace starling::peer {
namespace {

using scenario::Command;

nlohmann::ordered_json peers_json(const scenario::View& view) {
    auto peers = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < view.peers.size(); ++i) {
        const auto& peer = view.peers[i];
        if (!peer.started) continue;
        nlohmann::ordered_json seen = {
            {"peer", i + 1},
            {"running", peer.running},
            {"paused", peer.paused},
            {"state", printable(peer.state)},
            {"steps", peer.steps},
            {"exchanges", peer.exchanges},
            {"members", peer.members},
            {"spread", peer.spread}};
        if (peer.accuracy) seen["accuracy"] = *peer.accuracy;
        peers.push_back(std::move(seen));
    }
    return peers;
}

}  // namespace

/// Standard input, read when nothing of it is left. A regular file cannot be waited for, but read.
struct LiveControl::Input : std::enable_shared_from_this<LiveControl::Input> {
    explicit Input(boost::asio::io_context& io)
        : stream(io),
          splitter([this](std::string_view line) { lines.emplace_back(line); }) {}

    boost::asio::posix::stream_descriptor stream;
    std::deque<std::string> lines;
    LineSplitter splitter;
    std::array<char, 4096> bytes{};
    bool is_file = false;
    bool reading = false;
    bool ended = false;

    void finish() {
        splitter.finish();
        ended = true;
    }

    void read() {
        if (reading || ended) return;
        if (is_file) return take_from_file();
        reading = true;
        stream.async_read_some(
            boost::asio::buffer(bytes),
            [self = shared_from_this()](const boost::system::error_code& error, std::size_t count) {
                self->reading = false;
                if (error) return self->finish();
                self->splitter.feed({self->bytes.data(), count});
            }
        );
    }

    void take_from_file() {
        const auto count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
        if (count <= 0) return finish();
        splitter.feed({bytes.data(), static_cast<std::size_t>(count)});
    }
};

LiveControl::LiveControl(
    boost::asio::io_context& io,
    const scenario::Scenario& scenario,
    scenario::Plan& plan,
    scenario::Judge& judge,
    OnAnswer on_answer
)
    : scenario_(scenario),
      plan_(plan),
      judge_(judge),
      on_answer_(std::move(on_answer)),
      resolver_(scenario),
      input_(std::make_shared<Input>(io)) {}

LiveControl::~LiveControl() {
    boost::system::error_code ignored;
    input_->stream.close(ignored);
}

Result<void> LiveControl::start(Instant now) {
    began_ = now;
    plan_.open(now);

    struct stat status {};

    input_->is_file = ::fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode);
    if (input_->is_file) return {};
    const int copy = ::dup(STDIN_FILENO);
    boost::system::error_code error;
    if (copy >= 0) input_->stream.assign(copy, error);
    if (copy >= 0 && !error) return {};
    return fail(FaultCode::Io, "standard input cannot be read");
}

void LiveControl::poll(Instant now, const scenario::View& view) {
    if (over_) return;
    if (awaited_) answer_step(now);
    while (!awaited_ && !over_ && next_line()) take(now, view);
    if (awaited_ || over_) return;
    input_->read();
    if (input_->ended && input_->lines.empty()) end();
}

/// Makes the next line that says something the one that is answered next.
bool LiveControl::next_line() {
    auto& lines = input_->lines;
    while (!lines.empty()) {
        command_ = std::move(lines.front());
        lines.pop_front();
        ++line_;
        const auto begin = command_.find_first_not_of(" \t\r");
        if (begin != std::string::npos && command_[begin] != '#') return true;
    }
    return false;
}

void LiveControl::take(Instant now, const scenario::View& view) {
    auto command = parse_command(command_, scenario_.mode);
    if (!command) return answer(now, command.error().message, {});
    switch (command->kind) {
        case Command::Kind::Step:
            if (auto ok = add_step(std::move(command->step), view); !ok) {
                answer(now, ok.error().message, {});
            }
            return;
        case Command::Kind::Expect: {
            const auto why = judge_.check(command->claim, view);
            if (!why.empty()) judge_.add(now, fmt::format("'{}': {}", excerpt(command_), why));
            return answer(now, why, {});
        }
        case Command::Kind::Status:
            return answer(now, {}, {{"peers", peers_json(view)}});
        case Command::Kind::End:
            answer(now, {}, {});
            return end();
    }
}

Result<void> LiveControl::add_step(scenario::Step step, const scenario::View& view) {
    step.place.line = line_;
    resolver_.observe(view);
    if (auto ok = resolver_.resolve(step); !ok) return ok;
    awaited_ = plan_.entries().size();
    plan_.add(std::move(step));
    return {};
}

void LiveControl::answer_step(Instant now) {
    using State = scenario::Entry::State;
    const auto& entry = plan_.entries()[*awaited_];
    if (entry.state == State::Waiting || entry.state == State::Asked) return;
    awaited_.reset();
    const auto action = to_string(entry.step.action);
    if (entry.state == State::Failed) {
        judge_.add(now, fmt::format("'{}' could not be done: {}", action, entry.why));
    }
    answer(now, entry.state == State::Failed ? entry.why : std::string(), {{"did", action}});
}

void LiveControl::answer(Instant now, const std::string& why, nlohmann::ordered_json more) {
    nlohmann::ordered_json line = {
        {"event", "answer"},
        {"line", line_},
        {"command", printable(command_)},
        {"ok", why.empty()},
        {"seconds", to_seconds(now - *began_)}};
    if (!why.empty()) line["why"] = printable(why);
    if (more.is_object()) line.update(more);
    on_answer_(json_text(line));
}

void LiveControl::abandon(Instant now) {
    if (over_) return;
    constexpr const char* kEnded = "the run has ended";
    if (awaited_) answer(now, kEnded, {});
    awaited_.reset();
    while (next_line()) answer(now, kEnded, {});
    end();
}

void LiveControl::end() {
    over_ = true;
    plan_.close();
}

}  // namespace starling::peer
