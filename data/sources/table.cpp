#include "data/sources/table.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/printable.hpp"
#include "base/rng.hpp"
#include "data/dataset.hpp"
#include "data/sources/record_files.hpp"
#include "data/sources/sources.hpp"
#include "data/tables/exact_moments.hpp"

namespace starling::data {

namespace {

/// A label column of whole numbers with at most so many different ones is taken for classes.
constexpr std::size_t kClassesOfNumbersMax = 100;
/// In split=row%5==0 the number of the row, from 0, unless a column has this name.
constexpr const char* kRowNumber = "row";

std::vector<std::string> names_in(const std::string& list) {
    std::vector<std::string> names;
    std::string name;
    for (const char c : list + ",") {
        if (c != ',') {
            name += c;
        } else if (!name.empty()) {
            names.push_back(std::exchange(name, {}));
        }
    }
    return names;
}

/// Which rows are for testing.
struct SplitRule {
    std::string column;       ///< empty: rows are drawn
    std::int64_t modulo = 0;  ///< above 0: column % modulo == rest
    std::int64_t rest = 0;
    std::string value;  ///< else: column == value
    double test = 0.1;
    double valid = 0.0;
};

/// Reads `ID%5==0` or `part=test`.
Result<SplitRule> read_split(const Spec& spec) {
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
            " is not allowed; give the rows for testing, as split=ID%5==0, split=row%5==0 or "
            "split=part=test"
    );
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

class TableSource final : public Source {
public:
    explicit TableSource(std::unique_ptr<TableFormat> format) : format_(std::move(format)) {}

    Result<void> scan(const Spec& spec, const ScanOptions& options) {
        if (auto ok = read_options(spec); !ok) return ok.error();
        name_ = spec.to_string();
        path_ = spec.path;
        if (auto ok = format_->scan(path_, options_, notes_); !ok) return ok.error();
        if (auto ok = choose_columns(); !ok) return ok.error();
        if (auto ok = choose_label(); !ok) return ok.error();
        describe();
        if (auto ok = second_pass(); !ok) return ok.error();
        const auto good = count(Split::Train) + count(Split::Test) + count(Split::Valid);
        if (auto ok = check_skipped(name_, notes_, good, options.strict); !ok) return ok.error();
        learn_scales();
        weigh();
        return {};
    }

    [[nodiscard]] Result<void> read(Split split, std::uint64_t sample, Bytes& out) const override {
        const auto bytes = static_cast<std::uint32_t>(columns_.size() * sizeof(float));
        const auto file = unpacked_[static_cast<std::size_t>(split)];
        const auto at = out.size();
        const auto read = records_.read({file, bytes, sample * bytes}, out);
        if (!read || codes_.empty()) return read;
        for (std::size_t i = 0; i < codes_.size(); ++i) {
            if (codes_[i].empty()) continue;
            float code = 0.0F;
            auto* place = out.data() + at + i * sizeof(float);
            std::memcpy(&code, place, sizeof(code));
            code = codes_[i][static_cast<std::size_t>(code)];
            std::memcpy(place, &code, sizeof(code));
        }
        return {};
    }

    /// The columns must be the same ones; words are numbered as the model knows them.
    [[nodiscard]] Result<void> adopt_recipe(const Recipe& recipe) override {
        const auto* theirs = std::get_if<TableRecipe>(&recipe);
        const auto& ours = std::get<TableRecipe>(recipe_).columns;
        const auto same_name = [](const Column& a, const Column& b) {
            return a.name == b.name && a.kind == b.kind;
        };
        if (theirs == nullptr ||
            !std::equal(
                ours.begin(), ours.end(), theirs->columns.begin(), theirs->columns.end(), same_name
            )) {
            return fail(
                FaultCode::Usage,
                path_ + ": its columns are not those that the model was trained with"
            );
        }
        codes_.assign(ours.size(), {});
        for (std::size_t i = 0; i < ours.size(); ++i) {
            if (ours[i].kind != ColumnRole::Category) continue;
            const auto& known = theirs->columns[i].categories;
            codes_[i].push_back(0.0F);
            for (const auto& word : ours[i].categories) {
                const auto found = std::find(known.begin(), known.end(), word);
                const auto place = found == known.end() ? 0 : found - known.begin() + 1;
                codes_[i].push_back(static_cast<float>(place));
            }
        }
        recipe_ = recipe;
        return {};
    }

private:
    Result<void> read_options(const Spec& spec) {
        auto known = spec.only(
            "label,target,drop,categories,numbers,split,test,valid,balance" +
            std::string(format_->keys())
        );
        if (!known) return known.error();
        if (auto ok = format_->configure(spec); !ok) return ok;
        label_name_ = spec.text("label", "");
        drop_ = names_in(spec.text("drop", ""));
        options_.categories = names_in(spec.text("categories", ""));
        options_.numbers = names_in(spec.text("numbers", ""));
        target_ = spec.text("target", "");
        if (!target_.empty() && target_ != "class" && target_ != "number") {
            return fail(
                FaultCode::Usage,
                "'" + spec.to_string() + "': target=" + target_ +
                    " is not allowed; give class or number"
            );
        }
        const auto balance = spec.integer("balance", 0, 0, 1);
        if (!balance) return balance.error();
        balance_ = *balance == 1;
        auto rule = read_split(spec);
        if (!rule) return rule.error();
        rule_ = std::move(*rule);
        return {};
    }

