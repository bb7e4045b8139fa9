#pragma once

// Names of many files, one behind the other in a few blocks: a million of them cost their letters.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

namespace starling::data {

/// Thread    one at a time
class NameArena {
public:
    /// Copies a name. The copy stays where it is as long as the arena or what it was moved to.
    [[nodiscard]] std::string_view keep(std::string_view name) {
        if (name.size() > left_) {
            left_ = std::max(kBlockBytes, name.size());
            blocks_.push_back(std::make_unique_for_overwrite<char[]>(left_));
            at_ = blocks_.back().get();
        }
        char* begin = at_;
        at_ = std::copy(name.begin(), name.end(), begin);
        left_ -= name.size();
        return {begin, name.size()};
    }

private:
    static constexpr std::size_t kBlockBytes = std::size_t{64} << 10U;

    std::vector<std::unique_ptr<char[]>> blocks_;
    char* at_ = nullptr;
    std::size_t left_ = 0;
};

}  // namespace starling::data
