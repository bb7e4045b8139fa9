#pragma once

// Tokens of texts that are encoded anew when they are read, instead of lying in a file: a text of
// characters or bytes is encoded faster than its tokens, twice its size, are written and read back.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/tokens/documents.hpp"
#include "data/tokens/text_encoder.hpp"

namespace starling::data {

/// A document that has text.
struct DocumentPlace {
    std::uint32_t file = 0;  ///< among DocumentFiles::files
    std::uint64_t begin =
        0;  ///< its first token, among those of all documents; a mark stands before it
};

/// The tokens of all documents, one after another, with a mark between them where the encoder has one.
/// It reads on from where it was; to go back, or far ahead, it begins with the document in question.
/// Thread    one at a time
class TextReplay {
public:
    /// Takes what a pass over the files has found.
    /// Requires  `files` outlives it; an encoder of characters or bytes; places in order, at least one
    TextReplay(
        const DocumentFiles& files,
        TextEncoder encoder,
        std::vector<DocumentPlace> documents,
        std::uint64_t tokens
    );

    [[nodiscard]] const std::vector<DocumentPlace>& documents() const { return documents_; }

    /// Reads tokens from place `at` on.
    /// Requires  at + out.size() <= tokens
    /// Errors    those of the files; Corrupt (a file has not the length that it had)
    [[nodiscard]] Result<void> read(std::uint64_t at, std::span<std::uint16_t> out);

private:
    void begin_at(std::size_t document);
    [[nodiscard]] std::size_t document_of(std::uint64_t token) const;
    Result<void> fill();
    Result<void> begin_document();
    [[nodiscard]] Fault changed() const;

    const DocumentFiles* files_;
    TextEncoder encoder_;
    std::vector<DocumentPlace> documents_;
    std::uint64_t tokens_ = 0;

    std::unique_ptr<DocumentReader> reader_;
    std::size_t next_ = 0;  ///< the document with text that comes next
    std::size_t files_begun_ = 0;
    bool inside_ = false;  ///< a file is open
    bool some_ = false;    ///< it has had text
    bool fresh_ = false;   ///< nothing was read since begin_at()
    std::vector<std::uint16_t> ready_;
    std::uint64_t ready_begin_ = 0;  ///< the place of ready_.front()
};

}  // namespace starling::data
