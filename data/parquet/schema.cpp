#include "data/parquet/schema.hpp"

#include "base/printable.hpp"
#include "data/tables/csv_records.hpp"

namespace starling::data {

namespace {

constexpr std::int64_t kOptional = 1;
constexpr std::int64_t kRepeated = 2;
constexpr std::size_t kNameBytesMax = 4096;
/// No writer has decimals of more than 76 digits.
constexpr std::int64_t kScaleMax = 255;
constexpr std::int64_t kWidthMax = std::int64_t{1} << 20U;

// Fields of parquet.thrift's LogicalType.
enum Logical : std::int64_t {
    kDecimal = 5,
    kDate = 6,
    kTime = 7,
    kTimestamp = 8,
    kInteger = 10,
    kBson = 13,
    kUuid = 14,
    kFloat16 = 15,
    kVariant = 16,
    kGeometry = 17,
    kGeography = 18,
    kInterval = 1000,  // ConvertedType alone has it
};

/// Says of a node in the older form what the newer one says.
void take_converted(ParquetNode& node) {
    switch (node.converted) {
        case 5:
            node.logical = kDecimal;
            break;
        case 6:
            node.logical = kDate;
            break;
        case 7:
        case 8:
            node.logical = kTime;
            node.time_unit = node.converted - 6;
            break;
        case 9:
        case 10:
            node.logical = kTimestamp;
            node.time_unit = node.converted - 8;
            break;
        case 11:
        case 12:
        case 13:
        case 14:
            node.logical = kInteger;
            node.is_signed = false;
            break;
        case 20:
            node.logical = kBson;
            break;
        case 21:
            node.logical = kInterval;
            break;
        default:
            break;
    }
}

std::string unit_of(const ParquetNode& node) {
    if (node.logical == kDate) return "days since 1970-01-01";
    if (node.logical != kTime && node.logical != kTimestamp) return {};
    const char* since = node.logical == kTime ? " since midnight" : " since 1970-01-01";
    const char* unit = node.time_unit == 1   ? "milliseconds"
                       : node.time_unit == 2 ? "microseconds"
                                             : "nanoseconds";
    return std::string(unit) + since;
}

std::string why_not_read(const ParquetNode& node, ParquetType type) {
    if (type == ParquetType::Int96) return "times in the old form INT96; write them as TIMESTAMP";
    switch (node.logical) {
        case kBson:
            return "BSON";
        case kUuid:
            return "UUIDs";
        case kVariant:
            return "VARIANT";
        case kGeometry:
        case kGeography:
            return "shapes of geography";
        case kInterval:
            return "INTERVAL";
        default:
            return {};
    }
}

/// A meaning that does not fit the type is left aside: the values are then what the type says.
ParquetMeaning meaning_of(const ParquetNode& node, const ParquetColumn& column) {
    const bool whole = column.type == ParquetType::Int32 || column.type == ParquetType::Int64;
    const bool bytes =
        column.type == ParquetType::ByteArray || column.type == ParquetType::FixedBytes;
    if (node.logical == kInteger && whole && !node.is_signed) return ParquetMeaning::Unsigned;
    if (node.logical == kDecimal && (whole || bytes)) return ParquetMeaning::Decimal;
    if (node.logical == kFloat16 && column.type == ParquetType::FixedBytes && column.width == 2) {
        return ParquetMeaning::Half;
    }
    return ParquetMeaning::Plain;
}

Result<void> describe_leaf(ParquetNode node, ParquetColumn& column) {
    const auto wrong = [&](const std::string& what) {
        return fail(FaultCode::BadFormat, "column '" + printable(column.name) + "': " + what);
    };
    if (node.type < 0 || node.type > 7) return wrong("it has no type that is known");
    column.type = static_cast<ParquetType>(node.type);
    column.optional = node.repetition == kOptional;
    if (node.repetition < 0 || node.repetition > kRepeated) return wrong("its repetition is odd");
    if (node.repetition == kRepeated) column.nested = true;
    if (column.type == ParquetType::FixedBytes) {
        if (node.width < 1 || node.width > kWidthMax)
            return wrong("the width of its values is odd");
        column.width = static_cast<std::uint32_t>(node.width);
    }
    if (node.logical < 0) take_converted(node);
    column.meaning = meaning_of(node, column);
    if (column.meaning == ParquetMeaning::Decimal) {
        if (node.scale < 0 || node.scale > kScaleMax) return wrong("its scale is odd");
        column.scale = static_cast<std::uint32_t>(node.scale);
    }
    column.unit = unit_of(node);
    column.why = why_not_read(node, column.type);
    return {};
}

void read_time_unit(ThriftReader& reader, ParquetNode& node) {
    reader.fields([&](const ThriftField& field) {
        node.time_unit = field.id;
        return false;
    });
}

bool read_logical(ThriftReader& reader, const ThriftField& field, ParquetNode& node) {
    return reader.fields(field, [&](const ThriftField& kind) {
        node.logical = kind.id;
        if (kind.type != ThriftType::Struct) return false;
        reader.fields([&](const ThriftField& part) {
            if (kind.id == kDecimal && part.id == 1) return reader.integer(part, node.scale);
            if (kind.id == kInteger && part.id == 2) return reader.flag(part, node.is_signed);
            if ((kind.id == kTime || kind.id == kTimestamp) && part.id == 2 &&
                part.type == ThriftType::Struct) {
                read_time_unit(reader, node);
                return true;
            }
            return false;
        });
        return true;
    });
}

}  // namespace

ParquetNode read_parquet_node(ThriftReader& reader) {
    ParquetNode node;
    reader.fields([&](const ThriftField& field) {
        switch (field.id) {
            case 1:
                return reader.integer(field, node.type);
            case 2:
                return reader.integer(field, node.width);
            case 3:
                return reader.integer(field, node.repetition);
            case 4:
                return reader.text(field, node.name);
            case 5:
                return reader.integer(field, node.children);
            case 6:
                return reader.integer(field, node.converted);
            case 7:
                return reader.integer(field, node.scale);
            case 10:
                return read_logical(reader, field, node);
            default:
                return false;
        }
    });
    return node;
}

Result<ParquetColumns> parquet_columns(const std::vector<ParquetNode>& nodes) {
    const auto damaged = fail(FaultCode::BadFormat, "the tree of its columns is damaged");
    if (nodes.empty() || nodes[0].children < 0) return damaged;
    ParquetColumns found;
    std::size_t at = 1;
    while (at < nodes.size()) {
        const auto& node = nodes[at];
        if (found.columns.size() == kColumnsMax || node.name.size() > kNameBytesMax) {
            return fail(FaultCode::Oversized, "more than 4096 columns, or a name of over 4 KiB");
        }
        ParquetColumn column;
        column.name = node.name;
        column.leaf = found.leaves;
        column.nested = node.children >= 0;
        if (!column.nested) {
            if (auto ok = describe_leaf(node, column); !ok) return ok.error();
        }
        // The nodes of a group follow it: `open` of them are still to come.
        for (std::int64_t open = 1; open > 0; ++at) {
            if (at == nodes.size()) return damaged;
            const auto below = nodes[at].children;
            if (below < 0) ++found.leaves;
            open += below < 0 ? -1 : below - 1;
            if (open > static_cast<std::int64_t>(kParquetFieldsMax)) return damaged;
        }
        found.columns.push_back(std::move(column));
    }
    if (found.columns.size() != static_cast<std::uint64_t>(nodes[0].children)) return damaged;
    return found;
}

}  // namespace starling::data
