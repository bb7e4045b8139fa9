#pragma once

// Documents of text, in files of one each or in a field of JSON lines, read piece by piece: memory does
// not grow with a document.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/tables/jsonl.hpp"

namespace starling::data {

/// Thread    one at a time
class DocumentReader {
public:
    DocumentReader() = default;
    virtual ~DocumentReader() = default;
    DocumentReader(const DocumentReader&) = delete;
    DocumentReader& operator=(const DocumentReader&) = delete;

    /// Goes to the next document. Returns false if there is none.
    /// Errors    those of the file
    [[nodiscard]] virtual Result<bool> next() = 0;

    /// Returns the next piece of the document, or nothing at its end. It is valid until the next call.
    /// Errors    those of the file; Usage (not UTF-8, or a zero byte), with byte and line
    [[nodiscard]] virtual Result<std::string_view> piece() = 0;

    /// Returns what was read in another way than it stands in the files, for people.
    [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

    /// Returns the lines of JSON that were wrong and are left out.
    [[nodiscard]] virtual LineFindings wrong() const { return {}; }

protected:
    std::vector<std::string> notes_;
};

/// Which documents there are.
struct DocumentFiles {
    std::vector<std::string> files;
    std::string field;  ///< of the objects in JSON lines; empty: each file is one document
    /// Files are text: UTF-8 without a byte order mark, CR LF becomes LF, and pieces end with whole
    /// characters. Otherwise bytes are taken as they are.
    bool utf8 = true;
    bool keep_line_ends = false;  ///< of a text: CR LF stays
    bool latin1 = false;          ///< of a text: each byte is a character of Latin-1
};

/// Opens the documents of the files from number `first` on; each call begins anew.
/// Requires  `files` outlives the reader
[[nodiscard]] std::unique_ptr<DocumentReader> read_documents(
    const DocumentFiles& files, std::size_t first = 0
);

/// Takes characters from the beginning of a text: at most `left` of them, which it counts down. Returns
/// their bytes. Without `utf8` each byte counts as one.
/// Thread    any (pure)
[[nodiscard]] std::size_t take_characters(std::string_view text, std::uint64_t& left, bool utf8);

}  // namespace starling::data
