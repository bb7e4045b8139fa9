#include "peer/commands/bench_handshake.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>

#include "base/check.hpp"
#include "peer/crypto/identity.hpp"
#include "peer/crypto/notary.hpp"
#include "peer/streams/greeting.hpp"

namespace starling::peer {

namespace {

double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Adds up the CPU time of one side.
class Meter {
public:
    template <class Work>
    auto measure(Work work) {
        const double begin = cpu_seconds();
        auto result = work();
        total_ += cpu_seconds() - begin;
        return result;
    }

    [[nodiscard]] double total() const { return total_; }

private:
    double total_ = 0.0;
};

Result<void> pass(Channel& from, Channel& to) {
    const Bytes bytes(from.outgoing().begin(), from.outgoing().end());
    from.sent(bytes.size());
    if (bytes.empty()) return {};
    const auto room = to.room();
    std::copy(bytes.begin(), bytes.end(), room.begin());
    return to.filled(bytes.size());
}

Introduction introduction_of(const ChannelKeys& keys) {
    const auto identity = ephemeral_identity();
    Introduction made;
    made.ours.id = identity.id;
    made.ours.swarm.bytes.fill(1);
    made.notary = make_notary(identity);
    made.keys = keys;
    return made;
}

/// One stream from nothing to both greetings, in memory. Measures what the acceptor does.
void open_one(const Introduction& ours, const Introduction& theirs, Meter& acceptors) {
    Channel dialler(ChannelRole::Dialler, theirs.keys);
    auto acceptor = acceptors.measure([&] {
        return std::make_unique<Channel>(ChannelRole::Acceptor, ours.keys);
    });
    (void)acceptors.measure([&] { return pass(dialler, *acceptor); });
    (void)pass(*acceptor, dialler);
    (void)acceptors.measure([&] { return pass(dialler, *acceptor); });
    STARLING_CHECK(dialler.open() && acceptor->open());
    Greeting hers(ChannelRole::Dialler, theirs, Admission::Member, dialler.binding());
    const auto hello = hers.poll_transmit();
    (void)acceptors.measure([&] {
        Greeting his(ChannelRole::Acceptor, ours, Admission::Member, acceptor->binding());
        const auto step = his.handle_frame(hello->type, hello->payload);
        STARLING_CHECK(step.has_value() && *step == Greeting::Step::Over);
        return his.poll_transmit();
    });
}

/// A stranger with another key: its first message, and the alert.
void refuse_one(const Introduction& ours, const Introduction& stranger, Meter& acceptors) {
    Channel dialler(ChannelRole::Dialler, stranger.keys);
    const auto refused = acceptors.measure([&] {
        Channel acceptor(ChannelRole::Acceptor, ours.keys);
        return pass(dialler, acceptor);
    });
    STARLING_CHECK(refused.has_error());
}

void report(const char* what, double seconds, const std::function<void(Meter&)>& one) {
    Meter meter;
    int count = 0;
    const double begin = cpu_seconds();
    while (cpu_seconds() - begin < seconds) {
        one(meter);
        ++count;
    }
    std::printf(
        "{\"bench\":\"handshake\",\"what\":\"%s\",\"count\":%d,\"acceptor_ms\":%.4f,"
        "\"per_s_and_core\":%.0f}\n",
        what,
        count,
        1e3 * meter.total() / count,
        count / meter.total()
    );
}

int run(double seconds) {
    SwarmKey key;
    key.bytes.fill(7);
    const auto ours = introduction_of(keyed_channel(key));
    const auto honest = introduction_of(keyed_channel(key));
    const auto stranger = introduction_of(guest_channel());
    report("opened", seconds, [&](Meter& meter) { open_one(ours, honest, meter); });
    report("refused", seconds, [&](Meter& meter) { refuse_one(ours, stranger, meter); });
    return kExitDone;
}

}  // namespace

void add_bench_handshake(CLI::App& bench, Command& chosen) {
    auto seconds = std::make_shared<double>(2.0);
    auto* command = bench.add_subcommand(
        "handshake", "Open sealed streams in memory, and refuse some: CPU time of the acceptor"
    );
    command->add_option("--seconds", *seconds, "Measure each for so long")
        ->check(CLI::Range(0.01, 3600.0))
        ->capture_default_str();
    command->footer("Example:\n  starling bench handshake --seconds 1");
    command->callback([seconds, &chosen] { chosen = [seconds] { return run(*seconds); }; });
}

}  // namespace starling::peer
