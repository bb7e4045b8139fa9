#include "peer/machine/private_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace starling::peer {

namespace {

namespace fs = std::filesystem;

constexpr unsigned kOthers = S_IRWXG | S_IRWXO;

using Facts = struct stat;

Fault cannot(const fs::path& path, int error) {
    return fail(
        FaultCode::Io,
        path.string() + ": other users may read it, and that cannot be changed: " +
            std::generic_category().message(error)
    );
}

/// Takes the rights of others away from one file or folder that `facts` describe.
Result<bool> close_one(const fs::path& path, const Facts& facts) {
    if ((facts.st_mode & kOthers) == 0) return false;
    if (facts.st_uid != ::geteuid() && ::geteuid() != 0) {
        return fail(
            FaultCode::Usage,
            path.string() +
                ": it belongs to another user, and others may read it; give --state a folder that "
                "is "
                "yours"
        );
    }
    if (::chmod(path.c_str(), facts.st_mode & (S_IRWXU)) != 0) return cannot(path, errno);
    return true;
}

Result<bool> close_folder(const fs::path& directory) {
    Facts facts{};
    if (::stat(directory.c_str(), &facts) != 0) return cannot(directory, errno);
    // Root could close even /tmp.
    if ((facts.st_mode & S_ISVTX) != 0 && (facts.st_mode & S_IWOTH) != 0) {
        return fail(
            FaultCode::Usage,
            directory.string() + ": all users share this folder; give --state one of its own"
        );
    }
    return close_one(directory, facts);
}

/// Closes what lies in a folder, but not what lies in folders there.
Result<bool> close_contents(const fs::path& directory, const std::vector<std::string>& untouched) {
    bool changed = false;
    std::error_code error;
    fs::directory_iterator entry(directory, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
        const auto& path = entry->path();
        const auto name = path.filename().string();
        if (std::find(untouched.begin(), untouched.end(), name) != untouched.end()) continue;
        Facts facts{};
        // A file that is gone by now is nobody's to read.
        if (::lstat(path.c_str(), &facts) != 0 || S_ISLNK(facts.st_mode)) continue;
        const auto closed = close_one(path, facts);
        if (closed.has_error()) return closed;
        changed = changed || *closed;
    }
    return changed;
}

}  // namespace

Result<bool> close_to_others(const fs::path& directory, const PrivateFolderOptions& options) {
    auto changed = close_folder(directory);
    if (changed.has_error()) return changed;
    const auto inside = close_contents(directory, options.untouched);
    if (inside.has_error()) return inside;
    *changed = *changed || *inside;
    for (const auto& name : options.folders) {
        const auto folder = directory / name;
        std::error_code error;
        if (!fs::is_directory(folder, error)) continue;
        const auto itself = close_folder(folder);
        if (itself.has_error()) return itself;
        const auto contents = close_contents(folder, {});
        if (contents.has_error()) return contents;
        *changed = *changed || *itself || *contents;
    }
    return changed;
}

}  // namespace starling::peer
