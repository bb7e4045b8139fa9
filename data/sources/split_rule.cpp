#include "data/sources/split_rule.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/printable.hpp"
#include "base/rng.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

namespace {

/// In split=row%5==0 the number of the row, from 0, unless a column has this name.
constexpr const char* kRowNumber = "row";

}  // namespace

Result<SplitRule> SplitRule::read(const Spec& spec) {
    SplitRule rule;
    const auto shares = read_shares(spec);
    if (!shares) return shares.error();
    rule.test = shares->test;
    rule.valid = shares->valid;
    const auto text = spec.text("split", "");
    if (text.empty()) return rule;
    const auto wrong = fail(
        FaultCode::Usage,
        "'" + spec.to_string() + "': split=" + text +
            " is not allowed; give what is for testing, as split=ID%5==0, split=row%5==0, "
            "split=take<5 or split=part=test"
    );
    if (const auto less = text.find('<'); less != std::string::npos && less > 0) {
        double below = 0.0;
        const char* from = text.data() + less + 1;
        const char* to = text.data() + text.size();
        const auto [after, error] = std::from_chars(from, to, below);
        if (error != std::errc{} || after != to || from == to) return wrong;
        rule.column = text.substr(0, less);
        rule.below = below;
        return rule;
    }
    const auto percent = text.find('%');
    const auto equal = text.find('=');
    if (equal == std::string::npos || equal == 0) return wrong;
    if (percent == std::string::npos || percent > equal) {
        rule.column = text.substr(0, equal);
        rule.value = text.substr(
            text.find_first_not_of('=', equal) == std::string::npos
                ? text.size()
                : text.find_first_not_of('=', equal)
        );
        return rule;
    }
    rule.column = text.substr(0, percent);
    const char* at = text.data() + percent + 1;
    const char* end = text.data() + text.size();
    const auto [after, error] = std::from_chars(at, end, rule.modulo);
    const auto rest = std::find_if(after, end, [](char c) { return c != '='; });
    const auto [last, rest_error] = std::from_chars(rest, end, rule.rest);
    const bool sound = error == std::errc{} && rest_error == std::errc{} && last == end &&
                       rest != after && rule.modulo > 1 && rule.rest >= 0 &&
                       rule.rest < rule.modulo;
    if (!sound) return wrong;
    return rule;
}

bool SplitRule::may_count() const {
    return modulo > 0 && column == kRowNumber;
}

Split SplitRule::split_of(std::uint64_t row, double cell, const ColumnFacts* facts) const {
    if (column.empty()) {
        const double draw = static_cast<double>(mix64(row) >> 11U) * 0x1p-53;
        if (draw < test) return Split::Test;
        return draw < test + valid ? Split::Valid : Split::Train;
    }
    if (facts == nullptr) {
        const auto left = row % static_cast<std::uint64_t>(modulo);
        return left == static_cast<std::uint64_t>(rest) ? Split::Test : Split::Train;
    }
    bool tests = false;
    if (modulo > 0 || below) {
        tests = facts->kind != ColumnKind::Category && tests_number(cell);
    } else if (facts->kind == ColumnKind::Category) {
        const auto place = static_cast<std::size_t>(std::isfinite(cell) ? cell : -1.0);
        tests = std::isfinite(cell) && facts->categories[place].first == value;
    } else {
        tests = shortest_text(cell) == value;
    }
    return tests ? Split::Test : Split::Train;
}

bool SplitRule::tests_number(double number) const {
    if (!std::isfinite(number)) return false;
    if (below) return number < *below;
    return std::fmod(number, static_cast<double>(modulo)) == static_cast<double>(rest);
}

Split SplitRule::split_of_text(std::string_view field) const {
    if (modulo == 0 && !below) return field == value ? Split::Test : Split::Train;
    double number = 0.0;
    const char* end = field.data() + field.size();
    const auto [after, error] = std::from_chars(field.data(), end, number);
    const bool whole = error == std::errc{} && after == end;
    return whole && tests_number(number) ? Split::Test : Split::Train;
}

}  // namespace starling::data
