#include "data/sources/agreed_rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "base/printable.hpp"
#include "data/dataset.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kNamedMax = 8;

Result<std::unique_ptr<TableFormat>> format_of(const Spec& spec) {
    if (spec.name == "csv") return csv_format();
    if (spec.name == "jsonl") return jsonl_format();
    if (spec.name == "parquet") return parquet_format();
    if (spec.name == "sqlite") return sqlite_format(spec);
    return fail(
        FaultCode::Usage,
        "'" + spec.to_string() +
            "' is no table; write csv:FILE, jsonl:FILE, parquet:FILE or "
            "sqlite:FILE"
    );
}

/// Names of columns travel as recipes have them.
std::string name_of(const ColumnFacts& column) {
    return printable_name(column.name).substr(0, kClassNameMax);
}

std::optional<std::size_t> find_column(const TableFacts& table, const std::string& name) {
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
        if (name_of(table.columns[i]) == name) return i;
    }
    return std::nullopt;
}

/// Returns the code of a word, which counts from 1, or nothing where the recipe does not know it.
std::optional<std::size_t> code_of(const Column& column, const std::string& word) {
    const auto& known = column.categories;
    const auto found = std::find(known.begin(), known.end(), word);
    if (found == known.end()) return std::nullopt;
    return static_cast<std::size_t>(found - known.begin()) + 1;
}

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < std::min(kNamedMax, names.size()); ++i) {
        text += (i == 0 ? "" : ", ") + printable(names[i]);
    }
    return text + (names.size() > kNamedMax ? ", ..." : "");
}

/// Returns how the file's columns are to be read, or nothing where they are read so anyway.
std::optional<TableOptions> other_options(const TableFacts& table, const TableRecipe& recipe) {
    TableOptions options;
    bool differ = false;
    for (const auto& column : recipe.columns) {
        const auto at = find_column(table, column.name);
        if (!at) continue;
        const auto& facts = table.columns[*at];
        if (column.kind != ColumnRole::Category) continue;
        options.categories.push_back(facts.name);
        differ = differ || facts.kind == ColumnKind::Number;
    }
    return differ ? std::optional(std::move(options)) : std::nullopt;
}

}  // namespace

Result<AgreedRows> AgreedRows::open(const Spec& spec, const TableRecipe& recipe) {
    auto format = format_of(spec);
    if (!format) return format.error();
    const auto keys = (*format)->keys();
    if (auto ok = spec.only(std::string(keys.empty() ? keys : keys.substr(1))); !ok) {
        return ok.error();
    }
    if (auto ok = (*format)->configure(spec); !ok) return ok.error();
    return open(spec.path, std::move(*format), recipe, true, {});
}

Result<AgreedRows> AgreedRows::open(
    const std::string& path,
    std::unique_ptr<TableFormat> format,
    const TableRecipe& recipe,
    bool may_lack,
    const Choose& choose
) {
    AgreedRows rows(path, std::move(format));
    if (auto ok = rows.scan(recipe); !ok) return ok.error();
    if (auto ok = rows.place(recipe, may_lack); !ok) return ok.error();
    rows.extra_ = rows.wanted_.size();
    if (choose) {
        const auto extra = choose(rows.facts());
        if (!extra) return extra.error();
        rows.wanted_.insert(rows.wanted_.end(), extra->begin(), extra->end());
    }
    if (auto ok = rows.format_->begin(rows.wanted_); !ok) return ok.error();
    rows.cells_.resize(rows.wanted_.size());
    return rows;
}

/// Whether a column of digits is numbers or words, only the recipe knows.
Result<void> AgreedRows::scan(const TableRecipe& recipe) {
    ScanNotes notes;
    if (auto ok = format_->scan(path_, {}, notes); !ok) return ok;
    const auto options = other_options(format_->facts(), recipe);
    if (!options) return {};
    ScanNotes again;
    return format_->scan(path_, *options, again);
}

