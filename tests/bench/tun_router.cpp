// A link between two network namespaces that is as bad as asked: rate, delay, jitter and loss, each
// direction alike, from a seed. For kernels without netem. It makes a TUN device in each namespace,
// says so in one line, and carries packets until it is killed; whoever starts it gives the devices
// their addresses.
//
//     tun_router --left NETNS:DEVICE --right NETNS:DEVICE
//                [--rate MBIT] [--delay MS] [--jitter MS] [--loss PERCENT] [--queue KIB] [--seed N]
//
// Delay counts one way. A packet waits for the link (rate, at most `queue` behind one another, the
// rest is dropped), then travels; jitter never reorders.

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <map>
#include <poll.h>
#include <random>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Options = std::map<std::string, std::string>;

constexpr std::size_t kPacketMax = 65536;
/// Packets read from one side before the other has its turn.
constexpr int kTurn = 64;

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "tun_router: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

struct Link {
    double bytes_per_s = 0.0;  ///< 0: any
    Clock::duration delay{};
    double jitter_s = 0.0;
    double loss = 0.0;
    double queue_bytes = 0.0;
};

/// What travels in one direction.
class Direction {
public:
    Direction(const Link& link, int to, std::uint64_t seed) : link_(link), to_(to), luck_(seed) {}

    void take(Clock::time_point now, const std::byte* packet, std::size_t size) {
        free_at_ = std::max(free_at_, now);
        const double waiting = std::chrono::duration<double>(free_at_ - now).count();
        if (link_.bytes_per_s > 0.0) {
            if (waiting * link_.bytes_per_s > link_.queue_bytes) return;
            free_at_ += seconds(static_cast<double>(size) / link_.bytes_per_s);
        }
        std::uniform_real_distribution<double> draw(0.0, 1.0);
        if (draw(luck_) < link_.loss) return;
        auto due = free_at_ + link_.delay + seconds(draw(luck_) * link_.jitter_s);
        if (!packets_.empty()) due = std::max(due, packets_.back().due);
        packets_.push_back({due, std::vector<std::byte>(packet, packet + size)});
    }

    void deliver(Clock::time_point now) {
        while (!packets_.empty() && packets_.front().due <= now) {
            const auto& bytes = packets_.front().bytes;
            // A device that is full or gone drops, as a link does.
            if (::write(to_, bytes.data(), bytes.size()) < 0 && errno == EBADFD) die("write");
            packets_.pop_front();
        }
    }

    [[nodiscard]] Clock::time_point next() const {
        return packets_.empty() ? Clock::time_point::max() : packets_.front().due;
    }

private:
    struct Packet {
        Clock::time_point due;
        std::vector<std::byte> bytes;
    };

    static Clock::duration seconds(double count) {
        return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(count));
    }

    Link link_;
    int to_;
    std::mt19937_64 luck_;
    Clock::time_point free_at_{};
    std::deque<Packet> packets_;
};

/// Makes a device in a namespace; the descriptor works from any.
int open_device(const std::string& place) {
    const auto colon = place.find(':');
    if (colon == std::string::npos) {
        std::fprintf(stderr, "tun_router: '%s' is not NETNS:DEVICE\n", place.c_str());
        std::exit(2);
    }
    const std::string path = "/var/run/netns/" + place.substr(0, colon);
    const int space = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (space < 0 || ::setns(space, CLONE_NEWNET) != 0) die(path);
    ::close(space);
    const int device = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device < 0) die("/dev/net/tun");
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    place.substr(colon + 1).copy(request.ifr_name, IFNAMSIZ - 1);
    if (::ioctl(device, TUNSETIFF, &request) != 0) die(place);
    return device;
}

void drain(int from, Direction& direction) {
    std::array<std::byte, kPacketMax> packet;
    for (int i = 0; i < kTurn; ++i) {
        const auto size = ::read(from, packet.data(), packet.size());
        if (size <= 0) return;
        direction.take(Clock::now(), packet.data(), static_cast<std::size_t>(size));
    }
}

void carry(int left, int right, Direction& rightwards, Direction& leftwards) {
    std::array<pollfd, 2> sides{pollfd{left, POLLIN, 0}, pollfd{right, POLLIN, 0}};
    while (true) {
        const auto next = std::min(rightwards.next(), leftwards.next());
        timespec wait{};
        const bool idle = next == Clock::time_point::max();
        const auto left_ns = idle ? 0 : std::max<long long>(0, (next - Clock::now()).count());
        wait.tv_sec = static_cast<time_t>(left_ns / 1'000'000'000);
        wait.tv_nsec = static_cast<long>(left_ns % 1'000'000'000);
        if (::ppoll(sides.data(), sides.size(), idle ? nullptr : &wait, nullptr) < 0) die("ppoll");
        if ((sides[0].revents & POLLIN) != 0) drain(left, rightwards);
        if ((sides[1].revents & POLLIN) != 0) drain(right, leftwards);
        const auto now = Clock::now();
        rightwards.deliver(now);
        leftwards.deliver(now);
    }
}

double number(const Options& options, const std::string& name, double otherwise) {
    const auto found = options.find(name);
    if (found == options.end()) return otherwise;
    const std::string& text = found->second;
    double value = 0.0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0.0) {
        std::fprintf(stderr, "tun_router: %s %s is no number\n", name.c_str(), text.c_str());
        std::exit(2);
    }
    return value;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
    if (!options.contains("--left") || !options.contains("--right") || argc % 2 == 0) {
        std::fputs("usage: tun_router --left NETNS:DEVICE --right NETNS:DEVICE [...]\n", stderr);
        return 2;
    }
    Link link;
    link.bytes_per_s = number(options, "--rate", 0.0) * 1e6 / 8.0;
    link.delay =
        std::chrono::microseconds(static_cast<long long>(1e3 * number(options, "--delay", 0.0)));
    link.jitter_s = number(options, "--jitter", 0.0) / 1e3;
    link.loss = number(options, "--loss", 0.0) / 100.0;
    link.queue_bytes = number(options, "--queue", 256.0) * 1024.0;
    const auto seed = static_cast<std::uint64_t>(number(options, "--seed", 1.0));
    const int left = open_device(options["--left"]);
    const int right = open_device(options["--right"]);
    Direction rightwards(link, right, seed);
    Direction leftwards(link, left, seed + 1);
    std::puts("ready");
    std::fflush(stdout);
    carry(left, right, rightwards, leftwards);
}