    /// Finds the label, and the columns that a model is fed: all others that are not dropped.
    Result<void> choose_columns() {
        const auto& table = format_->facts();
        if (label_name_.empty()) {
            // The last column of most tables is what they are about.
            label_name_ = table.columns.back().name;
            notes_.lines.push_back(
                path_ + ": the last column, " + label_name_ +
                ", is what is learned unless label=NAME says it"
            );
        }
        const auto label = table.column(label_name_);
        if (!label) return fail(FaultCode::Usage, path_ + ": " + label.error().message);
        label_ = *label;
        std::vector<bool> dropped(table.columns.size());
        for (const auto& name : drop_) {
            const auto column = table.column(name);
            if (!column) return fail(FaultCode::Usage, path_ + ": " + column.error().message);
            dropped[*column] = true;
        }
        const bool counted = rule_.modulo > 0 && rule_.column == kRowNumber;
        if (!rule_.column.empty() && !(counted && !table.column(kRowNumber))) {
            const auto column = table.column(rule_.column);
            if (!column) return fail(FaultCode::Usage, path_ + ": " + column.error().message);
            split_ = *column;
            // What says the split is no property of what the row is about.
            dropped[*column] = true;
        }
        std::vector<std::string> constant;
        std::vector<std::string> wordy;
        std::vector<std::string> nested;
        for (std::size_t i = 0; i < table.columns.size(); ++i) {
            const auto& column = table.columns[i];
            if (i == label_ || dropped[i]) continue;
            if (column.constant()) {
                constant.push_back(column.name);
            } else if (column.kind == ColumnKind::Category && !column.distinct_known) {
                wordy.push_back(column.name);
            } else if (column.kind == ColumnKind::Nested) {
                nested.push_back(column.name);
            } else {
                columns_.push_back(i);
            }
        }
        note_columns(constant, "with one value only");
        note_columns(wordy, "with too many different words to learn from");
        note_columns(nested, "with lists, objects or other values that are not read");
        if (columns_.empty() || columns_.size() > kRecipeColumnsMax) {
            return fail(
                FaultCode::Usage,
                path_ + ": " + std::to_string(columns_.size()) +
                    " columns to learn from, 1 to 4096 are wanted"
            );
        }
        return {};
    }

    /// Says which columns are left out, in one line.
    void note_columns(const std::vector<std::string>& names, const std::string& why) {
        constexpr std::size_t kNamed = 8;
        if (names.empty()) return;
        std::string listed;
        for (std::size_t i = 0; i < std::min(kNamed, names.size()); ++i) {
            listed += (i == 0 ? "" : ", ") + printable(names[i]);
        }
        notes_.lines.push_back(
            path_ + ": " + std::to_string(names.size()) + " columns " + why +
            " are left out: " + listed + (names.size() > kNamed ? ", ..." : "")
        );
    }

