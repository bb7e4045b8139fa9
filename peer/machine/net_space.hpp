#pragma once

// A network of its own for a child process: a network namespace whose only link to the outside is a TUN
// device in our hand. Each packet that a process inside sends comes out of the device, and what we write
// into it arrives there. The kernel takes both away when their descriptors close, kill -9 included: no
// name, no file and no rule is left behind. (Linux: network_namespaces(7), networking/tuntap)

#include <cstddef>
#include <cstdint>

#include "base/result.hpp"
#include "peer/machine/files.hpp"

namespace starling::peer {

struct NetSpaceOptions {
    std::uint32_t address = 0;  ///< IPv4, host order
    unsigned prefix = 16;       ///< bits that all addresses of the network share
    std::size_t mtu = 1500;     ///< bytes
};

/// Name of the device inside.
inline constexpr const char* kNetSpaceDevice = "link0";

class NetSpace {
public:
    /// Makes a network with loopback and one address. Needs the right to (root, or
    /// allow_net_spaces()) and /dev/net/tun.
    /// Errors    Refused (this machine or user cannot; says what is missing), Io
    [[nodiscard]] static Result<NetSpace> make(const NetSpaceOptions& options);

    /// Gives it another address instead. Streams and sockets of the old one are dead.
    /// Errors    Refused
    Result<void> set_address(const NetSpaceOptions& options);

    /// The namespace, for ProcessOptions::net_space.
    [[nodiscard]] int space() const { return space_.get(); }

    /// The device. Reads and writes whole IPv4 packets, and does not block.
    [[nodiscard]] int device() const { return device_.get(); }

private:
    NetSpace(FileHandle space, FileHandle device)
        : space_(std::move(space)),
          device_(std::move(device)) {}

    FileHandle space_;
    FileHandle device_;
};

/// Gives a process that is not root's the right to make networks, in a user namespace of its own. The
/// kernel allows that to processes of one thread alone, so this may execute the program anew with the
/// same arguments. Call it before any work is done. Root needs nothing of it.
/// Errors    Refused (says what is missing)
[[nodiscard]] Result<void> allow_net_spaces();

}  // namespace starling::peer
