#pragma once

// Which peers of this user run on this machine: each keeps a small file while it runs, in the user's
// own directory for such things, so that `starling status` finds it without an address.

#include <filesystem>
#include <string>
#include <vector>

namespace starling::peer {

struct RunningPeer {
    std::string http;   ///< its HTTP address
    std::string id;     ///< all digits
    std::string state;  ///< its state directory, absolute; empty: none
};

/// The file of one peer. It is removed with the mark. A peer that is killed leaves its file behind;
/// running_peers() removes it. A peer that cannot write its file is only harder to find.
class RunningMark {
public:
    RunningMark() = default;
    explicit RunningMark(const RunningPeer& peer);
    ~RunningMark();
    RunningMark(RunningMark&& other) noexcept;
    RunningMark& operator=(RunningMark&& other) noexcept;
    RunningMark(const RunningMark&) = delete;
    RunningMark& operator=(const RunningMark&) = delete;

private:
    std::filesystem::path file_;
};

/// Returns the peers whose processes live. One that has only just started may not serve yet.
[[nodiscard]] std::vector<RunningPeer> running_peers();

}  // namespace starling::peer
