#include "peer/fleet/router.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <optional>
#include <poll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "peer/machine/clock.hpp"

namespace starling::peer {
namespace {

constexpr std::size_t kPacketMax = 65'536;
/// Packets that are read from one peer before the others have their turn.
constexpr int kTurn = 64;

}  // namespace

Result<std::unique_ptr<Router>> Router::start(std::vector<int> devices, std::uint64_t seed) {
    FileHandle wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake.is_open()) {
        return fail(FaultCode::Io, "eventfd: " + std::generic_category().message(errno));
    }
    return std::unique_ptr<Router>(new Router(std::move(devices), seed, std::move(wake)));
}

Router::Router(std::vector<int> devices, std::uint64_t seed, FileHandle wake)
    : devices_(std::move(devices)),
      wake_(std::move(wake)),
      paths_(devices_.size(), seed),
      packet_(kPacketMax),
      thread_([this] { carry(); }) {}

Router::~Router() {
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
    }
    wake();
    thread_.join();
}

void Router::set(const scenario::LinkFaults& faults) {
    {
        const std::scoped_lock lock(mutex_);
        paths_.set(faults);
    }
    wake();
}

void Router::set_dark(std::size_t peer, bool dark) {
    const std::scoped_lock lock(mutex_);
    paths_.set_dark(peer, dark);
}

void Router::break_streams(std::size_t peer, BrokenStreams::How how) {
    const std::scoped_lock lock(mutex_);
    paths_.break_streams(peer, how);
}

void Router::wake() {
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
}

/// Returns once a peer has sent something, a packet arrives, or something has changed.
void Router::wait() {
    std::vector<pollfd> all;
    all.reserve(devices_.size() + 1);
    for (const int device : devices_) all.push_back({device, POLLIN, 0});
    all.push_back({wake_.get(), POLLIN, 0});
    std::optional<Instant> next;
    {
        const std::scoped_lock lock(mutex_);
        next = paths_.next();
    }
    timespec time{};
    if (next) {
        const auto left = std::max(Duration{}, *next - real_now());
        time.tv_sec = static_cast<time_t>(left / std::chrono::seconds(1));
        time.tv_nsec = static_cast<long>((left % std::chrono::seconds(1)).count());
    }
    (void)::ppoll(all.data(), all.size(), next ? &time : nullptr, nullptr);
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
}

void Router::drain(std::size_t peer) {
    for (int i = 0; i < kTurn; ++i) {
        const auto size = ::read(devices_[peer - 1], packet_.data(), packet_.size());
        if (size <= 0) return;
        const std::span bytes(packet_.data(), static_cast<std::size_t>(size));
        paths_.take(real_now(), peer, bytes);
    }
}

void Router::carry() {
    while (true) {
        wait();
        const std::scoped_lock lock(mutex_);
        if (stopping_) return;
        for (std::size_t peer = 1; peer <= devices_.size(); ++peer) drain(peer);
        // A device that is full drops, as a link does.
        paths_.deliver(real_now(), [this](std::size_t to, std::span<const std::byte> packet) {
            (void)!::write(devices_[to - 1], packet.data(), packet.size());
        });
    }
}

}  // namespace starling::peer
