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
    std::string token;  ///< what gives its owner the right to order it about (HttpRequest::token)
};

/// Where a peer serves HTTP, as the file `http` of its state directory says: three lines. A peer that
/// was killed leaves the file behind, and another may serve there by now. So whoever asks says which life
/// is meant, and only that one answers. Releases before the token wrote two lines.
struct ServingPlace {
    Endpoint http;
    std::string life;
    std::string token{};  ///< empty: none is known
};

/// Returns a directory of the user for what belongs to running processes, and makes it if need be. Others
/// may write to /tmp, so a directory there that is not the user's alone is not used: then it is empty.
[[nodiscard]] std::filesystem::path runtime_directory(const std::string& name);

/// Returns the name of a new life: 32 random hexadecimal digits.
[[nodiscard]] std::string random_life();

/// Returns the token of a new life: 64 random hexadecimal digits, which nobody can guess.
[[nodiscard]] std::string random_token();

/// Writes the file, which only its owner may read.
/// Errors    kDiskFull, Io
[[nodiscard]] Result<void> write_serving_place(
    const std::filesystem::path& state, const ServingPlace& place
);

/// Returns the token in a file: in its last line that is one. So a copy of the file `http` will do, and a
/// file with nothing else.
/// Errors    NotFound, BadFormat (no line is a token), Io
[[nodiscard]] Result<std::string> read_token(const std::filesystem::path& file);

/// Errors    NotFound, BadFormat, Io (also: it belongs to another user)
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

    /// Returns whether the file is there.
    [[nodiscard]] bool is_written() const { return !file_.empty(); }

private:
    std::filesystem::path file_;
};

/// Returns the peers whose processes live. One that has only just started may not serve yet.
[[nodiscard]] std::vector<RunningPeer> running_peers();

}  // namespace starling::peer