    Result<void> choose_label() {
        const auto& column = format_->facts().columns[label_];
        if (column.kind == ColumnKind::Nested || column.kind == ColumnKind::Empty) {
            return fail(
                FaultCode::Usage,
                path_ + ": column " + label_name_ +
                    " has no words and no numbers to learn; name another one with &label=NAME"
            );
        }
        const bool words = column.kind == ColumnKind::Category;
        const bool few =
            column.distinct_known && column.whole && column.numbers.size() <= kClassesOfNumbersMax;
        const bool classes = target_ == "class" || (target_.empty() && (words || few));
        if (!classes) {
            if (column.kind != ColumnKind::Number) {
                return fail(
                    FaultCode::Usage,
                    path_ + ": column " + label_name_ +
                        " has words, and target=number wants numbers"
                );
            }
            schema_.label = {
                LabelKind::Numbers, 1, {printable_name(label_name_).substr(0, kClassNameMax)}, {}};
            return {};
        }
        std::vector<std::string> names;
        for (const auto& [word, times] : column.categories) {
            names.push_back(printable_name(word).substr(0, kClassNameMax));
        }
        for (const auto& [number, times] : column.numbers) {
            values_.push_back(number);
            names.push_back(shortest_text(number));
        }
        if (!column.distinct_known || names.size() > kClassesMax) {
            return fail(
                FaultCode::Usage,
                path_ + ": column " + label_name_ +
                    " has too many different values for classes; give &target=number"
            );
        }
        if (names.size() < 2) {
            return fail(
                FaultCode::Usage,
                path_ + ": column " + label_name_ +
                    " has one value only, so there is nothing to learn"
            );
        }
        const auto count = static_cast<std::uint32_t>(names.size());
        schema_.label = {LabelKind::Class, count, std::move(names), {}};
        return {};
    }

    void describe() {
        Input input;
        input.name = "columns";
        input.meaning = Meaning::Columns;
        input.element = Element::F32;
        input.shape = {{static_cast<std::uint32_t>(columns_.size()), false}};
        schema_.inputs = {std::move(input)};
        TableRecipe recipe;
        for (const auto i : columns_) {
            const auto& facts = format_->facts().columns[i];
            Column column;
            column.name = printable_name(facts.name).substr(0, kClassNameMax);
            if (facts.kind == ColumnKind::Category) {
                column.kind = ColumnRole::Category;
                for (const auto& [word, times] : facts.categories) {
                    column.categories.push_back(printable_name(word).substr(0, kClassNameMax));
                }
            } else {
                column.mask = facts.missing > 0;
            }
            recipe.columns.push_back(std::move(column));
        }
        recipe_ = std::move(recipe);
        for (auto& list : labels_) list = LabelList(schema_.label);
    }

    /// Writes each row as floats, and keeps its label.
    Result<void> second_pass() {
        for (auto& file : unpacked_) {
            const auto made = records_.add_unpacked();
            if (!made) return made.error();
            file = *made;
        }
        auto wanted = columns_;
        wanted.push_back(label_);
        if (split_) wanted.push_back(*split_);
        if (auto rows = format_->begin(wanted); !rows) {
            return fail(FaultCode::Usage, rows.error().message);
        }
        moments_.assign(columns_.size(), ExactMoments{});
        std::vector<double> cells(wanted.size());
        std::vector<float> record(columns_.size());
        for (std::uint64_t row = 0;; ++row) {
            const auto more = format_->next(cells);
            if (!more) return more.error();
            if (!*more) return {};
            const auto label = label_of(cells[columns_.size()]);
            if (!label) {
                notes_.skip(
                    path_ + ": " + std::string(format_->unit()) + " " +
                        std::to_string(format_->line()),
                    "no value in " + label_name_
                );
                continue;
            }
            const auto split = split_of(row, split_ ? cells.back() : 0.0);
            for (std::size_t i = 0; i < columns_.size(); ++i) {
                const bool word =
                    format_->facts().columns[columns_[i]].kind == ColumnKind::Category;
                const double cell = cells[i];
                if (split == Split::Train && !word && std::isfinite(cell)) moments_[i].add(cell);
                // Code 0 stands for a word that is missing.
                record[i] =
                    static_cast<float>(word ? std::isfinite(cell) ? cell + 1.0 : 0.0 : cell);
            }
            const auto bytes = std::as_bytes(std::span<const float>(record));
            const auto file = unpacked_[static_cast<std::size_t>(split)];
            if (auto put = records_.append(file, bytes); !put) return put.error();
            labels_[static_cast<std::size_t>(split)].add(schema_.label, *label);
        }
    }

