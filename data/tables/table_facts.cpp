#include "data/tables/table_facts.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/check.hpp"
#include "base/printable.hpp"
#include "base/rng.hpp"

namespace starling::data {

namespace {

/// What a word costs in memory beside its bytes: a node of the map, its bucket, the string.
constexpr std::size_t kWordCost = 96;
constexpr std::size_t kFirstSlots = 16;
constexpr std::size_t kNamesShown = 40;

std::size_t slot_of(double value, std::size_t mask) {
    return static_cast<std::size_t>(mix64(std::bit_cast<std::uint64_t>(value))) & mask;
}

/// Doubles from 2^53 on have no fraction.
bool is_whole(double value) {
    constexpr double kFraction = 9007199254740992.0;
    if (std::abs(value) >= kFraction) return true;
    return static_cast<double>(static_cast<std::int64_t>(value)) == value;
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::string shown(std::string_view name) {
    constexpr std::size_t kShown = 64;
    return printable(std::string(name.substr(0, kShown)));
}

}  // namespace

std::string_view to_string(ColumnKind kind) {
    switch (kind) {
        case ColumnKind::Empty:
            return "empty";
        case ColumnKind::Number:
            return "number";
        case ColumnKind::Category:
            return "category";
        case ColumnKind::Nested:
            return "nested";
    }
    STARLING_UNREACHABLE("column kind");
}

Result<std::size_t> TableFacts::column(std::string_view name) const {
    const auto named = [&](const ColumnFacts& facts) { return facts.name == name; };
    const auto found = std::find_if(columns.begin(), columns.end(), named);
    if (found != columns.end() && std::find_if(found + 1, columns.end(), named) == columns.end()) {
        return static_cast<std::size_t>(found - columns.begin());
    }
    std::string text =
        found == columns.end() ? "there is no column '" : "there are several columns '";
    text += shown(name) + "'; the columns are ";
    for (std::size_t i = 0; i < std::min(columns.size(), kNamesShown); ++i) {
        text += (i == 0 ? "" : ", ") + shown(columns[i].name);
    }
    if (columns.size() > kNamesShown) {
        text += " and " + std::to_string(columns.size() - kNamesShown) + " more";
    }
    return fail(FaultCode::Usage, text);
}

std::size_t TableScan::add_column(std::string name) {
    Column column;
    column.category = contains(options_.categories, name);
    column.facts.numbers_only = contains(options_.numbers, name);
    column.words_allowed = !column.facts.numbers_only;
    column.facts.name = std::move(name);
    columns_.push_back(std::move(column));
    return columns_.size() - 1;
}

void TableScan::add(std::size_t index, const Cell& cell) {
    auto& column = columns_[index];
    STARLING_DCHECK(accepts(index, cell));
    if (cell.kind == CellKind::Missing) return;
    const bool word =
        cell.kind == CellKind::Word || column.category || column.facts.kind == ColumnKind::Category;
    if (column.facts.kind == ColumnKind::Nested) return;
    ++column.facts.count;
    if (word) {
        add_word(column, cell.text);
    } else {
        add_number(column, cell.number);
    }
}

void TableScan::add_nested(std::size_t index) {
    auto& column = columns_[index];
    STARLING_DCHECK(accepts_nested(index));
    column.facts.kind = ColumnKind::Nested;
    column.facts.distinct_known = false;
    ++column.facts.count;
}

void TableScan::add_number(Column& column, double value) {
    auto& facts = column.facts;
    value += 0.0;  // makes 0 of -0, which is the same number
    if (facts.kind == ColumnKind::Empty) {
        facts.kind = ColumnKind::Number;
        facts.min = facts.max = value;
        facts.whole = true;
        column.words_allowed = false;
    }
    facts.min = std::min(facts.min, value);
    facts.max = std::max(facts.max, value);
    facts.whole = facts.whole && is_whole(value);
    column.moments.add(value);
    if (facts.distinct_known) count_number(column, value);
}

void TableScan::count_number(Column& column, double value) {
    if (column.numbers.empty()) grow_numbers(column);
    if (!column.facts.distinct_known) return;
    const auto mask = column.numbers.size() - 1;
    auto slot = slot_of(value, mask);
    while (column.numbers[slot].count != 0 && column.numbers[slot].value != value) {
        slot = (slot + 1) & mask;
    }
    auto& entry = column.numbers[slot];
    if (entry.count++ > 0) return;
    entry.value = value;
    ++column.distinct_numbers;
    if (column.distinct_numbers > kDistinctNumbersMax) {
        give_up_distinct(column);
    } else if (2 * column.distinct_numbers > column.numbers.size()) {
        grow_numbers(column);
    }
}

void TableScan::grow_numbers(Column& column) {
    const auto slots = std::max(kFirstSlots, 2 * column.numbers.size());
    if (!charge(column, (slots - column.numbers.size()) * sizeof(CountedNumber))) {
        give_up_distinct(column);
        return;
    }
    auto old = std::exchange(column.numbers, std::vector<CountedNumber>(slots));
    for (const auto& entry : old) {
        if (entry.count == 0) continue;
        auto slot = slot_of(entry.value, slots - 1);
        while (column.numbers[slot].count != 0) slot = (slot + 1) & (slots - 1);
        column.numbers[slot] = entry;
    }
}

void TableScan::add_word(Column& column, std::string_view word) {
    column.facts.kind = ColumnKind::Category;
    if (!column.facts.distinct_known) return;
    if (const auto known = column.words.find(word); known != column.words.end()) {
        ++known->second;
        return;
    }
    if (column.words.size() == kDistinctWordsOfColumnMax ||
        !charge(column, word.size() + kWordCost)) {
        give_up_distinct(column);
        return;
    }
    column.words.emplace(word, 1);
}

bool TableScan::charge(Column& column, std::size_t bytes) {
    if (distinct_bytes_ + bytes > kDistinctBytesOfTableMax) return false;
    distinct_bytes_ += bytes;
    column.distinct_bytes += bytes;
    return true;
}

void TableScan::give_up_distinct(Column& column) {
    column.facts.distinct_known = false;
    column.numbers = {};
    column.words = {};
    distinct_bytes_ -= column.distinct_bytes;
    column.distinct_bytes = 0;
}

Result<TableFacts> TableScan::facts() const {
    TableFacts table;
    table.rows = rows_;
    for (const auto& column : columns_) {
        auto facts = column.facts;
        facts.missing = rows_ - facts.count;
        facts.mean = column.moments.mean();
        facts.deviation = column.moments.deviation();
        for (const auto& entry : column.numbers) {
            if (entry.count > 0) facts.numbers.emplace_back(entry.value, entry.count);
        }
        facts.categories.assign(column.words.begin(), column.words.end());
        std::sort(facts.numbers.begin(), facts.numbers.end());
        std::sort(facts.categories.begin(), facts.categories.end());
        table.columns.push_back(std::move(facts));
    }
    for (const auto* names : {&options_.categories, &options_.numbers}) {
        for (const auto& name : *names) {
            if (auto found = table.column(name); !found) return found.error();
        }
    }
    return table;
}

Result<CellCodes> CellCodes::make(const TableFacts& facts, std::vector<std::size_t> columns) {
    CellCodes codes;
    codes.facts_ = &facts;
    codes.codes_.resize(facts.columns.size());
    for (const auto index : columns) {
        STARLING_CHECK(index < facts.columns.size());
        const auto& column = facts.columns[index];
        if (column.kind == ColumnKind::Nested) {
            return fail(
                FaultCode::Unsupported,
                "column '" + shown(column.name) +
                    "' has lists, objects or other values that are not read; drop it"
            );
        }
        if (column.kind != ColumnKind::Category) continue;
        if (!column.distinct_known) {
            return fail(
                FaultCode::Unsupported,
                "column '" + shown(column.name) + "' has too many distinct words; drop it"
            );
        }
        auto& table = codes.codes_[index];
        for (const auto& category : column.categories) {
            table.emplace(category.first, static_cast<double>(table.size()));
        }
    }
    codes.columns_ = std::move(columns);
    return codes;
}

Result<double> CellCodes::code(std::size_t column, const Cell& cell) const {
    if (cell.kind == CellKind::Missing) return std::numeric_limits<double>::quiet_NaN();
    const auto& facts = facts_->columns[column];
    if (facts.kind == ColumnKind::Category) {
        const auto found = codes_[column].find(cell.text);
        if (found != codes_[column].end()) return found->second;
    } else if (facts.kind == ColumnKind::Number && cell.kind == CellKind::Number) {
        return cell.number;
    }
    return fail(
        FaultCode::BadValue,
        "column '" + shown(facts.name) + "': '" + shown(cell.text) +
            "' was not there when the table was scanned; was the file changed?"
    );
}

}  // namespace starling::data
