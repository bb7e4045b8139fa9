#pragma once

// A field that each training sample has a value of, by which samples can be divided: a column of a
// table, a part of a file's name, the file of a text. It is read when a partition asks for it.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"

namespace starling::data {

/// A field with more different values than these is none to divide by.
inline constexpr std::size_t kGroupsMax = 65536;

struct Groups {
    std::vector<std::string> names;  ///< the values, in order
    std::vector<std::uint32_t> of;   ///< by training sample: the place of its value in `names`
    std::vector<std::uint64_t>
        sizes;  ///< by value: its samples, or what else is to be dealt evenly

    [[nodiscard]] std::size_t count() const { return names.size(); }
};

/// Collects the values of a field, sample by sample.
class GroupBuilder {
public:
    void add(std::string_view value);

    /// Returns what was added. Values are ordered as words, and numbers among them by their size.
    /// Errors    Usage (too many values); it names the field
    [[nodiscard]] Result<Groups> groups(const std::string& field) const;

private:
    struct TextHash {
        using is_transparent = void;

        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };

    std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> places_;
    std::vector<std::uint32_t> of_;
    bool too_many_ = false;
};

/// Deals the values out to owners: one each if `owners` is 0, else the largest ones first, each to the
/// owner that has least so far. Returns the owner of each value.
/// Errors    Usage (fewer values than owners, or more than kPartitionsMax without owners)
[[nodiscard]] Result<std::vector<std::uint32_t>> deal_groups(
    const Groups& groups, std::uint32_t owners, const std::string& field
);

/// Returns a line that says what each owner has: its values with their sizes.
[[nodiscard]] std::string describe_deal(
    const Groups& groups,
    const std::vector<std::uint32_t>& owners,
    const std::string& field,
    std::string_view unit
);

/// Returns a Fault that says which fields there are.
[[nodiscard]] Fault no_such_field(
    const std::string& source, const std::string& field, const std::vector<std::string>& known
);

}  // namespace starling::data
