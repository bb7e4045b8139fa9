#pragma once

// A format of tables that this build was made without: its SPEC is read as ever, its files are refused.

#include <string>
#include <utility>

#include "base/check.hpp"
#include "data/sources/table.hpp"

namespace starling::data {

class AbsentTable final : public TableFormat {
public:
    /// `what` is told with the file's name; `keys` are those of TableFormat.
    explicit AbsentTable(std::string what, std::string keys = {})
        : what_(std::move(what)),
          keys_(std::move(keys)) {}

    [[nodiscard]] std::string_view keys() const override { return keys_; }

    Result<void> scan(
        const std::string& path, const TableOptions& /*options*/, ScanNotes& /*notes*/
    ) override {
        return fail(FaultCode::Unsupported, path + ": " + what_);
    }

    // No scan succeeds, so nobody comes here.

    [[nodiscard]] const TableFacts& facts() const override { STARLING_UNREACHABLE("absent"); }

    Result<void> begin(std::vector<std::size_t> /*columns*/) override {
        STARLING_UNREACHABLE("absent");
    }

    Result<bool> next(std::span<double> /*values*/) override { STARLING_UNREACHABLE("absent"); }

    [[nodiscard]] std::uint64_t line() const override { STARLING_UNREACHABLE("absent"); }

private:
    std::string what_;
    std::string keys_;
};

}  // namespace starling::data
