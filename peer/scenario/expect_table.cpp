#include <array>

#include "peer/scenario/table_reader.hpp"
#include "peer/scenario/words.hpp"

namespace starling::scenario {
namespace {

void read_errors(TableReader& reader, const toml::node& node, Expect& expect) {
    const auto* array = node.as_array();
    if (array == nullptr || !array->is_homogeneous(toml::node_type::string)) {
        return reader.fail_at(
            place_of(node.source()), "'errors' is a list of texts that lines on stderr may contain"
        );
    }
    expect.errors.emplace();
    for (const auto& entry : *array) {
        expect.errors->push_back(entry.as_string()->get());
    }
}

/// Reads a number of occurrences, or "no".
void read_count(
    TableReader& reader,
    const toml::table& table,
    const char* key,
    std::optional<std::uint64_t>& into
) {
    const auto* node = table.get(key);
    if (node == nullptr) return;
    if (node->is_string() && node->as_string()->get() == "no") {
        into.reset();
    } else {
        reader.number(table, key, 0, 1'000'000, into.emplace());
    }
}

/// Reads a check that is on unless the file says "no".
void read_check(TableReader& reader, const toml::table& table, const char* key, bool& into) {
    const auto* node = table.get(key);
    if (node == nullptr) return;
    if (node->is_string() && node->as_string()->get() == "no") {
        into = false;
    } else if (!node->is_boolean()) {
        reader.fail_at(place_of(node->source()), fmt::format("'{}' is true or \"no\"", key));
    } else {
        into = node->as_boolean()->get();
    }
}

/// Reads a share from 0 to 1, or nothing.
std::optional<double> read_fraction(
    TableReader& reader, const toml::table& table, const char* key
) {
    const auto* node = table.get(key);
    if (node == nullptr) return {};
    const auto value = node->value<double>();
    if (node->is_number() && value && *value >= 0 && *value <= 1) return value;
    reader.fail_at(place_of(node->source()), fmt::format("'{}' is a number from 0 to 1", key));
    return {};
}

void read_baseline(TableReader& reader, const toml::table& table, Expect& expect) {
    expect.accuracy_lost = read_fraction(reader, table, "accuracy_lost");
    const auto* node = table.get("baseline");
    if (node != nullptr && node->is_string()) {
        expect.baseline_is_run = node->as_string()->get() == "run";
        if (!expect.baseline_is_run) {
            reader.fail_at(place_of(node->source()), "'baseline' is an accuracy or \"run\"");
        }
    } else {
        expect.baseline = read_fraction(reader, table, "baseline");
    }
    if (expect.accuracy_lost && node == nullptr) {
        reader.fail_at(
            place_of(table.get("accuracy_lost")->source()),
            "'accuracy_lost' wants a 'baseline': an accuracy, or \"run\" for a run without the "
            "steps"
        );
    }
}

}  // namespace

void read_expect(TableReader& reader, const toml::table& table, Expect& expect) {
    static constexpr std::array<std::string_view, 15> kKeys = {
        "reach",
        "whole_within",
        "no_exchange_for",
        "training_gap",
        "false_failures",
        "failures",
        "suspicions",
        "progress",
        "shards",
        "mean_kept",
        "accuracy_lost",
        "baseline",
        "memory_growth",
        "spread",
        "errors"};
    reader.only(table, "[expect]", kKeys);
    std::string reach = "until";
    reader.text(table, "reach", reach);
    if (reach != "until" && reach != "no") {
        reader.fail_at(place_of(table.get("reach")->source()), "'reach' is \"until\" or \"no\"");
    }
    expect.reach = reach == "until";
    reader.limit(table, "whole_within", expect.whole_within);
    reader.limit(table, "no_exchange_for", expect.no_exchange_for);
    reader.limit(table, "training_gap", expect.training_gap);
    read_count(reader, table, "false_failures", expect.false_failures);
    read_count(reader, table, "failures", expect.failures);
    read_count(reader, table, "suspicions", expect.suspicions);
    read_check(reader, table, "progress", expect.progress);
    read_check(reader, table, "shards", expect.shards);
    read_check(reader, table, "mean_kept", expect.mean_kept);
    read_baseline(reader, table, expect);
    if (auto bytes = reader.by(table, "memory_growth", parse_bytes)) expect.memory_growth = bytes;
    if (const auto* node = table.get("spread")) {
        const auto value = node->value<double>();
        if (!value || !node->is_number() || !(*value > 0)) {
            reader.fail_at(place_of(node->source()), "'spread' is a number above 0");
        } else {
            expect.spread = value;
        }
    }
    if (const auto* node = table.get("errors")) read_errors(reader, *node, expect);
}

}  // namespace starling::scenario
