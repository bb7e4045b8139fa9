#pragma once

// Closing a folder to the other users of this machine.

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace starling::peer {

struct PrivateFolderOptions {
    /// Names of files that stay as they are, because whoever reads them refuses what was open to others.
    std::vector<std::string> untouched{};
    /// Names of folders in it whose contents are closed, too.
    std::vector<std::string> folders{};
};

/// Takes the rights of all others away from a folder and from what lies in it. Returns whether there were
/// any. Follows no link, except the folder itself and those in `folders`: each may lie on another disk.
/// Errors    Usage (it belongs to another user, or all users share it), Io
[[nodiscard]] Result<bool> close_to_others(
    const std::filesystem::path& directory, const PrivateFolderOptions& options
);

}  // namespace starling::peer
