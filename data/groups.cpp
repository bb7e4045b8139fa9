#include "data/groups.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>

#include "base/printable.hpp"
#include "data/manifest.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kNamedMax = 12;

std::optional<double> number_in(const std::string& text) {
    double number = 0;
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || rest != end || !(number == number)) return std::nullopt;
    return number;
}

bool comes_before(const std::string& a, const std::string& b) {
    const auto x = number_in(a);
    const auto y = number_in(b);
    if (x && y && *x != *y) return *x < *y;
    if (x.has_value() != y.has_value()) return x.has_value();
    return a < b;
}

std::string quoted(const std::string& value) {
    return value.empty() ? "(none)" : printable(value);
}

}  // namespace

void GroupBuilder::add(std::string_view value) {
    if (too_many_) return;
    auto found = places_.find(value);
    if (found == places_.end()) {
        if (places_.size() == kGroupsMax) {
            too_many_ = true;
            places_ = {};
            of_ = {};
            return;
        }
        const auto place = static_cast<std::uint32_t>(places_.size());
        found = places_.emplace(std::string(value), place).first;
    }
    of_.push_back(found->second);
}

Result<Groups> GroupBuilder::groups(const std::string& field) const {
    if (too_many_) {
        return fail(
            FaultCode::Usage,
            "--partition: " + field + " has more than " + std::to_string(kGroupsMax) +
                " different values; give one with fewer"
        );
    }
    std::vector<std::pair<std::string, std::uint32_t>> values(places_.begin(), places_.end());
    std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) {
        return comes_before(a.first, b.first);
    });
    Groups groups;
    std::vector<std::uint32_t> now(values.size());
    for (std::uint32_t i = 0; i < values.size(); ++i) {
        now[values[i].second] = i;
        groups.names.push_back(std::move(values[i].first));
    }
    groups.sizes.assign(groups.names.size(), 0);
    groups.of.reserve(of_.size());
    for (const auto place : of_) {
        groups.of.push_back(now[place]);
        ++groups.sizes[now[place]];
    }
    return groups;
}

Result<std::vector<std::uint32_t>> deal_groups(
    const Groups& groups, std::uint32_t owners, const std::string& field
) {
    const auto count = groups.count();
    std::vector<std::uint32_t> owner(count);
    if (owners == 0) {
        if (count > kPartitionsMax) {
            return fail(
                FaultCode::Usage,
                "--partition column=" + field + ": " + std::to_string(count) +
                    " values are over 1024, so say for how many peers: owners=N"
            );
        }
        std::iota(owner.begin(), owner.end(), 0U);
        return owner;
    }
    if (count < owners) {
        return fail(
            FaultCode::Usage,
            "--partition column=" + field + ": it has " + std::to_string(count) +
                " values in the training samples, fewer than owners=" + std::to_string(owners)
        );
    }
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return groups.sizes[a] > groups.sizes[b];
    });
    std::vector<std::uint64_t> held(owners, 0);
    std::vector<std::uint64_t> values(owners, 0);
    for (const auto value : order) {
        // Of owners with equally little the one with fewer values: none stays without one.
        std::uint32_t least = 0;
        for (std::uint32_t i = 1; i < owners; ++i) {
            if (std::pair(held[i], values[i]) < std::pair(held[least], values[least])) least = i;
        }
        owner[value] = least;
        held[least] += groups.sizes[value];
        ++values[least];
    }
    return owner;
}

std::string describe_deal(
    const Groups& groups,
    const std::vector<std::uint32_t>& owners,
    const std::string& field,
    std::string_view unit
) {
    const auto count = owners.empty() ? 0 : *std::max_element(owners.begin(), owners.end()) + 1;
    std::string text = "--partition column=" + printable(field) + ": " +
                       std::to_string(groups.count()) + " values for " + std::to_string(count) +
                       " owners, in " + std::string(unit) + ": ";
    std::size_t named = 0;
    for (std::uint32_t owner = 0; owner < count; ++owner) {
        if (owner > 0) text += "; ";
        bool first = true;
        for (std::size_t i = 0; i < owners.size(); ++i) {
            if (owners[i] != owner) continue;
            if (named++ == kNamedMax) return text + "...";
            text += (first ? "" : ", ") + quoted(groups.names[i]) + " " +
                    std::to_string(groups.sizes[i]);
            first = false;
        }
    }
    return text;
}

Fault no_such_field(
    const std::string& source, const std::string& field, const std::vector<std::string>& known
) {
    std::string listed;
    for (const auto& name : known) listed += (listed.empty() ? "" : ", ") + printable(name);
    return fail(
        FaultCode::Usage,
        "--partition column=" + printable(field) + ": " + source + " has no such column; " +
            (known.empty() ? "it has none" : "there are " + listed)
    );
}

}  // namespace starling::data
