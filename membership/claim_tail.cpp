#include "membership/claim_tail.hpp"

#include <algorithm>

namespace starling::membership {

namespace {

/// One value: its type and its bytes.
struct Value {
    std::uint8_t type = 0;
    ByteView bytes;
};

Value take_value(ByteReader& reader) {
    const auto type = reader.take<std::uint8_t>();
    const auto length = reader.take<std::uint8_t>();
    return {type, reader.take_bytes(length)};
}

bool is_salt(const Value& value) {
    return value.type == static_cast<std::uint8_t>(TailType::Salt);
}

}  // namespace

Bytes make_tail(const BootSalt& salt) {
    Bytes tail;
    ByteWriter writer(tail);
    writer.put(TailType::Salt);
    writer.put(static_cast<std::uint8_t>(salt.size()));
    writer.put_array(salt);
    return tail;
}

bool is_tail(ByteView bytes) {
    if (bytes.size() > kTailMax) return false;
    ByteReader reader(bytes);
    int salts = 0;
    while (reader.ok() && reader.remaining() > 0) {
        const auto value = take_value(reader);
        if (!is_salt(value)) continue;
        ++salts;
        if (value.bytes.size() != std::tuple_size_v<BootSalt>) return false;
    }
    return reader.ok() && salts <= 1;
}

std::optional<BootSalt> salt_of(ByteView tail) {
    ByteReader reader(tail);
    while (reader.ok() && reader.remaining() > 0) {
        const auto value = take_value(reader);
        if (!is_salt(value) || value.bytes.size() != std::tuple_size_v<BootSalt>) continue;
        BootSalt salt{};
        std::transform(value.bytes.begin(), value.bytes.end(), salt.begin(), [](std::byte byte) {
            return std::to_integer<std::uint8_t>(byte);
        });
        return salt;
    }
    return std::nullopt;
}

}  // namespace starling::membership
