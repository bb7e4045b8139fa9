#include "peer/fleet/packet_paths.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace starling::peer {
namespace {

using What = scenario::Barrier::What;

// RFC 791, section 3.1.
constexpr std::size_t kHeaderBytes = 20;
constexpr std::size_t kProtocolAt = 9;
constexpr std::size_t kDestinationAt = 16;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;

/// What a barrier stops, and what a packet is, as bits.
constexpr std::uint8_t kOther = 1;
constexpr std::uint8_t kDatagram = 2;
constexpr std::uint8_t kStream = 4;

std::uint8_t bits_of(What what) {
    switch (what) {
        case What::Everything:
            return kOther | kDatagram | kStream;
        case What::Datagrams:
            return kDatagram;
        case What::Streams:
            return kStream;
    }
    STARLING_UNREACHABLE("all kinds are above");
}

std::uint8_t bit_of(std::span<const std::byte> packet) {
    const auto protocol = std::to_integer<std::uint8_t>(packet[kProtocolAt]);
    if (protocol == kTcp) return kStream;
    return protocol == kUdp ? kDatagram : kOther;
}

bool is_ipv4(std::span<const std::byte> packet) {
    return packet.size() >= kHeaderBytes && std::to_integer<unsigned>(packet[0]) >> 4U == 4;
}

std::uint32_t destination(std::span<const std::byte> packet) {
    std::uint32_t address = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        address = address << 8U | std::to_integer<std::uint32_t>(packet[kDestinationAt + i]);
    }
    return address;
}

}  // namespace

PacketPaths::PacketPaths(std::size_t peers, std::uint64_t seed)
    : peers_(peers),
      rng_(seed),
      barriers_(peers * peers),
      dark_(peers),
      free_at_(peers),
      last_(peers * peers) {}

std::size_t PacketPaths::pair(std::size_t from, std::size_t to) const {
    return (from - 1) * peers_ + (to - 1);
}

void PacketPaths::set(const scenario::LinkFaults& faults) {
    faults_ = faults;
    std::fill(barriers_.begin(), barriers_.end(), std::uint8_t{0});
    for (const auto& barrier : faults.barriers) {
        for (const auto from : barrier.from) {
            for (const auto to : barrier.to) {
                if (from != to) barriers_.at(pair(from, to)) |= bits_of(barrier.what);
            }
        }
    }
}

void PacketPaths::set_dark(std::size_t peer, bool dark) {
    dark_.at(peer - 1) = dark;
}

bool PacketPaths::passes(std::size_t from, std::size_t to, std::span<const std::byte> packet)
    const {
    if (dark_[from - 1] || dark_[to - 1]) return false;
    return (barriers_[pair(from, to)] & bit_of(packet)) == 0;
}

/// Returns when a packet has left its sender, or nothing if the queue is too long.
std::optional<Instant> PacketPaths::leaves(Instant now, std::size_t from, std::size_t bytes) {
    auto& free_at = free_at_[from - 1];
    free_at = std::max(free_at, now);
    if (!faults_.rate) return now;
    const auto queue = std::max(kQueueTime, from_seconds(double{kQueueBytes} / *faults_.rate));
    if (free_at - now > queue) return {};
    free_at += from_seconds(static_cast<double>(bytes) / *faults_.rate);
    return free_at;
}

void PacketPaths::send(
    Instant left, std::size_t from, std::size_t to, std::span<const std::byte> packet
) {
    if (bytes_ + packet.size() > kBytesMax) return;
    auto due = left + faults_.delay.value_or(Duration{});
    if (faults_.jitter) due += from_seconds(rng_.uniform() * to_seconds(*faults_.jitter));
    auto& last = last_[pair(from, to)];
    due = std::max(last, due);
    if (faults_.reorder && rng_.chance(*faults_.reorder)) {
        due += kHeldBack;
    } else {
        last = due;
    }
    travelling_.push({due, number_++, from, to, Packet(packet.begin(), packet.end())});
    bytes_ += packet.size();
}

void PacketPaths::take(Instant now, std::size_t from, std::span<const std::byte> packet) {
    STARLING_CHECK(from >= 1 && from <= peers_);
    if (!is_ipv4(packet)) return;
    const auto address = destination(packet);
    const std::size_t to = address - kLinksNet;
    if (address <= kLinksNet || to > peers_ || !passes(from, to, packet)) return;
    if (faults_.mtu && packet.size() > *faults_.mtu) return;
    const auto left = leaves(now, from, packet.size());
    if (!left) return;
    if (faults_.loss && rng_.chance(*faults_.loss)) return;
    send(*left, from, to, packet);
    if (faults_.duplicate && rng_.chance(*faults_.duplicate)) send(*left, from, to, packet);
}

void PacketPaths::deliver(Instant now, const Deliver& deliver) {
    while (!travelling_.empty() && travelling_.top().due <= now) {
        const auto& first = travelling_.top();
        if (passes(first.from, first.to, first.bytes)) deliver(first.to, first.bytes);
        bytes_ -= first.bytes.size();
        travelling_.pop();
    }
}

std::optional<Instant> PacketPaths::next() const {
    if (travelling_.empty()) return {};
    return travelling_.top().due;
}

}  // namespace starling::peer
