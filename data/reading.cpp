#include "data/reading.hpp"

#include <algorithm>
#include <utility>

namespace starling::data {

namespace {

constexpr std::uint64_t kTellEvery = std::uint64_t{8} << 20U;
/// Of a file that unpacks to a hundred times its size, less is much.
constexpr std::uint64_t kTellsOfAFile = 20;
constexpr std::uint64_t kSeenEvery = 1024;
/// A folder may have thousands of files with the same fault.
constexpr std::size_t kNotesMax = 20;

thread_local Reading* current = nullptr;

}  // namespace

Reading::Reading()
    : tell_(current == nullptr ? nullptr : current->tell_),
      stop_(current == nullptr ? nullptr : current->stop_),
      before_(std::exchange(current, this)) {}

Reading::Reading(std::function<void(const std::string&)> tell, const std::atomic<bool>* stop)
    : tell_(std::move(tell)),
      stop_(stop),
      before_(std::exchange(current, this)) {}

Reading::~Reading() {
    current = before_;
}

std::vector<std::string> Reading::take_notes() {
    return std::exchange(notes_, {});
}

Result<void> Reading::check() const {
    if (stop_ == nullptr || !stop_->load()) return {};
    return fail(FaultCode::Cancelled, "interrupted");
}

Result<void> Reading::advance(
    std::string_view path, std::uint64_t more, std::uint64_t done, std::uint64_t size
) {
    if (current == nullptr) return {};
    auto& reading = *current;
    if (auto ok = reading.check(); !ok) return ok;
    reading.untold_ += more;
    const auto enough = std::min(kTellEvery, size / kTellsOfAFile);
    if (reading.untold_ == 0 || reading.untold_ < enough || !reading.tell_ || size == 0) return {};
    reading.untold_ = 0;
    // A file that grows while it is read is never more than all of it.
    const auto percent = 100 * std::min(done, size) / size;
    reading.tell_(std::to_string(percent) + " % of " + std::string(path) + " read");
    return {};
}

Result<void> Reading::seen(std::uint64_t done, std::uint64_t all, std::string_view what) {
    if (done % kSeenEvery != 0) return {};
    return tell(std::to_string(100 * done / all) + " % of the " + std::string(what) + " seen");
}

Result<void> Reading::tell(const std::string& line) {
    if (current == nullptr) return {};
    if (auto ok = current->check(); !ok) return ok;
    if (current->tell_) current->tell_(line);
    return {};
}

void Reading::note(const std::string& line) {
    if (current == nullptr) return;
    auto& notes = current->notes_;
    const bool known = std::find(notes.begin(), notes.end(), line) != notes.end();
    if (!known && notes.size() < kNotesMax) notes.push_back(line);
}

}  // namespace starling::data