    [[nodiscard]] std::optional<LabelValue> label_of(double cell) const {
        if (!std::isfinite(cell)) return std::nullopt;
        LabelValue value;
        if (schema_.label.kind == LabelKind::Numbers) {
            value.numbers = {static_cast<float>(cell)};
            return value;
        }
        // A word's cell is its place among the categories already.
        auto place = static_cast<std::size_t>(std::max(0.0, cell));
        if (!values_.empty()) {
            place = static_cast<std::size_t>(
                std::lower_bound(values_.begin(), values_.end(), cell) - values_.begin()
            );
        }
        if (place >= schema_.label.count) return std::nullopt;
        value.classes = {static_cast<std::uint16_t>(place)};
        return value;
    }

    [[nodiscard]] Split split_of(std::uint64_t row, double cell) const {
        if (rule_.column.empty()) {
            const double draw = static_cast<double>(mix64(row) >> 11U) * 0x1p-53;
            if (draw < rule_.test) return Split::Test;
            return draw < rule_.test + rule_.valid ? Split::Valid : Split::Train;
        }
        if (!split_) {
            const auto rest = row % static_cast<std::uint64_t>(rule_.modulo);
            return rest == static_cast<std::uint64_t>(rule_.rest) ? Split::Test : Split::Train;
        }
        const auto& column = format_->facts().columns[*split_];
        bool test = false;
        if (rule_.modulo > 0) {
            test = std::isfinite(cell) && std::fmod(cell, static_cast<double>(rule_.modulo)) ==
                                              static_cast<double>(rule_.rest);
        } else if (column.kind == ColumnKind::Category) {
            const auto place = static_cast<std::size_t>(std::isfinite(cell) ? cell : -1.0);
            test = std::isfinite(cell) && column.categories[place].first == rule_.value;
        } else {
            test = shortest_text(cell) == rule_.value;
        }
        return test ? Split::Test : Split::Train;
    }

    /// Mean and deviation of the numbers, of the training rows alone.
    void learn_scales() {
        auto& columns = std::get<TableRecipe>(recipe_).columns;
        for (std::size_t i = 0; i < columns.size(); ++i) {
            if (columns[i].kind != ColumnRole::Number || moments_[i].count() == 0) continue;
            columns[i].scale.mean = static_cast<float>(moments_[i].mean());
            const auto deviation = static_cast<float>(moments_[i].deviation());
            if (deviation > 0.0F && std::isfinite(deviation)) columns[i].scale.stddev = deviation;
        }
    }

    /// With balance=1 a class counts the more, the rarer it is: all classes count alike in the loss.
    void weigh() {
        if (!balance_ || schema_.label.kind != LabelKind::Class) return;
        std::vector<double> counts(schema_.label.count);
        const auto& labels = labels_[static_cast<std::size_t>(Split::Train)];
        for (std::uint64_t i = 0; i < labels.count(); ++i) {
            ++counts[read_label(schema_.label, labels.at(i))->classes[0]];
        }
        for (const double count : counts) {
            const auto all = static_cast<double>(labels.count());
            const double weight =
                count > 0 ? all / (static_cast<double>(counts.size()) * count) : 1.0;
            schema_.label.weights.push_back(static_cast<float>(weight));
        }
    }

    std::string path_;
    std::unique_ptr<TableFormat> format_;
    TableOptions options_;
    std::string label_name_;
    std::string target_;
    std::vector<std::string> drop_;
    bool balance_ = false;
    SplitRule rule_;
    std::size_t label_ = 0;
    std::optional<std::size_t> split_;
    std::vector<std::size_t> columns_;  ///< of the table, those that a model is fed
    std::vector<double> values_;        ///< of the classes, where they are numbers; sorted
    std::vector<ExactMoments> moments_;
    std::vector<std::vector<float>> codes_;  ///< of a category here: its code in another table
    RecordFiles records_;
    std::array<std::uint32_t, kSplits> unpacked_{};  ///< the files of each split's rows
};

}  // namespace

Result<SourcePointer> open_table(
    const Spec& spec, const ScanOptions& options, std::unique_ptr<TableFormat> format
) {
    auto source = std::make_unique<TableSource>(std::move(format));
    if (auto ok = source->scan(spec, options); !ok) return ok.error();
    return SourcePointer(std::move(source));
}

}  // namespace starling::data
