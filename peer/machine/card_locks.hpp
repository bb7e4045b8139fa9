#pragma once

// One process of a user on one graphics card: a file for each card, in the user's own directory for
// such things, that whoever computes there has locked. The kernel drops the lock when the process ends
// in any way. Processes of other users, and of other containers, are not seen.

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "peer/machine/files.hpp"

namespace starling::peer {

/// Returns the user's directory for the locks of cards, and makes it if need be; empty where there is none
/// that is the user's alone.
[[nodiscard]] std::filesystem::path card_lock_directory();

/// The cards that this process has taken. They are given back with the object.
/// Thread    one at a time
class CardLocks {
public:
    explicit CardLocks(std::filesystem::path directory = card_lock_directory())
        : directory_(std::move(directory)) {}

    /// Takes a card. Returns who has it (`process 123`), or nothing: it is ours, as of now or before.
    /// Where no file can be had nobody is known to have it.
    [[nodiscard]] std::string claim(std::string_view identity);

    /// Gives all back but this one.
    void keep_only(std::string_view identity);

private:
    std::filesystem::path directory_;
    std::map<std::string, FileHandle, std::less<>> held_;
};

}  // namespace starling::peer
