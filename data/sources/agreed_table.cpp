#include "data/sources/agreed_table.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/printable.hpp"
#include "data/dataset.hpp"
#include "data/sources/agreed_rows.hpp"
#include "data/sources/record_files.hpp"
#include "data/sources/sources.hpp"
#include "data/sources/split_rule.hpp"

namespace starling::data {

namespace {

/// The classes of a label column, found by their names.
class Classes {
public:
    Classes() = default;

    /// Looks each word of the column up once.
    Classes(const ColumnFacts& facts, const Label& label)
        : words_(facts.kind == ColumnKind::Category),
          numbers_(facts.kind == ColumnKind::Number),
          count_(label.count) {
        for (std::size_t i = 0; i < label.names.size(); ++i) {
            by_name_.emplace(label.names[i], static_cast<std::uint16_t>(i));
        }
        for (const auto& [word, times] : facts.categories) {
            const auto found = by_name_.find(printable_name(word).substr(0, kClassNameMax));
            by_word_.push_back(
                found == by_name_.end() ? std::nullopt : std::optional(found->second)
            );
        }
    }

    /// Returns the class of a cell that has a value; nothing where it is none of the swarm's.
    [[nodiscard]] std::optional<std::uint16_t> find(double cell) const {
        if (by_name_.empty()) {
            const bool number =
                numbers_ && cell >= 0.0 && cell < count_ && cell == std::floor(cell);
            return number ? std::optional(static_cast<std::uint16_t>(cell)) : std::nullopt;
        }
        if (words_) return by_word_[static_cast<std::size_t>(cell)];
        const auto found = by_name_.find(shortest_text(cell));
        return found == by_name_.end() ? std::nullopt : std::optional(found->second);
    }

private:
    bool words_ = false;
    bool numbers_ = false;
    std::uint32_t count_ = 0;
    std::map<std::string, std::uint16_t, std::less<>> by_name_;
    std::vector<std::optional<std::uint16_t>> by_word_;  ///< of the file's words
};

class AgreedTable final : public Source {
public:
    explicit AgreedTable(const Manifest& like) : like_(like) {
        schema_ = like.schema;
        recipe_ = like.recipe;
        for (auto& list : labels_) list = LabelList(schema_.label);
    }

    Result<void> scan(
        const Spec& spec, const ScanOptions& options, std::unique_ptr<TableFormat> format
    ) {
        name_ = spec.to_string();
        path_ = spec.path;
        if (auto ok = read_options(spec, *format); !ok) return ok;
        const auto choose = [this](const TableFacts& facts) { return choose_columns(facts); };
        const auto& recipe = std::get<TableRecipe>(like_.recipe);
        auto rows = AgreedRows::open(path_, std::move(format), recipe, false, choose);
        if (!rows) return rows.error();
        notes_.lines = rows->notes();
        if (auto ok = read_rows(*rows); !ok) return ok;
        const auto good = count(Split::Train) + count(Split::Test) + count(Split::Valid);
        return check_skipped(name_, notes_, good, options.strict);
    }

    [[nodiscard]] Result<void> read(Split split, std::uint64_t sample, Bytes& out) const override {
        const auto columns = std::get<TableRecipe>(recipe_).columns.size();
        const auto bytes = static_cast<std::uint32_t>(columns * sizeof(float));
        const auto file = unpacked_[static_cast<std::size_t>(split)];
        return records_.read({file, bytes, sample * bytes}, out);
    }

    /// Rows are as the recipe wants them already.
    [[nodiscard]] Result<void> adopt_recipe(const Recipe& recipe) override {
        if (recipe == recipe_) return {};
        return fail(FaultCode::Usage, path_ + ": was read for another model");
    }

private:
    Result<void> read_options(const Spec& spec, TableFormat& format) {
        auto known = spec.only(
            "label,target,drop,categories,numbers,log,split,test,valid,balance,pos_weight" +
            std::string(format.keys())
        );
        if (!known) return known.error();
        if (auto ok = format.configure(spec); !ok) return ok;
        label_name_ = spec.text("label", "");
        auto rule = SplitRule::read(spec);
        if (!rule) return rule.error();
        rule_ = std::move(*rule);
        return {};
    }

