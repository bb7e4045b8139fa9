#include "peer/machine/card_locks.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

#include "peer/machine/running.hpp"

namespace starling::peer {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNameMax = 120;

/// Drivers give names in any encoding, and with any characters.
std::string file_name(std::string_view identity) {
    std::string name(identity.substr(0, kNameMax));
    for (auto& c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!plain) c = '_';
    }
    return name + ".lock";
}

/// Returns the process that the file names.
std::string owner_in(int file) {
    std::array<char, 16> digits{};
    const auto got = ::pread(file, digits.data(), digits.size(), 0);
    std::string text(digits.data(), static_cast<std::size_t>(std::max<ssize_t>(0, got)));
    text.resize(std::min(text.size(), text.find_first_not_of("0123456789")));
    return text.empty() ? "another process" : "process " + text;
}

}  // namespace

fs::path card_lock_directory() {
    return runtime_directory("starling-cards");
}

std::string CardLocks::claim(std::string_view identity) {
    if (directory_.empty() || held_.contains(identity)) return {};
    const auto path = directory_ / file_name(identity);
    FileHandle file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kPrivateFile));
    if (!file.is_open()) return {};
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? owner_in(file.get()) : std::string();
    }
    // For people only: whoever holds the lock has the card, whatever the file says.
    const auto text = std::to_string(::getpid()) + "\n";
    if (::ftruncate(file.get(), 0) == 0) (void)!::pwrite(file.get(), text.data(), text.size(), 0);
    held_.emplace(identity, std::move(file));
    return {};
}

void CardLocks::keep_only(std::string_view identity) {
    std::erase_if(held_, [&](const auto& entry) { return entry.first != identity; });
}

}  // namespace starling::peer
