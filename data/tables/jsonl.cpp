#include "data/tables/jsonl.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>

#include "base/check.hpp"
#include "base/printable.hpp"
#include "data/tables/csv_records.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kShownBytes = 64;
constexpr std::size_t kNameBytesMax = 4096;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string shown(std::string_view text) {
    return printable(std::string(text.substr(0, kShownBytes)));
}

/// Reads the next line that is not blank.
Result<bool> next_line(LineReader& lines, std::string_view& line) {
    while (true) {
        const auto more = lines.next(line);
        if (!more || !*more) return more;
        if (lines.number() == 1 && line.starts_with(kByteOrderMark)) {
            line.remove_prefix(kByteOrderMark.size());
        }
        if (line.find_first_not_of(" \t") != std::string_view::npos) return true;
    }
}

/// Writes the cell member by member: a whole one that is copied just after its members were written makes the
/// processor wait for these, once a field.
void read_value(const JsonValue& value, Cell& cell) {
    switch (value.kind) {
        case JsonKind::Boolean:
            cell.kind = CellKind::Number;
            cell.number = value.number;
            cell.text = value.number == 0 ? "false" : "true";
            return;
        case JsonKind::Number:
            cell.kind = CellKind::Number;
            cell.number = value.number;
            return;
        case JsonKind::Text:
            cell = read_cell(value.text);
            return;
        default:
            return;
    }
}

/// The scan of one file. A line is looked at as a whole before any of it counts.
class Scan {
public:
    explicit Scan(const TableOptions& options) : table_(options), parser_(kJsonLineBytesMax) {}

    [[nodiscard]] Result<void> read(LineReader& lines, std::string_view line) {
        fields_.clear();
        wrong_.clear();
        const auto visit = [&](std::string_view name, const JsonValue& value) -> Result<void> {
            return take(lines, name, value);
        };
        const auto parsed = parser_.object(line, visit);
        if (!parsed && fatal_) return parsed;
        if (!parsed) wrong_ = parsed.error().message;
        if (wrong_.empty()) {
            commit();
        } else {
            findings_.add(lines.number(), wrong_);
        }
        return {};
    }

    [[nodiscard]] Result<JsonlFacts> facts() {
        auto table = table_.facts();
        if (!table) return table.error();
        return JsonlFacts{std::move(*table), std::move(findings_)};
    }

private:
    struct Field {
        std::size_t column = 0;
        bool nested = false;
        Cell cell;
    };

    Result<void> take(LineReader& lines, std::string_view name, const JsonValue& value) {
        // Lines mostly have the same fields in the same order, so the column behind the last one is tried first.
        auto place = fields_.empty() ? 0 : fields_.back().column + 1;
        if (place >= table_.columns() || table_.name(place) != name) {
            const auto found = column(lines, name);
            if (!found) return found.error();
            place = *found;
        }
        auto& field = fields_.emplace_back();
        field.column = place;
        field.nested = value.kind == JsonKind::Nested;
        read_value(value, field.cell);
        const bool twice = std::exchange(seen_[place], lines.number()) == lines.number();
        const bool fits =
            field.nested ? table_.accepts_nested(place) : table_.accepts(place, field.cell);
        if (twice || !fits) wrong_ = why_not(name, field, twice);
        return {};
    }

    static std::string why_not(std::string_view name, const Field& field, bool twice) {
        const auto text = "the field '" + shown(name);
        if (twice) return text + "' stands there twice";
        if (field.nested) {
            return text + "' has a list or an object, and the lines before have single values";
        }
        return text + "': '" + shown(field.cell.text) +
               "' is a word, and the lines before have numbers";
    }

    /// Returns the place of the column, a new one if there is none.
    Result<std::size_t> column(LineReader& lines, std::string_view name) {
        if (const auto known = places_.find(std::string(name)); known != places_.end()) {
            return known->second;
        }
        if (table_.columns() == kColumnsMax || name.size() > kNameBytesMax) {
            fatal_ = true;
            return lines.bad(
                FaultCode::Oversized, "more than 4096 different fields, or a name of over 4 KiB"
            );
        }
        const auto place = table_.add_column(std::string(name));
        places_.emplace(name, place);
        seen_.push_back(0);
        return place;
    }

    void commit() {
        for (const auto& field : fields_) {
            if (field.nested) {
                table_.add_nested(field.column);
                continue;
            }
            if (table_.takes_words(field.column)) {
                Numeral numeral;
                table_.add(field.column, as_word(field.cell, numeral));
            } else {
                table_.add(field.column, field.cell);
            }
        }
        table_.end_row();
    }

    TableScan table_;
    JsonParser parser_;
    std::unordered_map<std::string, std::size_t> places_;
    std::vector<std::uint64_t> seen_;
    std::vector<Field> fields_;
    std::string wrong_;
    LineFindings findings_;
    bool fatal_ = false;
};

}  // namespace

void LineFindings::add(std::uint64_t line, std::string what) {
    if (++count <= kFindingsKept) first.push_back({line, std::move(what)});
}

