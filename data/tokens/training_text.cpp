#include "data/tokens/training_text.hpp"

#include <algorithm>
#include <utility>

namespace starling::data {

Result<std::size_t> TrainingText::read(std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size()) {
        if (rest_.empty()) {
            const auto more = fill();
            if (!more) return more.error();
            if (!*more) break;
        }
        const auto count = std::min(rest_.size(), out.size() - done);
        std::copy_n(rest_.begin(), count, out.begin() + static_cast<std::ptrdiff_t>(done));
        rest_.remove_prefix(count);
        done += count;
    }
    return done;
}

Fault TrainingText::bad(FaultCode code, const std::string& what) const {
    return fail(code, name_ + ": " + what);
}

Result<bool> TrainingText::fill() {
    while (left_ > 0) {
        if (!inside_) {
            const auto more = reader_->next();
            if (!more) return more.error();
            if (!*more) return false;
            inside_ = true;
            if (std::exchange(some_, true)) {
                rest_ = "\n";
                return true;
            }
        }
        const auto piece = reader_->piece();
        if (!piece) return piece.error();
        inside_ = !piece->empty();
        rest_ = piece->substr(0, take_characters(*piece, left_, true));
        if (!rest_.empty()) return true;
    }
    return false;
}

}  // namespace starling::data
