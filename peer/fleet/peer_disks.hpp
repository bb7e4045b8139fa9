#pragma once

// Disks of a scenario's peers that can be full or refuse to be written: each state directory is a small file system in memory. They
// are mounted where only this process and its children see them, so nothing of them is left when it ends.

#include <cstddef>
#include <filesystem>
#include <vector>

#include "base/result.hpp"

namespace starling::peer {

/// Thread    main: the children that it starts see the disks
class PeerDisks {
public:
    /// Mounts `peer-1` to `peer-N` below the folder. Needs the right to (root, or allow_net_spaces()).
    /// Errors    Refused (this machine or user cannot), Io
    [[nodiscard]] static Result<PeerDisks> make(
        const std::filesystem::path& folder, std::size_t peers
    );

    PeerDisks(PeerDisks&& other) noexcept;
    PeerDisks& operator=(PeerDisks&&) = delete;
    /// Unmounts them. What is on them is lost.
    ~PeerDisks();

    /// Fills a disk, or takes the filler away. Peers count from 1.
    /// Errors    Io
    Result<void> set_full(std::size_t peer, bool full);

    /// Lets nothing on a disk be changed, as a kernel does that has met errors there, or lets it be changed
    /// again. What is open for writing stays so.
    /// Errors    Io
    Result<void> set_read_only(std::size_t peer, bool read_only);

    /// Room on a disk, in bytes. Twice this times the number of peers is the most memory that they take.
    static constexpr std::size_t kBytes = std::size_t{256} << 20U;

private:
    PeerDisks() = default;

    std::vector<std::filesystem::path> mounts_;
};

}  // namespace starling::peer
