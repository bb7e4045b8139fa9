#pragma once

// Which peers of this user run on this machine: each keeps a small file while it runs, in the user's
// own directory for such things, so that `starling status` finds it without an address.

#include <filesystem>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "base/result.hpp"

namespace starling::peer {

struct RunningPeer {
    std::string http;   ///< its HTTP address
    std::string id;     ///< all digits
    std::string state;  ///< its state directory, absolute; empty: none
    std::string life;   ///< what requests that mean this life say (HttpRequest::life)
};

/// Where a peer serves HTTP, as the file `http` of its state directory says: two lines. A peer that was
/// killed leaves the file behind, and another may serve there by now. So whoever asks says which life
/// is meant, and only that one answers.
struct ServingPlace {
    Endpoint http;
    std::string life;
};

/// Returns the name of a new life: 32 random hexadecimal digits.
[[nodiscard]] std::string random_life();

/// Errors    kDiskFull, Io
[[nodiscard]] Result<void> write_serving_place(
    const std::filesystem::path& state, const ServingPlace& place
);

/// Errors    NotFound, BadFormat, Io
[[nodiscard]] Result<ServingPlace> read_serving_place(const std::filesystem::path& state);

/// Removes the file, when nobody serves there any more.
void remove_serving_place(const std::filesystem::path& state);

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
