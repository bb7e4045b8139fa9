#include "peer/fleet/peer_disks.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "peer/machine/files.hpp"

namespace starling::peer {
namespace {

constexpr const char* kFiller = "filler";
constexpr unsigned kPrivateMode = 0700;

Fault refused(const std::string& what, int error) {
    return fail(
        FaultCode::Refused,
        what + ": " + std::generic_category().message(error) +
            "; disk-full and disk-read-only need disks of their own"
    );
}

Fault failed(const std::filesystem::path& path, int error) {
    return fail(FaultCode::Io, path.string() + ": " + std::generic_category().message(error));
}

/// Writes until nothing more fits.
Result<void> fill(const std::filesystem::path& path) {
    const FileHandle file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!file.is_open()) {
        return failed(path, errno);
    }
    static constexpr std::array<char, 65'536> kZeros{};
    // The last page is filled byte by byte, as it were: a write that does not fit is made smaller.
    for (std::size_t size = kZeros.size(); size > 0; size /= 2) {
        while (::write(file.get(), kZeros.data(), size) > 0) {
        }
    }
    return {};
}

}  // namespace

Result<PeerDisks> PeerDisks::make(const std::filesystem::path& folder, std::size_t peers) {
    if (::unshare(CLONE_NEWNS) != 0) return refused("mounts of our own", errno);
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        return refused("mounts of our own", errno);
    }
    PeerDisks disks;
    const auto options = fmt::format("size={},mode=0700", kBytes);
    for (std::size_t peer = 1; peer <= peers; ++peer) {
        const auto path = folder / fmt::format("peer-{}", peer);
        if (auto made = make_directories(real_disk(), path, kPrivateMode); !made) {
            return made.error();
        }
        if (::mount("starling", path.c_str(), "tmpfs", MS_NODEV | MS_NOSUID, options.c_str()) !=
            0) {
            return refused(path.string(), errno);
        }
        disks.mounts_.push_back(path);
    }
    return disks;
}

PeerDisks::PeerDisks(PeerDisks&& other) noexcept : mounts_(std::exchange(other.mounts_, {})) {}

PeerDisks::~PeerDisks() {
    for (const auto& path : mounts_) (void)::umount2(path.c_str(), MNT_DETACH);
}

Result<void> PeerDisks::set_full(std::size_t peer, bool full) {
    const auto path = mounts_.at(peer - 1) / kFiller;
    if (full) return fill(path);
    std::error_code error;
    std::filesystem::remove(path, error);
    if (error) return fail(FaultCode::Io, path.string() + ": " + error.message());
    return {};
}

// A disk with a file that is open for writing cannot be made read-only, but a second mount of it that
// covers the first can.
Result<void> PeerDisks::set_read_only(std::size_t peer, bool read_only) {
    const auto& path = mounts_.at(peer - 1);
    if (!read_only) {
        if (::umount2(path.c_str(), MNT_DETACH) == 0) return {};
        return failed(path, errno);
    }
    if (::mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
        return failed(path, errno);
    }
    constexpr auto kReadOnly = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID;
    if (::mount(nullptr, path.c_str(), nullptr, kReadOnly, nullptr) == 0) return {};
    const int error = errno;
    (void)::umount2(path.c_str(), MNT_DETACH);
    return failed(path, error);
}

}  // namespace starling::peer
