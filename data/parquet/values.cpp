#include "data/parquet/values.hpp"

#include <cmath>
#include <cstring>

#include "data/parquet/numbers.hpp"

namespace starling::data {

namespace {

template <class T>
T load(ByteView raw) {
    T value{};
    std::memcpy(&value, raw.data(), sizeof(T));
    return value;
}

Fault misplaced(ParquetEncoding encoding) {
    return fail(
        FaultCode::Unsupported,
        "encoding " + std::to_string(static_cast<std::int64_t>(encoding)) +
            " is not one for values of this type"
    );
}

}  // namespace

std::size_t parquet_width(const ParquetColumn& column) {
    switch (column.type) {
        case ParquetType::Boolean:
            return 1;
        case ParquetType::Int32:
        case ParquetType::Float:
            return 4;
        case ParquetType::Int64:
        case ParquetType::Double:
            return 8;
        case ParquetType::Int96:
            return 12;
        case ParquetType::FixedBytes:
            return column.width;
        case ParquetType::ByteArray:
            return 0;
    }
    return 0;
}

PlainValues::PlainValues(const ParquetColumn& column, ByteView bytes)
    : bytes_(bytes),
      width_(parquet_width(column)),
      bits_(column.type == ParquetType::Boolean) {}

bool PlainValues::next(ByteView& out) {
    static constexpr std::array<std::byte, 2> kBits{std::byte{0}, std::byte{1}};
    if (bits_) {
        if (bit_ == std::uint64_t{bytes_.size()} * 8) return false;
        out = ByteView(kBits).subspan(bits_at(bytes_, bit_++, 1), 1);
        return true;
    }
    auto width = width_;
    if (width == 0) {
        if (bytes_.size() - at_ < sizeof(std::uint32_t)) return false;
        width = load<std::uint32_t>(bytes_.subspan(at_));
        at_ += sizeof(std::uint32_t);
    }
    if (width > bytes_.size() - at_) return false;
    out = bytes_.subspan(at_, width);
    at_ += width;
    return true;
}

bool ParquetDictionary::fill(const ParquetColumn& column, std::uint64_t count) {
    count_ = 0;
    width_ = parquet_width(column);
    places_.clear();
    if (width_ > 0) {
        if (count > bytes.size() / width_) return false;
        count_ = count;
        return true;
    }
    PlainValues values(column, std::as_bytes(std::span(bytes)));
    // Each value has four bytes at least, so the places take no more than the values.
    for (std::uint64_t i = 0; i < count; ++i) {
        ByteView value;
        const auto place = values.place();
        if (!values.next(value)) return false;
        places_.push_back(static_cast<std::uint32_t>(place));
    }
    count_ = count;
    return true;
}

bool ParquetDictionary::at(std::uint32_t index, ByteView& out) const {
    if (index >= count_) return false;
    const auto all = std::as_bytes(std::span(bytes));
    if (width_ > 0) {
        out = all.subspan(index * width_, width_);
        return true;
    }
    const auto place = all.subspan(places_[index]);
    out = place.subspan(sizeof(std::uint32_t), load<std::uint32_t>(place));
    return true;
}

Result<void> ParquetValues::begin(ParquetEncoding encoding, ByteView bytes) {
    encoding_ = encoding;
    switch (encoding) {
        case ParquetEncoding::Plain:
            plain_ = PlainValues(*column_, bytes);
            return {};
        case ParquetEncoding::PlainDictionary:
        case ParquetEncoding::RunLengthDictionary: {
            encoding_ = ParquetEncoding::RunLengthDictionary;
            if (column_->type == ParquetType::Boolean) return misplaced(encoding);
            // A page whose values are all missing may have no byte at all.
            const auto width = bytes.empty() ? 0U : std::to_integer<unsigned>(bytes[0]);
            if (width > RunLengths::kWidthMax) {
                return fail(FaultCode::BadFormat, "numbers of more than 32 bits in a dictionary");
            }
            runs_ = RunLengths(bytes.empty() ? bytes : bytes.subspan(1), width);
            return {};
        }
        case ParquetEncoding::DeltaLengthByteArray:
        case ParquetEncoding::DeltaByteArray:
            return begin_texts(encoding, bytes);
        default:
            return begin_numbers(encoding, bytes);
    }
}

Result<void> ParquetValues::begin_numbers(ParquetEncoding encoding, ByteView bytes) {
    const auto type = column_->type;
    if (encoding == ParquetEncoding::RunLengths && type == ParquetType::Boolean) {
        if (bytes.empty()) {
            runs_ = RunLengths(bytes, 1);
            return {};
        }
        if (bytes.size() < sizeof(std::uint32_t) ||
            load<std::uint32_t>(bytes) > bytes.size() - sizeof(std::uint32_t)) {
            return fail(FaultCode::BadFormat, "truth values that exceed their page");
        }
        runs_ = RunLengths(bytes.subspan(sizeof(std::uint32_t), load<std::uint32_t>(bytes)), 1);
        return {};
    }
    if (encoding == ParquetEncoding::DeltaBinaryPacked &&
        (type == ParquetType::Int32 || type == ParquetType::Int64)) {
        if (!bytes.empty() && !numbers_.begin(bytes)) {
            return fail(FaultCode::BadFormat, "the head of its differences is damaged");
        }
        return {};
    }
    if (encoding == ParquetEncoding::ByteStreamSplit && type != ParquetType::Boolean &&
        type != ParquetType::ByteArray) {
        if (bytes.size() % parquet_width(*column_) != 0) {
            return fail(FaultCode::BadFormat, "values that do not fill their page");
        }
        split_ = bytes;
        split_at_ = 0;
        last_.resize(parquet_width(*column_));
        return {};
    }
    return misplaced(encoding);
}

/// Reads how long the texts are. With DeltaByteArray there is before that how much of each is the
/// beginning of the one before it.
Result<void> ParquetValues::begin_texts(ParquetEncoding encoding, ByteView bytes) {
    const bool whole = encoding == ParquetEncoding::DeltaLengthByteArray;
    if (column_->type != ParquetType::ByteArray &&
        (whole || column_->type != ParquetType::FixedBytes)) {
        return misplaced(encoding);
    }
    const auto damaged = fail(FaultCode::BadFormat, "the lengths of its texts are damaged");
    last_.clear();
    texts_ = {};
    text_at_ = 0;
    DeltaNumbers all;
    std::size_t after = 0;
    if (!whole) {
        if (!shared_.begin(bytes) || !all.begin(bytes) || !all.end(after)) return damaged;
        bytes = bytes.subspan(after);
    }
    if (!numbers_.begin(bytes) || !all.begin(bytes) || !all.end(after)) return damaged;
    texts_ = bytes.subspan(after);
    return {};
}

bool ParquetValues::next(Cell& out) {
    if (encoding_ == ParquetEncoding::DeltaBinaryPacked) {
        std::int64_t value = 0;
        if (!numbers_.next(value)) return false;
        out = number_of(
            column_->type == ParquetType::Int32 ? static_cast<std::int32_t>(value) : value
        );
        return true;
    }
    if (encoding_ == ParquetEncoding::RunLengths) {
        std::uint32_t value = 0;
        if (!runs_.next(value)) return false;
        out = number_of(value);
        return true;
    }
    ByteView raw;
    return next_bytes(raw) && cell_of(raw, out);
}

bool ParquetValues::next_bytes(ByteView& out) {
    switch (encoding_) {
        case ParquetEncoding::Plain:
            return plain_.next(out);
        case ParquetEncoding::RunLengthDictionary: {
            std::uint32_t index = 0;
            return runs_.next(index) && dictionary_->at(index, out);
        }
        case ParquetEncoding::ByteStreamSplit:
            return next_split(out);
        default:
            return next_text(out);
    }
}

bool ParquetValues::next_text(ByteView& out) {
    std::int64_t length = 0;
    if (!numbers_.next(length) || length < 0) return false;
    if (static_cast<std::uint64_t>(length) > texts_.size() - text_at_) return false;
    const auto own = texts_.subspan(text_at_, static_cast<std::size_t>(length));
    text_at_ += own.size();
    if (encoding_ == ParquetEncoding::DeltaLengthByteArray) {
        out = own;
        return true;
    }
    std::int64_t shared = 0;
    if (!shared_.next(shared) || shared < 0) return false;
    if (static_cast<std::uint64_t>(shared) > last_.size()) return false;
    last_.resize(static_cast<std::size_t>(shared));
    last_.append(as_text(own));
    out = as_byte_view(last_);
    return column_->type == ParquetType::ByteArray || out.size() == column_->width;
}

/// The first bytes of all values stand first, then the second bytes, and so on.
bool ParquetValues::next_split(ByteView& out) {
    const auto count = split_.size() / last_.size();
    if (split_at_ == count) return false;
    for (std::size_t i = 0; i < last_.size(); ++i) {
        last_[i] = static_cast<char>(split_[i * count + split_at_]);
    }
    ++split_at_;
    out = as_byte_view(last_);
    return true;
}

Cell ParquetValues::number_of(std::int64_t value) const {
    Cell cell;
    cell.kind = CellKind::Number;
    if (column_->type == ParquetType::Boolean) {
        cell.number = value == 0 ? 0.0 : 1.0;
        cell.text = value == 0 ? "false" : "true";
    } else if (column_->meaning == ParquetMeaning::Decimal) {
        cell.number = decimal_of(value, column_->scale);
    } else if (column_->meaning == ParquetMeaning::Unsigned) {
        cell.number = column_->type == ParquetType::Int32
                          ? static_cast<double>(static_cast<std::uint32_t>(value))
                          : static_cast<double>(static_cast<std::uint64_t>(value));
    } else {
        cell.number = static_cast<double>(value);
    }
    return cell;
}

bool ParquetValues::cell_of(ByteView raw, Cell& out) const {
    out = {};
    switch (column_->type) {
        case ParquetType::Boolean:
            out = number_of(load<std::uint8_t>(raw));
            return true;
        case ParquetType::Int32:
            out = number_of(load<std::int32_t>(raw));
            return true;
        case ParquetType::Int64:
            out = number_of(load<std::int64_t>(raw));
            return true;
        case ParquetType::Float:
            out.number = static_cast<double>(load<float>(raw));
            break;
        case ParquetType::Double:
            out.number = load<double>(raw);
            break;
        case ParquetType::ByteArray:
        case ParquetType::FixedBytes:
            if (column_->text()) {
                out = read_cell(as_text(raw));
                if (out.kind == CellKind::Number && !texts_are_numbers_) out.kind = CellKind::Word;
                return true;
            }
            out.number = column_->meaning == ParquetMeaning::Half
                             ? half_of(load<std::uint16_t>(raw))
                             : decimal_of_bytes(raw, column_->scale);
            break;
        case ParquetType::Int96:
            return false;
    }
    // As everywhere in tables, what is not finite is missing.
    out.kind = std::isfinite(out.number) ? CellKind::Number : CellKind::Missing;
    return true;
}

}  // namespace starling::data
