#include "data/tables/csv.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "base/check.hpp"
#include "base/printable.hpp"

namespace starling::data {

namespace {

/// The guesses are made from this many lines and bytes.
constexpr std::size_t kGuessLines = 20;
constexpr std::size_t kGuessBytes = std::size_t{1} << 16U;
constexpr std::size_t kShownBytes = 64;

using Cells = std::vector<std::vector<Cell>>;

std::string shown(std::string_view text) {
    return printable(std::string(text.substr(0, kShownBytes)));
}

std::string separator_name(char separator) {
    if (separator == '\t') return "tab";
    return separator == ',' ? "comma" : separator == ';' ? "semicolon" : std::string(1, separator);
}

/// Returns the number of fields in each of the first lines. The last may be cut and is left out.
std::vector<std::size_t> field_counts(std::string_view beginning, char separator, bool whole) {
    MemoryStream stream(beginning);
    CsvRecords records(stream, separator);
    CsvRecord record;
    std::vector<std::size_t> counts;
    while (counts.size() <= kGuessLines) {
        const auto more = records.next(record);
        if (!more || !*more) break;
        counts.push_back(record.fields.size());
    }
    const bool cut = !whole && counts.size() <= kGuessLines;
    if (cut && counts.size() > 1) counts.pop_back();
    return counts;
}

char guess_separator(std::string_view beginning, bool whole) {
    char best = ',';
    std::size_t best_agree = 0;
    for (const char separator : {',', ';', '\t'}) {
        const auto counts = field_counts(beginning, separator, whole);
        if (counts.empty() || counts[0] < 2) continue;
        const auto equal = std::count(counts.begin(), counts.end(), counts[0]);
        const auto agree = static_cast<std::size_t>(equal) * 1000 / counts.size();
        if (agree > best_agree) {
            best = separator;
            best_agree = agree;
        }
    }
    return best;
}

/// Returns whether a column has a word in the first line and else numbers, of which there are some.
bool names_numbers(const Cells& lines, std::size_t column) {
    if (lines[0][column].kind != CellKind::Word) return false;
    bool numbers = false;
    for (std::size_t i = 1; i < lines.size(); ++i) {
        if (column >= lines[i].size()) continue;
        if (lines[i][column].kind == CellKind::Word) return false;
        numbers = numbers || lines[i][column].kind == CellKind::Number;
    }
    return numbers;
}

bool guess_header(std::string_view beginning, char separator) {
    MemoryStream stream(beginning);
    CsvRecords records(stream, separator);
    CsvRecord record;
    Cells lines;
    while (lines.size() <= kGuessLines) {
        const auto more = records.next(record);
        if (!more || !*more) break;
        auto& line = lines.emplace_back();
        for (const auto field : record.fields) line.push_back(read_cell(field));
        // Texts of a record live until the next one; only those of the first line are looked at.
        if (lines.size() > 1) continue;
        std::set<std::string, std::less<>> names;
        bool all_words = true;
        for (const auto& cell : line) {
            all_words = all_words && cell.kind == CellKind::Word && names.emplace(cell.text).second;
        }
        if (all_words) return true;
    }
    if (lines.empty()) return false;
    for (std::size_t column = 0; column < lines[0].size(); ++column) {
        if (names_numbers(lines, column)) return true;
    }
    return false;
}

void add_columns(TableScan& scan, const CsvRecord& first, bool header) {
    for (std::size_t i = 0; i < first.fields.size(); ++i) {
        auto name = header ? std::string(first.fields[i]) : std::string();
        const auto blank = name.find_first_not_of(" \t") == std::string::npos;
        scan.add_column(blank ? "column " + std::to_string(i + 1) : std::move(name));
    }
}

Fault ragged(const CsvRecords& records, const CsvRecord& record, std::size_t expected) {
    return records.bad_line(
        FaultCode::BadFormat,
        record.line,
        std::to_string(record.fields.size()) + " fields, " + std::to_string(expected) +
            " are expected, as in the first line"
    );
}

Result<void> add_row(TableScan& scan, const CsvRecords& records, const CsvRecord& record) {
    if (record.fields.size() != scan.columns()) return ragged(records, record, scan.columns());
    for (std::size_t i = 0; i < record.fields.size(); ++i) {
        const auto cell = read_cell(record.fields[i]);
        if (!scan.accepts(i, cell)) {
            return records.bad_line(
                FaultCode::BadFormat,
                record.line,
                "column '" + shown(scan.name(i)) + "': '" + shown(cell.text) +
                    "' is a word, and the lines before have numbers; correct it, or name the "
                    "column in categories="
            );
        }
        scan.add(i, cell);
    }
    scan.end_row();
    return {};
}

}  // namespace

Result<CsvFacts> scan_csv(ByteStream& stream, const CsvOptions& options) {
    CsvFacts facts;
    CsvRecords records(stream, ',');
    const auto beginning = records.peek(kGuessBytes);
    if (!beginning) return beginning.error();
    const bool whole = beginning->size() < kGuessBytes;
    facts.separator = options.separator ? *options.separator : guess_separator(*beginning, whole);
    facts.header = options.header ? *options.header : guess_header(*beginning, facts.separator);
    facts.guess = "separated by " + separator_name(facts.separator) + ", the first line " +
                  (facts.header ? "names the columns" : "is a row");
    records.set_separator(facts.separator);
    TableScan scan(options.table);
    CsvRecord record;
    while (true) {
        const auto more = records.next(record);
        if (!more) return more.error();
        if (!*more) break;
        const bool first = scan.columns() == 0;
        if (first) add_columns(scan, record, facts.header);
        if (first && facts.header) continue;
        if (auto added = add_row(scan, records, record); !added) return added.error();
    }
    auto table = scan.facts();
    if (!table) return records.bad(table.error().code, table.error().message);
    if (table->rows == 0) return records.bad(FaultCode::Usage, "there are no rows in it");
    facts.table = std::move(*table);
    return facts;
}

Result<CsvRows> CsvRows::open(
    ByteStream& stream, const CsvFacts& facts, std::vector<std::size_t> columns
) {
    auto codes = CellCodes::make(facts.table, std::move(columns));
    if (!codes) return stream.bad(codes.error().code, codes.error().message);
    return CsvRows(stream, facts, std::move(*codes));
}

CsvRows::CsvRows(ByteStream& stream, const CsvFacts& facts, CellCodes codes)
    : records_(stream, facts.separator),
      facts_(&facts),
      codes_(std::move(codes)),
      header_due_(facts.header) {}

Result<bool> CsvRows::next(std::span<double> values) {
    STARLING_CHECK(values.size() == codes_.columns().size());
    for (;; header_due_ = false) {
        const auto more = records_.next(record_);
        if (!more || !*more) return more;
        if (!header_due_) break;
    }
    const auto expected = facts_->table.columns.size();
    if (record_.fields.size() != expected) return ragged(records_, record_, expected);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto column = codes_.columns()[i];
        const auto value = codes_.code(column, read_cell(record_.fields[column]));
        if (!value)
            return records_.bad_line(value.error().code, record_.line, value.error().message);
        values[i] = *value;
    }
    return true;
}

}  // namespace starling::data