Result<JsonlFacts> scan_jsonl(ByteStream& stream, const TableOptions& options) {
    LineReader lines(stream, kJsonLineBytesMax, kJsonPadding);
    Scan scan(options);
    std::string_view line;
    while (true) {
        const auto more = next_line(lines, line);
        if (!more) return more.error();
        if (!*more) break;
        if (auto read = scan.read(lines, line); !read) return read.error();
    }
    auto facts = scan.facts();
    if (!facts) return stream.bad(facts.error().code, facts.error().message);
    if (facts->table.rows > 0) return facts;
    std::string what = "there is no row in it";
    if (facts->wrong.count > 0) {
        const auto& first = facts->wrong.first.front();
        what += "; line " + std::to_string(first.line) + ": " + first.what;
    }
    return stream.bad(FaultCode::Usage, what);
}

Result<JsonlRows> JsonlRows::open(
    ByteStream& stream, const JsonlFacts& facts, std::vector<std::size_t> columns
) {
    auto codes = CellCodes::make(facts.table, std::move(columns));
    if (!codes) return stream.bad(codes.error().code, codes.error().message);
    return JsonlRows(stream, facts, std::move(*codes));
}

JsonlRows::JsonlRows(ByteStream& stream, const JsonlFacts& facts, CellCodes codes)
    : lines_(stream, kJsonLineBytesMax, kJsonPadding),
      parser_(kJsonLineBytesMax),
      facts_(&facts),
      codes_(std::move(codes)),
      wanted_(facts.table.columns.size(), kNowhere),
      seen_(facts.table.columns.size()) {
    const auto& table = facts.table.columns;
    for (std::size_t i = 0; i < table.size(); ++i) places_.emplace(table[i].name, i);
    for (std::size_t i = 0; i < codes_.columns().size(); ++i) wanted_[codes_.columns()[i]] = i;
}

Result<bool> JsonlRows::next(std::span<double> values) {
    STARLING_CHECK(values.size() == codes_.columns().size());
    std::string_view line;
    while (true) {
        const auto more = next_line(lines_, line);
        if (!more || !*more) return more;
        const auto right = read(line, values);
        if (!right) return lines_.bad(right.error().code, right.error().message);
        if (*right) return true;
        ++skipped_;
    }
}

/// Returns a column's place, or kNowhere. Lines mostly have the same fields in the same order, so `guess` is tried first.
std::size_t JsonlRows::place_of(std::string_view name, std::size_t guess) const {
    const auto& columns = facts_->table.columns;
    if (guess < columns.size() && columns[guess].name == name) return guess;
    const auto place = places_.find(name);
    return place == places_.end() ? kNowhere : place->second;
}

/// Returns whether the line is right, by the rules of the scan.
Result<bool> JsonlRows::read(std::string_view line, std::span<double> values) {
    std::fill(values.begin(), values.end(), std::numeric_limits<double>::quiet_NaN());
    bool wrong = false;
    std::optional<Fault> changed;
    std::size_t next = 0;
    const auto visit = [&](std::string_view name, const JsonValue& value) -> Result<void> {
        const auto column = place_of(name, next);
        if (column == kNowhere) return {};  // only wrong lines have names that no column has
        next = column + 1;
        const auto kind = facts_->table.columns[column].kind;
        Cell cell;
        read_value(value, cell);
        const bool nested = value.kind == JsonKind::Nested && kind != ColumnKind::Nested;
        // A value in a column that the scan left empty stands in a line that was wrong, and so does a
        // word where an option says that there are none, even if lists came later.
        const bool no_words =
            kind == ColumnKind::Number || facts_->table.columns[column].numbers_only;
        const bool word = (cell.kind == CellKind::Word && no_words) ||
                          (cell.kind != CellKind::Missing && kind == ColumnKind::Empty);
        wrong = wrong || seen_[column] == lines_.number() || nested || word;
        seen_[column] = lines_.number();
        if (wrong || wanted_[column] == kNowhere) return {};
        Numeral numeral;
        const bool words = kind == ColumnKind::Category;
        const auto code = codes_.code(column, words ? as_word(cell, numeral) : cell);
        if (code) {
            values[wanted_[column]] = *code;
        } else if (!changed) {
            changed = code.error();
        }
        return {};
    };
    const auto parsed = parser_.object(line, visit);
    if (!parsed || wrong) return false;
    if (changed) return *changed;
    return true;
}

JsonlTexts::JsonlTexts(ByteStream& stream, std::string field)
    : lines_(stream, kJsonLineBytesMax, kJsonPadding),
      parser_(kJsonLineBytesMax),
      field_(std::move(field)) {}

Result<std::optional<std::string_view>> JsonlTexts::next() {
    std::string_view line;
    while (true) {
        const auto more = next_line(lines_, line);
        if (!more) return more.error();
        if (!*more) return std::optional<std::string_view>();
        std::optional<std::string_view> text;
        std::string wrong = "there is no field '" + shown(field_) + "'";
        bool seen = false;
        const auto visit = [&](std::string_view name, const JsonValue& value) -> Result<void> {
            if (name != field_) return {};
            text.reset();
            if (value.kind != JsonKind::Text) {
                wrong = "the field '" + shown(field_) + "' is not a text";
            } else if (seen) {
                wrong = "the field '" + shown(field_) + "' stands there twice";
            } else {
                text = value.text;
            }
            seen = true;
            return {};
        };
        const auto parsed = parser_.object(line, visit);
        if (parsed && text) return text;
        wrong_.add(lines_.number(), parsed ? wrong : parsed.error().message);
    }
}

}  // namespace starling::data