    /// The label comes first, and then what says the split.
    Result<std::vector<std::size_t>> choose_columns(const TableFacts& facts) {
        // As in a swarm that is founded: the last column of most tables is what they are about.
        if (label_name_.empty()) label_name_ = facts.columns.back().name;
        const auto label = facts.column(label_name_);
        if (!label) return fail(FaultCode::Usage, path_ + ": " + label.error().message);
        label_ = *label;
        std::vector<std::size_t> extra{*label};
        if (rule_.column.empty() || (rule_.may_count() && !facts.column(rule_.column)))
            return extra;
        const auto split = facts.column(rule_.column);
        if (!split) return fail(FaultCode::Usage, path_ + ": " + split.error().message);
        split_ = *split;
        extra.push_back(*split);
        return extra;
    }

    Result<void> read_rows(AgreedRows& rows) {
        for (auto& file : unpacked_) {
            const auto made = records_.add_unpacked();
            if (!made) return made.error();
            file = *made;
        }
        classes_ = Classes(rows.facts().columns[label_], schema_.label);
        Bytes record;
        for (std::uint64_t row = 0;; ++row) {
            record.clear();
            const auto more = rows.next(record);
            if (!more) return more.error();
            if (!*more) return {};
            const auto where =
                path_ + ": " + std::string(rows.unit()) + " " + std::to_string(rows.line());
            if (!std::isfinite(rows.extra(0))) {
                notes_.skip(where, "no value in " + label_name_);
                continue;
            }
            const auto label = label_of(rows, where);
            if (!label) return label.error();
            const auto* column = split_ ? &rows.facts().columns[*split_] : nullptr;
            const auto split =
                static_cast<std::size_t>(rule_.split_of(row, split_ ? rows.extra(1) : 0.0, column));
            if (auto put = records_.append(unpacked_[split], record); !put) return put.error();
            labels_[split].add(schema_.label, *label);
        }
    }

    /// Returns the text of a cell, as names of classes have it.
    [[nodiscard]] static std::string text_of(const ColumnFacts& facts, double cell) {
        if (facts.kind != ColumnKind::Category) return shortest_text(cell);
        return printable_name(facts.categories[static_cast<std::size_t>(cell)].first)
            .substr(0, kClassNameMax);
    }

    [[nodiscard]] Result<LabelValue> label_of(const AgreedRows& rows, const std::string& where)
        const {
        const auto& facts = rows.facts().columns[label_];
        const double cell = rows.extra(0);
        LabelValue value;
        if (schema_.label.kind == LabelKind::Numbers) {
            if (facts.kind == ColumnKind::Number) {
                value.numbers = {static_cast<float>(cell)};
                return value;
            }
            return fail(
                FaultCode::Usage,
                where + ": column " + label_name_ + " has words; the model learns numbers"
            );
        }
        if (const auto found = classes_.find(cell)) {
            value.classes = {*found};
            return value;
        }
        std::string names;
        for (std::size_t i = 0; i < std::min<std::size_t>(5, schema_.label.names.size()); ++i) {
            names += (i == 0 ? ": " : ", ") + schema_.label.names[i];
        }
        return fail(
            FaultCode::Usage,
            where + ": " + label_name_ + " \"" + printable(text_of(facts, cell)) +
                "\" is not among the model's " + std::to_string(schema_.label.count) + " classes" +
                names
        );
    }

    const Manifest& like_;
    std::string path_;
    std::string label_name_;
    SplitRule rule_;
    std::size_t label_ = 0;
    Classes classes_;
    std::optional<std::size_t> split_;
    RecordFiles records_;
    std::array<std::uint32_t, kSplits> unpacked_{};  ///< the files of each split's rows
};

}  // namespace

Result<SourcePointer> open_agreed_table(
    const Spec& spec, const ScanOptions& options, std::unique_ptr<TableFormat> format
) {
    const auto kind = options.like->schema.label.kind;
    const bool table = std::holds_alternative<TableRecipe>(options.like->recipe) &&
                       (kind == LabelKind::Class || kind == LabelKind::Numbers);
    if (!table) {
        return fail(FaultCode::Usage, spec.to_string() + ": the model was trained with no table");
    }
    auto source = std::make_unique<AgreedTable>(*options.like);
    if (auto ok = source->scan(spec, options, std::move(format)); !ok) return ok.error();
    return SourcePointer(std::move(source));
}

}  // namespace starling::data
