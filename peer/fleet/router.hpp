#pragma once

// Carries packets between the networks of a scenario's peers, on a thread of its own, as PacketPaths says.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "peer/fleet/packet_paths.hpp"
#include "peer/machine/files.hpp"
#include "peer/scenario/links.hpp"

namespace starling::peer {

/// Thread    any; set() and set_dark() hold for each packet that is read after they return
class Router {
public:
    /// Starts to carry. `devices` are those of the peers (NetSpace::device()), which stay open longer
    /// than the router.
    /// Errors    Io (no descriptors)
    [[nodiscard]] static Result<std::unique_ptr<Router>> start(
        std::vector<int> devices, std::uint64_t seed
    );

    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    void set(const scenario::LinkFaults& faults);
    void set_dark(std::size_t peer, bool dark);
    void break_streams(std::size_t peer, BrokenStreams::How how);

private:
    Router(std::vector<int> devices, std::uint64_t seed, FileHandle wake);

    void carry();
    void drain(std::size_t peer);
    void wait();
    void wake();

    const std::vector<int> devices_;
    const FileHandle wake_;  ///< an eventfd: something has changed
    std::mutex mutex_;
    PacketPaths paths_;  ///< under the mutex
    bool stopping_ = false;
    std::vector<std::byte> packet_;  ///< of the router's thread
    std::thread thread_;
};

}  // namespace starling::peer
