#pragma once

// Fields in the names of files: `{digit}_{speaker}_{take}` reads 7, jackson and 32 from 7_jackson_32.wav.
// A pattern with slashes reads as many folders, too: `{speaker}/{digit}`.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/groups.hpp"

namespace starling::data {

class NamePattern {
public:
    /// Parses a pattern. Between two fields stands some text. One field may be written `{name*}`: it takes
    /// all that the others leave, and this text may occur in it. Without it the last one does.
    /// Errors    Usage
    [[nodiscard]] static Result<NamePattern> parse(std::string_view text);

    [[nodiscard]] const std::vector<std::string>& fields() const { return fields_; }

    /// Returns the place of a field.
    [[nodiscard]] std::optional<std::size_t> field(std::string_view name) const;

    /// Reads the fields in a file's path, without its ending; the fields refer to `path`. Nothing if the
    /// name is another one.
    [[nodiscard]] std::optional<std::vector<std::string_view>> read(std::string_view path) const;

private:
    std::vector<std::string> fields_;
    std::vector<std::string>
        between_;              ///< one more than fields: before the first, ..., after the last
    std::size_t rest_ = 0;     ///< the field that takes what is left
    std::size_t folders_ = 0;  ///< slashes
};

/// The fields of training samples that are files: those of a pattern, and `folder`.
class FileFields {
public:
    explicit FileFields(std::optional<NamePattern> pattern = std::nullopt);

    /// Adds the next training sample.
    /// Requires  a name that the pattern reads
    void add(std::string_view name);

    /// Returns a field of the samples of `source`, which has these fields besides.
    /// Errors    Usage (no such field, too many values)
    [[nodiscard]] Result<Groups> groups(
        const std::string& source, const std::string& field, const std::vector<std::string>& others
    ) const;

private:
    std::optional<NamePattern> pattern_;
    std::vector<std::string> names_;
    std::vector<GroupBuilder> values_;
};

}  // namespace starling::data