Result<void> AgreedRows::place(const TableRecipe& recipe, bool may_lack) {
    std::vector<std::string> missing;
    for (std::size_t i = 0; i < recipe.columns.size(); ++i) {
        const auto& column = recipe.columns[i];
        const auto at = find_column(format_->facts(), column.name);
        if (!at) {
            missing.push_back(column.name);
            places_.emplace_back().words = column.kind == ColumnRole::Category;
            continue;
        }
        auto place = place_of(column, i, *at);
        if (!place) return place.error();
        places_.push_back(std::move(*place));
    }
    if (may_lack) note_further(recipe);
    if (missing.empty()) return {};
    if (!may_lack || missing.size() == recipe.columns.size()) {
        return fail(
            FaultCode::Usage,
            path_ + ": lacks " + std::to_string(missing.size()) + " of the " +
                std::to_string(recipe.columns.size()) +
                " columns that the model is trained with: " + listed(missing)
        );
    }
    notes_.push_back(
        path_ + ": columns that are not there count as missing values: " + listed(missing)
    );
    return {};
}

/// Among them is mostly what was learned.
void AgreedRows::note_further(const TableRecipe& recipe) {
    std::vector<std::string> further;
    for (const auto& facts : format_->facts().columns) {
        const auto name = name_of(facts);
        const bool known =
            std::any_of(recipe.columns.begin(), recipe.columns.end(), [&](const Column& column) {
                return column.name == name;
            });
        if (!known) further.push_back(name);
    }
    if (further.empty()) return;
    notes_.push_back(
        path_ + ": columns that the model was not trained with are left out: " + listed(further)
    );
}

Result<AgreedRows::Place> AgreedRows::place_of(
    const Column& column, std::size_t number, std::size_t at
) {
    const auto& facts = format_->facts().columns[at];
    const auto where =
        path_ + ": column " + std::to_string(number + 1) + " \"" + printable(column.name) + "\": ";
    Place place;
    place.words = column.kind == ColumnRole::Category;
    if (facts.kind == ColumnKind::Empty) return place;
    if (facts.kind == ColumnKind::Nested) {
        return fail(FaultCode::BadValue, where + "lists or objects; single values are wanted");
    }
    if (!place.words && facts.kind == ColumnKind::Category) {
        const auto word = facts.categories.empty() ? "" : facts.categories.front().first;
        return fail(FaultCode::BadValue, where + "value \"" + printable(word) + "\" is no number");
    }
    place.there = true;
    place.wanted = wanted_.size();
    wanted_.push_back(at);
    if (!place.words) return place;
    std::vector<std::string> unknown;
    for (const auto& [word, times] : facts.categories) {
        const auto code = code_of(column, printable_name(word).substr(0, kClassNameMax));
        if (!code) unknown.push_back(word);
        place.codes.push_back(static_cast<float>(code.value_or(column.unknown_code())));
    }
    if (!unknown.empty()) {
        notes_.push_back(
            where + "value \"" + printable(unknown.front()) + "\" is not among the " +
            std::to_string(column.categories.size()) + " categories (counted as unknown)" +
            (unknown.size() > 1 ? ", as " + std::to_string(unknown.size() - 1) + " further ones"
                                : "")
        );
    }
    return place;
}

Result<bool> AgreedRows::next(Bytes& record) {
    const auto more = format_->next(cells_);
    if (!more) return more.error();
    if (!*more) return false;
    values_.clear();
    for (const auto& place : places_) {
        const double cell =
            place.there ? cells_[place.wanted] : std::numeric_limits<double>::quiet_NaN();
        if (!place.words) {
            values_.push_back(static_cast<float>(cell));
        } else {
            const bool known = std::isfinite(cell);
            values_.push_back(known ? place.codes[static_cast<std::size_t>(cell)] : 0.0F);
        }
    }
    const auto bytes = std::as_bytes(std::span<const float>(values_));
    record.insert(record.end(), bytes.begin(), bytes.end());
    return true;
}

}  // namespace starling::data
