#include "peer/commands/status_table.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json_text.hpp"
#include "base/printable.hpp"

namespace starling::peer {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kCellMax = 24;

/// Returns the object, or null if the body is not a JSON object.
ordered_json parse_status(std::string_view body) {
    auto object = ordered_json::parse(body, nullptr, /*allow_exceptions=*/false);
    return object.is_object() ? object : ordered_json();
}

Fault not_json() {
    return fail(FaultCode::BadFormat, "the peer's status is not a JSON object");
}

std::string dump(const ordered_json& value) {
    return json_text(value);
}

std::string cell_text(const std::string& key, const ordered_json& value) {
    if (value.is_null()) return "-";
    if (value.is_number_float()) return fmt::format("{:.5g}", value.get<double>());
    if (!value.is_string()) return excerpt(dump(value));
    auto text = excerpt(value.get<std::string>());
    // An id has 64 digits. Eight tell peers apart and leave room for other columns.
    if (key == "id") return text.substr(0, 8);
    return text;
}

/// Cuts a cell without a mark, and never within a character.
std::string cut_cell(const std::string& text) {
    auto end = std::min(text.size(), kCellMax);
    const auto inside = [&text](std::size_t at) {
        return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80;
    };
    while (end > 0 && inside(end)) --end;
    return text.substr(0, end);
}

bool is_table(const ordered_json& value) {
    return value.is_array() && !value.empty() && value.front().is_object();
}

/// Returns the keys in the order of the fullest row, without those that are null everywhere. The
/// first row is the peer's own, which has no numbers if it trains nothing.
std::vector<std::string> columns_of(const ordered_json& rows) {
    const auto* fullest = &rows.front();
    for (const auto& row : rows) {
        if (row.is_object() && row.size() > fullest->size()) fullest = &row;
    }
    std::vector<std::string> keys;
    for (const auto& item : fullest->items()) {
        const bool known = std::any_of(rows.begin(), rows.end(), [&item](const ordered_json& row) {
            return row.is_object() && row.contains(item.key()) && !row[item.key()].is_null();
        });
        if (known) keys.push_back(item.key());
    }
    return keys;
}

std::string rows_text(const std::string& name, const ordered_json& rows) {
    std::vector<std::vector<std::string>> cells(1);
    const auto keys = columns_of(rows);
    for (const auto& key : keys) cells.front().push_back(excerpt(key));
    for (const auto& row : rows) {
        cells.emplace_back();
        for (const auto& key : keys) {
            const bool has = row.is_object() && row.contains(key);
            cells.back().push_back(has ? cut_cell(cell_text(key, row[key])) : "-");
        }
    }
    std::string text = "\n" + excerpt(name) + " (" + std::to_string(rows.size()) + ")\n";
    for (const auto& row : cells) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            std::size_t width = 0;
            for (const auto& other : cells) width = std::max(width, other[i].size());
            line += fmt::format("  {:<{}}", row[i], width);
        }
        text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
}

}  // namespace

Result<std::string> status_line(std::string_view body) {
    const auto object = parse_status(body);
    if (!object.is_object()) return not_json();
    return printable(dump(object)) + "\n";
}

Result<std::string> status_table(std::string_view body) {
    const auto object = parse_status(body);
    if (!object.is_object()) return not_json();
    std::size_t width = 0;
    for (const auto& item : object.items()) width = std::max(width, item.key().size());
    std::string values;
    std::string tables;
    for (const auto& item : object.items()) {
        if (is_table(item.value())) {
            tables += rows_text(item.key(), item.value());
        } else {
            // We show the peer's own id in full, so that a user can copy it.
            const auto text = item.value().is_string() ? excerpt(item.value().get<std::string>())
                                                       : cell_text(item.key(), item.value());
            values += fmt::format("{:<{}}  {}\n", excerpt(item.key()), width, text);
        }
    }
    return values + tables;
}

}  // namespace starling::peer
