#include "data/sources/table.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/printable.hpp"
#include "data/dataset.hpp"
#include "data/sources/agreed_table.hpp"
#include "data/sources/class_weights.hpp"
#include "data/sources/record_files.hpp"
#include "data/sources/sources.hpp"
#include "data/sources/split_rule.hpp"
#include "data/tables/column_learner.hpp"

namespace starling::data {

namespace {

/// A label column of whole numbers with at most so many different ones is taken for classes.
constexpr std::size_t kClassesOfNumbersMax = 100;

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
        auto logs = choose_logs();
        if (!logs) return logs.error();
        describe(std::move(*logs));
        if (auto ok = second_pass(); !ok) return ok.error();
        const auto good = count(Split::Train) + count(Split::Test) + count(Split::Valid);
        if (auto ok = check_skipped(name_, notes_, good, options.strict); !ok) return ok.error();
        if (auto ok = learn_columns(); !ok) return ok.error();
        return weigh();
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

    /// Any column, also one that no model is fed. Reads the file once more.
    [[nodiscard]] Result<Groups> groups(const std::string& field) const override {
        const auto& table = format_->facts();
        const auto column = table.column(field);
        if (!column) {
            std::vector<std::string> known;
            for (const auto& one : table.columns) known.push_back(one.name);
            return no_such_field(path_, field, known);
        }
        // What the second pass kept, and the field; a column is asked for once.
        std::vector<std::size_t> wanted{*column};
        const auto place_of = [&wanted](std::size_t place) {
            const auto found = std::find(wanted.begin(), wanted.end(), place);
            if (found != wanted.end()) return static_cast<std::size_t>(found - wanted.begin());
            wanted.push_back(place);
            return wanted.size() - 1;
        };
        const auto label_at = place_of(label_);
        const auto split_at = split_ ? place_of(*split_) : 0;
        if (auto rows = format_->begin(wanted); !rows) {
            return fail(FaultCode::Usage, "--partition: " + rows.error().message);
        }
        GroupBuilder values;
        std::vector<double> cells(wanted.size());
        for (std::uint64_t row = 0;; ++row) {
            const auto more = format_->next(cells);
            if (!more) return more.error();
            if (!*more) break;
            if (!label_of(cells[label_at])) continue;
            const auto* by = split_ ? &table.columns[*split_] : nullptr;
            if (rule_.split_of(row, split_ ? cells[split_at] : 0.0, by) != Split::Train) continue;
            values.add(text_of(table.columns[*column], cells[0]));
        }
        auto groups = values.groups(field);
        if (groups && groups->of.size() != count(Split::Train)) {
            return fail(FaultCode::Corrupt, path_ + ": it has changed since it was scanned");
        }
        return groups;
    }

private:
    /// Returns a cell as words; nothing for one without a value.
    static std::string text_of(const ColumnFacts& column, double cell) {
        if (!std::isfinite(cell)) return {};
        if (column.kind != ColumnKind::Category) return shortest_text(cell);
        return column.categories[static_cast<std::size_t>(cell)].first;
    }

