#pragma once

// The rows of any table as a recipe wants them: its columns are found by their names, and its
// categories by their words. So a file may have its columns in another order and further ones, and
// needs no column to learn. data/sources/agreed_table.hpp makes a source of such rows, where labels are known.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/spec.hpp"
#include "data/recipe.hpp"
#include "data/sources/table_format.hpp"

namespace starling::data {

/// Thread    one at a time
class AgreedRows {
public:
    /// Opens a file that `spec` names: `csv:`, `jsonl:`, `parquet:` or `sqlite:` with the options of the
    /// format alone. Reads it once or twice.
    /// Errors    Usage (another kind; no column of the recipe is there), BadValue (words where the recipe
    ///           has numbers; names column and word), those of the format
    [[nodiscard]] static Result<AgreedRows> open(const Spec& spec, const TableRecipe& recipe);

    /// The same for a format that has scanned nothing yet. `choose` is asked, once the columns are known, for the
    /// further ones.
    using Choose = std::function<Result<std::vector<std::size_t>>(const TableFacts& facts)>;
    [[nodiscard]] static Result<AgreedRows> open(
        const std::string& path,
        std::unique_ptr<TableFormat> format,
        const TableRecipe& recipe,
        bool may_lack,
        const Choose& choose
    );

    /// Appends the next row as shards store it. Returns false at the end.
    /// Errors    those of the format
    [[nodiscard]] Result<bool> next(Bytes& record);

    /// Returns the line on which the last row began, or its number where a file has no lines.
    [[nodiscard]] std::uint64_t line() const { return format_->line(); }

    [[nodiscard]] std::string_view unit() const { return format_->unit(); }

    [[nodiscard]] const TableFacts& facts() const { return format_->facts(); }

    /// Returns the cell of a further column in the last row, as CellCodes gives it.
    [[nodiscard]] double extra(std::size_t place) const { return cells_[extra_ + place]; }

    /// Returns what is odd about the file, as lines for people: columns that are not there, words that the
    /// recipe does not know.
    [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

private:
    /// Where a column of the recipe is found in the file.
    struct Place {
        std::size_t wanted = 0;  ///< among the columns that are read
        bool there = false;
        bool words = false;
        std::vector<float> codes;  ///< of the file's words: the recipe's codes
    };

    AgreedRows(std::string path, std::unique_ptr<TableFormat> format)
        : path_(std::move(path)),
          format_(std::move(format)) {}

    Result<void> scan(const TableRecipe& recipe);
    void note_further(const TableRecipe& recipe);
    Result<void> place(const TableRecipe& recipe, bool may_lack);
    Result<Place> place_of(const Column& column, std::size_t number, std::size_t at);

    std::string path_;
    std::unique_ptr<TableFormat> format_;
    std::vector<Place> places_;  ///< of the recipe's columns
    std::vector<std::size_t> wanted_;
    std::size_t extra_ = 0;  ///< where the further columns begin among those
    std::vector<double> cells_;
    std::vector<float> values_;  ///< of the last row
    std::vector<std::string> notes_;
};

}  // namespace starling::data
