#include "peer/fleet/packet_paths.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "peer/fleet/ipv4.hpp"

namespace starling::peer {
namespace {

using What = scenario::Barrier::What;

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
    const auto protocol = ipv4::number(packet, ipv4::kProtocolAt, 1);
    if (protocol == ipv4::kTcp) return kStream;
    return protocol == ipv4::kUdp ? kDatagram : kOther;
}

std::uint32_t destination(std::span<const std::byte> packet) {
    return ipv4::number(packet, ipv4::kDestinationAt, 4);
}

}  // namespace

PacketPaths::PacketPaths(std::size_t peers, std::uint64_t seed)
    : peers_(peers),
      rng_(seed),
      values_(peers * peers),
      barriers_(peers * peers),
      dark_(peers),
      up_(peers),
      down_(peers),
      broken_(peers),
      last_(peers * peers) {}

std::size_t PacketPaths::pair(std::size_t from, std::size_t to) const {
    return (from - 1) * peers_ + (to - 1);
}

void PacketPaths::set_values(const scenario::LinkFaults& faults) {
    std::fill(values_.begin(), values_.end(), static_cast<const scenario::LinkValues&>(faults));
    for (auto& queue : up_) queue.rate = faults.rate;
    for (auto& queue : down_) queue.rate.reset();
    for (const auto& part : faults.parts) {
        for (const auto from : part.from) {
            if (part.values.rate)
                up_.at(from - 1).rate = down_.at(from - 1).rate = part.values.rate;
            for (const auto to : part.to) values_.at(pair(from, to)).take(part.values);
            if (!part.to.empty()) continue;
            for (std::size_t to = 1; to <= peers_; ++to) {
                values_.at(pair(from, to)).take(part.values);
                values_.at(pair(to, from)).take(part.values);
            }
        }
    }
}

void PacketPaths::set(const scenario::LinkFaults& faults) {
    set_values(faults);
    std::fill(barriers_.begin(), barriers_.end(), std::uint8_t{0});
    for (const auto& barrier : faults.barriers) {
        for (const auto from : barrier.from) {
            for (const auto to : barrier.to) {
                if (from != to) barriers_.at(pair(from, to)) |= bits_of(barrier.what);
            }
        }
    }
}

void PacketPaths::break_streams(std::size_t peer, BrokenStreams::How how) {
    broken_.at(peer - 1).begin(how);
}

void PacketPaths::set_dark(std::size_t peer, bool dark) {
    dark_.at(peer - 1) = dark;
}

bool PacketPaths::passes(std::size_t from, std::size_t to, std::span<const std::byte> packet)
    const {
    if (dark_[from - 1] || dark_[to - 1]) return false;
    return (barriers_[pair(from, to)] & bit_of(packet)) == 0;
}

/// Returns when a packet has passed a queue, or nothing if it is too long.
std::optional<Instant> PacketPaths::leaves(Instant now, Queue& queue, std::size_t bytes) {
    auto& free_at = queue.free_at;
    free_at = std::max(free_at, now);
    if (!queue.rate) return now;
    const auto longest = std::max(kQueueTime, from_seconds(double{kQueueBytes} / *queue.rate));
    if (free_at - now > longest) return {};
    free_at += from_seconds(static_cast<double>(bytes) / *queue.rate);
    return free_at;
}

void PacketPaths::send(
    Instant left, std::size_t from, std::size_t to, std::span<const std::byte> packet
) {
    if (bytes_ + packet.size() > kBytesMax) return;
    const auto& values = values_[pair(from, to)];
    auto due = left + values.delay.value_or(Duration{});
    if (values.jitter) due += from_seconds(rng_.uniform() * to_seconds(*values.jitter));
    const auto arrives = leaves(due, down_[to - 1], packet.size());
    if (!arrives) return;
    auto& last = last_[pair(from, to)];
    due = std::max(last, *arrives);
    if (values.reorder && rng_.chance(*values.reorder)) {
        due += kHeldBack;
    } else {
        last = due;
    }
    travelling_.push({due, number_++, from, to, Packet(packet.begin(), packet.end())});
    bytes_ += packet.size();
}

/// Returns whether a packet is of a stream that is broken. Its sender may be told so.
bool PacketPaths::is_broken(
    Instant now, std::size_t from, std::size_t to, std::span<const std::byte> packet
) {
    using Verdict = BrokenStreams::Verdict;
    // Both are asked: each has to see the streams that begin.
    const auto own = broken_[from - 1].judge(packet);
    const auto other = broken_[to - 1].judge(packet);
    if (own == Verdict::Pass && other == Verdict::Pass) return false;
    const auto answer = own == Verdict::Lose || other == Verdict::Lose ? std::vector<std::byte>{}
                                                                       : reset_answer(packet);
    if (!answer.empty()) send(now, to, from, answer);
    return true;
}

void PacketPaths::take(Instant now, std::size_t from, std::span<const std::byte> packet) {
    STARLING_CHECK(from >= 1 && from <= peers_);
    if (!ipv4::is_packet(packet)) return;
    const auto address = destination(packet) & ~kMovedBit;
    const std::size_t to = address - kLinksNet;
    if (address <= kLinksNet || to > peers_ || !passes(from, to, packet)) return;
    if (is_broken(now, from, to, packet)) return;
    const auto& values = values_[pair(from, to)];
    if (values.mtu && packet.size() > *values.mtu) return;
    const auto left = leaves(now, up_[from - 1], packet.size());
    if (!left) return;
    if (values.loss && rng_.chance(*values.loss)) return;
    send(*left, from, to, packet);
    if (values.duplicate && rng_.chance(*values.duplicate)) send(*left, from, to, packet);
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