    Result<void> read_options(const Spec& spec) {
        auto known = spec.only(
            "label,target,drop,categories,numbers,log,split,test,valid,balance,"
            "pos_weight" +
            std::string(format_->keys())
        );
        if (!known) return known.error();
        if (auto ok = format_->configure(spec); !ok) return ok;
        label_name_ = spec.text("label", "");
        drop_ = names_in(spec.text("drop", ""));
        options_.categories = names_in(spec.text("categories", ""));
        options_.numbers = names_in(spec.text("numbers", ""));
        log_ = spec.text("log", "auto");
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
        const auto positive = spec.real("pos_weight", 0.0, 1e-6, 1e6);
        if (!positive) return positive.error();
        positive_weight_ = *positive;
        if (balance_ && positive_weight_ > 0.0) {
            return fail(
                FaultCode::Usage, "'" + spec.to_string() + "': give balance or pos_weight, not both"
            );
        }
        auto rule = SplitRule::read(spec);
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
        if (!rule_.column.empty() && !(rule_.may_count() && !table.column(rule_.column))) {
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
                    " columns to learn from, 1 to 4096 are wanted; the label is " + label_name_ +
                    " (label=NAME takes another column)" + left_out_
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
        const auto line = std::to_string(names.size()) + " columns " + why +
                          " are left out: " + listed + (names.size() > kNamed ? ", ..." : "");
        notes_.lines.push_back(path_ + ": " + line);
        left_out_ += "; " + line;
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

    /// Reads `log=auto`, `log=none` or `log=COLUMN,COLUMN`.
    Result<std::vector<LogChoice>> choose_logs() {
        if (log_ == "auto") return std::vector(columns_.size(), LogChoice::Auto);
        std::vector<LogChoice> logs(columns_.size(), LogChoice::Never);
        if (log_ == "none") return logs;
        for (const auto& name : names_in(log_)) {
            const auto column = format_->facts().column(name);
            if (!column) return fail(FaultCode::Usage, path_ + ": " + column.error().message);
            const auto place = std::find(columns_.begin(), columns_.end(), *column);
            if (place == columns_.end() ||
                format_->facts().columns[*column].kind != ColumnKind::Number) {
                return fail(
                    FaultCode::Usage,
                    path_ + ": log=" + name +
                        " is not a column of numbers that a model is fed; give log=auto, log=none "
                        "or such columns"
                );
            }
            logs[static_cast<std::size_t>(place - columns_.begin())] = LogChoice::Always;
        }
        return logs;
    }

    void describe(std::vector<LogChoice> logs) {
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
        learner_ = ColumnLearner(std::move(recipe.columns), std::move(logs));
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
                    "no value in " + label_name_ + ", the label (label=NAME takes another column)"
                );
                continue;
            }
            const auto* column = split_ ? &format_->facts().columns[*split_] : nullptr;
            const auto split = rule_.split_of(row, cells.back(), column);
            for (std::size_t i = 0; i < columns_.size(); ++i) {
                const bool word =
                    format_->facts().columns[columns_[i]].kind == ColumnKind::Category;
                const double cell = cells[i];
                // Code 0 stands for a word that is missing.
                record[i] =
                    static_cast<float>(word ? std::isfinite(cell) ? cell + 1.0 : 0.0 : cell);
            }
            if (split == Split::Train) learner_.add(record);
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

    /// Learns from the training rows alone how columns are fed.
    Result<void> learn_columns() {
        if (learner_.choose_logs()) {
            Bytes bytes;
            std::vector<float> record(columns_.size());
            for (std::uint64_t row = 0; row < count(Split::Train); ++row) {
                bytes.clear();
                if (auto ok = read(Split::Train, row, bytes); !ok) return ok.error();
                std::memcpy(record.data(), bytes.data(), bytes.size());
                learner_.add_again(record);
            }
        }
        recipe_ = TableRecipe{learner_.columns()};
        codes_ = learner_.codes();
        learner_ = {};
        return {};
    }

    /// With balance=1 a class counts the more, the rarer it is: all classes count alike in the loss.
    /// With pos_weight=W the second of two classes counts so many times.
    Result<void> weigh() {
        const bool classes = schema_.label.kind == LabelKind::Class;
        if (positive_weight_ > 0.0) {
            if (!classes || schema_.label.count != 2) {
                return fail(
                    FaultCode::Usage,
                    path_ + ": pos_weight is for a label of two classes; balance=1 is for several"
                );
            }
            schema_.label.weights = {1.0F, static_cast<float>(positive_weight_)};
            return {};
        }
        if (!balance_ || !classes) return {};
        schema_.label.weights =
            balanced_weights(labels_[static_cast<std::size_t>(Split::Train)], schema_.label);
        return {};
    }

    std::string path_;
    std::unique_ptr<TableFormat> format_;
    TableOptions options_;
    std::string left_out_;  ///< columns that no model is fed, for people
    std::string label_name_;
    std::string target_;
    std::vector<std::string> drop_;
    bool balance_ = false;
    double positive_weight_ = 0.0;
    SplitRule rule_;
    std::size_t label_ = 0;
    std::optional<std::size_t> split_;
    std::vector<std::size_t> columns_;  ///< of the table, those that a model is fed
    std::vector<double> values_;        ///< of the classes, where they are numbers; sorted
    std::string log_;
    ColumnLearner learner_;
    std::vector<std::vector<float>> codes_;  ///< what a model is fed for a stored code
    RecordFiles records_;
    std::array<std::uint32_t, kSplits> unpacked_{};  ///< the files of each split's rows
};

}  // namespace

Result<SourcePointer> open_table(
    const Spec& spec, const ScanOptions& options, std::unique_ptr<TableFormat> format
) {
    if (options.like != nullptr) return open_agreed_table(spec, options, std::move(format));
    auto source = std::make_unique<TableSource>(std::move(format));
    if (auto ok = source->scan(spec, options); !ok) return ok.error();
    return SourcePointer(std::move(source));
}

}  // namespace starling::data
