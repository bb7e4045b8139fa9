#include "peer/fleet/broken_streams.hpp"

#include <algorithm>
#include <optional>

#include "peer/fleet/ipv4.hpp"

namespace starling::peer {
namespace {

// RFC 9293, section 3.1; places count from the beginning of the TCP header.
constexpr std::size_t kTcpBytes = 20;
constexpr std::size_t kSequenceAt = 4;
constexpr std::size_t kAckAt = 8;
constexpr std::size_t kOffsetAt = 12;
constexpr std::size_t kFlagsAt = 13;
constexpr std::size_t kTcpChecksumAt = 16;
constexpr std::uint32_t kFin = 1;
constexpr std::uint32_t kSyn = 2;
constexpr std::uint32_t kRst = 4;
constexpr std::uint32_t kAck = 16;
constexpr std::uint32_t kTtl = 64;

using ipv4::number;

void put(std::span<std::byte> bytes, std::size_t at, std::size_t size, std::uint32_t value) {
    for (std::size_t i = size; i > 0; --i) {
        bytes[at + i - 1] = static_cast<std::byte>(value & 0xFFU);
        value >>= 8U;
    }
}

/// A TCP packet of IPv4.
struct Packet {
    std::span<const std::byte> ip;
    std::span<const std::byte> tcp;
    std::uint32_t flags = 0;
    std::uint32_t payload = 0;  ///< bytes
};

std::optional<Packet> read(std::span<const std::byte> bytes) {
    if (!ipv4::is_packet(bytes)) return {};
    const std::size_t header = std::size_t{number(bytes, 0, 1) & 0x0FU} * 4;
    const std::size_t total = number(bytes, ipv4::kTotalAt, 2);
    if (header < ipv4::kHeaderBytes || total > bytes.size() || total < header + kTcpBytes)
        return {};
    if (number(bytes, ipv4::kProtocolAt, 1) != ipv4::kTcp) return {};
    Packet packet{bytes.first(header), bytes.subspan(header, total - header), 0, 0};
    packet.flags = number(packet.tcp, kFlagsAt, 1);
    const std::size_t offset = std::size_t{number(packet.tcp, kOffsetAt, 1) >> 4U} * 4;
    if (offset < kTcpBytes || offset > packet.tcp.size()) return {};
    packet.payload = static_cast<std::uint32_t>(packet.tcp.size() - offset);
    return packet;
}

/// RFC 1071.
std::uint32_t folded_sum(std::span<const std::byte> bytes, std::uint32_t sum) {
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += number(bytes, i, 2);
    while (sum >> 16U != 0) sum = (sum & 0xFFFFU) + (sum >> 16U);
    return sum;
}

}  // namespace

void BrokenStreams::begin(How how) {
    how_ = how;
    new_.clear();
}

BrokenStreams::Verdict BrokenStreams::judge(std::span<const std::byte> bytes) {
    if (how_ == How::Nothing) return Verdict::Pass;
    const auto packet = read(bytes);
    if (!packet) return Verdict::Pass;
    const auto end = [&](std::size_t address, std::size_t port) {
        return std::uint64_t{number(packet->ip, address, 4)} << 16U | number(packet->tcp, port, 2);
    };
    const auto from = end(ipv4::kSourceAt, 0);
    const auto to = end(ipv4::kDestinationAt, 2);
    const Stream stream(std::min(from, to), std::max(from, to));
    const bool opens = (packet->flags & (kSyn | kAck)) == kSyn;
    if (opens && new_.size() < kNewMax) new_.insert(stream);
    if (new_.size() >= kNewMax || new_.contains(stream)) return Verdict::Pass;
    return how_ == How::Reset ? Verdict::Answer : Verdict::Lose;
}

std::vector<std::byte> reset_answer(std::span<const std::byte> bytes) {
    const auto packet = read(bytes);
    if (!packet || (packet->flags & kRst) != 0) return {};
    std::vector<std::byte> answer(ipv4::kHeaderBytes + kTcpBytes);
    const std::span ip = std::span(answer).first(ipv4::kHeaderBytes);
    const std::span tcp = std::span(answer).subspan(ipv4::kHeaderBytes);
    put(ip, 0, 1, 0x45);
    put(ip, ipv4::kTotalAt, 2, static_cast<std::uint32_t>(answer.size()));
    put(ip, ipv4::kTtlAt, 1, kTtl);
    put(ip, ipv4::kProtocolAt, 1, ipv4::kTcp);
    put(ip, ipv4::kSourceAt, 4, number(packet->ip, ipv4::kDestinationAt, 4));
    put(ip, ipv4::kDestinationAt, 4, number(packet->ip, ipv4::kSourceAt, 4));
    put(ip, ipv4::kChecksumAt, 2, ~folded_sum(ip, 0) & 0xFFFFU);
    put(tcp, 0, 2, number(packet->tcp, 2, 2));
    put(tcp, 2, 2, number(packet->tcp, 0, 2));
    put(tcp, kOffsetAt, 1, (kTcpBytes / 4) << 4U);
    if ((packet->flags & kAck) != 0) {
        put(tcp, kSequenceAt, 4, number(packet->tcp, kAckAt, 4));
        put(tcp, kFlagsAt, 1, kRst);
    } else {
        const auto taken = packet->payload + ((packet->flags & kSyn) != 0 ? 1U : 0U) +
                           ((packet->flags & kFin) != 0 ? 1U : 0U);
        put(tcp, kAckAt, 4, number(packet->tcp, kSequenceAt, 4) + taken);
        put(tcp, kFlagsAt, 1, kRst | kAck);
    }
    // The pseudo header: both addresses, the protocol and the length.
    const auto pseudo = folded_sum(ip.subspan(ipv4::kSourceAt, 8), ipv4::kTcp + kTcpBytes);
    put(tcp, kTcpChecksumAt, 2, ~folded_sum(tcp, pseudo) & 0xFFFFU);
    return answer;
}

}  // namespace starling::peer
