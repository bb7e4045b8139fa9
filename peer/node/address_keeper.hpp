#pragma once

// Keeps the file `members` of a state directory up to date (peer/start/address_book.hpp).
//
// Thread    network; a thread of its own waits for the disk

#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "peer/machine/loop.hpp"
#include "peer/start/address_book.hpp"

namespace starling::peer {

class AddressKeeper {
public:
    /// `look` returns what is known now. Calls `failed` when the file cannot be written.
    AddressKeeper(
        Loop& loop,
        std::function<AddressBook()> look,
        std::function<void(const std::string&)> failed
    );

    /// Writes the file now and then whenever something has changed. The members of `first` stay in
    /// it as long as there is room, because a member that is down may come back.
    void begin(const std::filesystem::path& state, AddressBook first);

private:
    void check();
    [[nodiscard]] std::optional<std::string> outcome();
    [[nodiscard]] AddressBook merged() const;

    std::function<AddressBook()> look_;
    std::function<void(const std::string&)> failed_;
    std::filesystem::path state_;
    AddressBook known_;
    bool written_ = false;  ///< `known_` is in the file, or is being written
    Timer timer_;
    std::future<Result<void>> writing_;  ///< waits in its destructor
};

}  // namespace starling::peer
