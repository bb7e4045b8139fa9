#include "peer/node/address_keeper.hpp"

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

namespace starling::peer {

namespace {

constexpr Duration kCheckEvery = std::chrono::seconds(2);

}  // namespace

AddressKeeper::AddressKeeper(
    Loop& loop, std::function<AddressBook()> look, std::function<void(const std::string&)> failed
)
    : look_(std::move(look)),
      failed_(std::move(failed)),
      timer_(loop, [this] { check(); }) {}

void AddressKeeper::begin(const std::filesystem::path& state, AddressBook first) {
    state_ = state;
    known_ = std::move(first);
    check();
}

/// A disk may take seconds for a small file, and then would delay answers to probes.
void AddressKeeper::check() {
    timer_.arm_after(kCheckEvery);
    if (writing_.valid()) {
        if (writing_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return;
        if (const auto failed = outcome()) {
            failed_(*failed);
            written_ = false;  // the disk may have room again
        }
    }
    auto book = merged();
    if (written_ && book == known_) return;
    written_ = true;
    known_ = std::move(book);
    try {
        writing_ = std::async(std::launch::async, [state = state_, copy = known_] {
            return write_address_book(state, copy);
        });
    } catch (const std::system_error& error) {
        failed_(std::string("cannot keep the addresses of members: ") + error.what());
        written_ = false;
    }
}

/// Returns why the last write has failed, or nothing.
std::optional<std::string> AddressKeeper::outcome() {
    try {
        const auto done = writing_.get();
        return done.has_error() ? std::optional(done.error().message) : std::nullopt;
    } catch (const std::exception& error) {
        return std::string("cannot keep the addresses of members: ") + error.what();
    }
}

/// Returns what is known now, and after it the members that were known before.
AddressBook AddressKeeper::merged() const {
    auto book = look_();
    for (const auto& before : known_.members) {
        const bool there =
            std::find(book.members.begin(), book.members.end(), before) != book.members.end();
        if (!there && before != book.self) book.members.push_back(before);
    }
    if (book.members.size() > kBookMembersMax) book.members.resize(kBookMembersMax);
    return book;
}

}  // namespace starling::peer
