#include "peer/streams/tcp_facts.hpp"

#include <cstddef>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace starling::peer {

TcpFacts tcp_facts(int socket) {
    tcp_info info{};
    socklen_t size = sizeof(info);
    if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
    // Kernels before 4.10 return less. Without a sample the round trip is the largest number.
    constexpr std::uint32_t kUnknown = ~std::uint32_t{0};
    const bool told = size >= offsetof(tcp_info, tcpi_busy_time) + sizeof(info.tcpi_busy_time);
    if (!told || info.tcpi_min_rtt == kUnknown) return {};
    return {
        std::chrono::microseconds(info.tcpi_min_rtt),
        static_cast<double>(info.tcpi_delivery_rate),
        info.tcpi_bytes_acked,
        std::chrono::microseconds(info.tcpi_busy_time),
        std::chrono::microseconds(info.tcpi_rtt)};
}

void limit_segments(int socket) {
    constexpr int kSegmentBytes = 1200;  // IPv6 and TCP add 60 bytes
    // Without the option the stream is as it was before.
    ::setsockopt(socket, IPPROTO_TCP, TCP_MAXSEG, &kSegmentBytes, sizeof(kSegmentBytes));
}

}  // namespace starling::peer
