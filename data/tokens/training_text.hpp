#pragma once

// The training part of some documents as one text, to learn tokens from.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "data/formats/byte_stream.hpp"
#include "data/tokens/documents.hpp"

namespace starling::data {

/// The first `characters` of all documents. A line end stands between documents.
/// Thread    one at a time
class TrainingText final : public ByteStream {
public:
    /// Requires  the reader outlives it and stands before the first document
    TrainingText(DocumentReader& reader, std::uint64_t characters, std::string name)
        : reader_(&reader),
          left_(characters),
          name_(std::move(name)) {}

    [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out) override;
    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const override;

private:
    Result<bool> fill();

    DocumentReader* reader_;
    std::uint64_t left_;
    std::string name_;
    std::string_view rest_;
    bool inside_ = false;
    bool some_ = false;
};

}  // namespace starling::data
