#include "data/parquet/thrift.hpp"

#include <array>

namespace starling::data {

std::uint8_t ThriftReader::byte() {
    if (!ok_) return 0;
    if (at_ == bytes_.size()) {
        ok_ = false;
        short_ = true;
        return 0;
    }
    return std::to_integer<std::uint8_t>(bytes_[at_++]);
}

std::uint64_t ThriftReader::varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const auto next = byte();
        value |= static_cast<std::uint64_t>(next & 0x7fU) << shift;
        if ((next & 0x80U) == 0) return ok_ ? value : 0;
    }
    spoil();
    return 0;
}

std::int64_t ThriftReader::zigzag() {
    const auto value = varint();
    return static_cast<std::int64_t>((value >> 1U) ^ (~(value & 1U) + 1U));
}

std::string_view ThriftReader::bytes(std::uint64_t count) {
    if (!ok_) return {};
    if (count > bytes_.size() - at_) {
        ok_ = false;
        short_ = true;
        return {};
    }
    const auto taken = as_text(bytes_.subspan(at_, static_cast<std::size_t>(count)));
    at_ += taken.size();
    return taken;
}

ThriftField ThriftReader::head(std::int64_t& last) {
    const auto first = byte();
    ThriftField field;
    field.type = static_cast<ThriftType>(first & 0x0fU);
    if (!ok_ || field.type == ThriftType::Stop) return {};
    if (field.type > ThriftType::Struct) spoil();
    const auto step = static_cast<std::int64_t>(first >> 4U);
    // Ids have 16 bits: a wider one would overflow the sum with the next step.
    last = step != 0 ? last + step : zigzag();
    if (last < 0 || last > 0x7fff) spoil();
    field.id = last;
    return ok_ ? field : ThriftField{};
}

ThriftReader::ListHead ThriftReader::list_head() {
    const auto first = byte();
    ListHead head;
    head.type = static_cast<ThriftType>(first & 0x0fU);
    head.count = first >> 4U;
    if (head.count == 15) head.count = varint();
    // Each element has a byte at least, so a longer list is a lie.
    if (head.count > bytes_.size() - at_) {
        ok_ = false;
        short_ = true;
    }
    if (head.type > ThriftType::Struct) spoil();
    return ok_ ? head : ListHead{};
}

bool ThriftReader::integer(const ThriftField& field, std::int64_t& out) {
    out = 0;
    if (field.type == ThriftType::Byte) {
        const std::int64_t value = byte();
        out = value < 128 ? value : value - 256;
    } else if (field.type >= ThriftType::I16 && field.type <= ThriftType::I64) {
        out = zigzag();
    } else {
        spoil();
    }
    return true;
}

bool ThriftReader::flag(const ThriftField& field, bool& out) {
    out = field.type == ThriftType::True;
    if (field.type != ThriftType::True && field.type != ThriftType::False) spoil();
    return true;
}

bool ThriftReader::text(const ThriftField& field, std::string_view& out) {
    out = {};
    if (field.type != ThriftType::Binary) {
        spoil();
    } else {
        out = bytes(varint());
    }
    return true;
}

/// Without recursion, because a stranger's bytes say how deep it would go.
void ThriftReader::skip(ThriftType type) {
    struct Level {
        bool fields = false;
        std::int64_t last = 0;              ///< id of the last field
        std::uint64_t left = 0;             ///< elements, if it is no struct
        std::array<ThriftType, 2> types{};  ///< of elements; of a map's keys and values in turn
    };

    std::array<Level, kDepthMax> levels;
    int depth = 0;
    const auto value = [&](ThriftType of, bool field) {
        if (of == ThriftType::True || of == ThriftType::False) {
            // As a field its head is its value; in a list it is a byte.
            if (!field) (void)byte();
        } else if (of == ThriftType::Byte) {
            (void)byte();
        } else if (of >= ThriftType::I16 && of <= ThriftType::I64) {
            (void)varint();
        } else if (of == ThriftType::Double) {
            (void)bytes(8);
        } else if (of == ThriftType::Binary) {
            (void)bytes(varint());
        } else if (depth == kDepthMax || of > ThriftType::Struct || of == ThriftType::Stop) {
            spoil();
        } else if (of == ThriftType::Struct) {
            levels[static_cast<std::size_t>(depth++)] = {true, 0, 0, {}};
        } else if (of == ThriftType::Map) {
            const auto count = varint();
            const auto types = count > 0 ? byte() : std::uint8_t{0};
            if (count > bytes_.size() - at_) return spoil();
            levels[static_cast<std::size_t>(depth++)] = {
                false,
                0,
                2 * count,
                {static_cast<ThriftType>(types >> 4U), static_cast<ThriftType>(types & 0x0fU)}};
        } else {
            const auto list = list_head();
            levels[static_cast<std::size_t>(depth++)] = {
                false, 0, list.count, {list.type, list.type}};
        }
    };
    value(type, true);
    while (ok_ && depth > 0) {
        auto& level = levels[static_cast<std::size_t>(depth - 1)];
        if (level.fields) {
            const auto field = head(level.last);
            if (field.type == ThriftType::Stop) {
                --depth;
            } else {
                value(field.type, true);
            }
        } else if (level.left == 0) {
            --depth;
        } else {
            const auto of = level.types[level.left % 2];
            --level.left;
            value(of, false);
        }
    }
}

}  // namespace starling::data
