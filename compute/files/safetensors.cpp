#include "compute/files/safetensors.hpp"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/json_text.hpp"
#include "compute/graph/view.hpp"
#include "compute/values/printable.hpp"
#include "compute/values/small_floats.hpp"

namespace starling::compute {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kLengthBytes = 8;

Fault bad(const std::string& name, const std::string& what) {
    return fail(FaultCode::BadFormat, "safetensors: tensor '" + printable(name) + "': " + what);
}

/// Reads a whole number that JSON must hold as one: 2.0 and -1 are refused.
bool read_count(const Json& json, std::uint64_t& out) {
    if (!json.is_number_unsigned()) return false;
    out = json.get<std::uint64_t>();
    return true;
}

Result<StoredType> read_type(const std::string& name, const Json& json) {
    const auto text = json.is_string() ? json.get<std::string>() : std::string();
    if (text == "F32") return StoredType::F32;
    if (text == "F16") return StoredType::F16;
    if (text == "BF16") return StoredType::BF16;
    return fail(
        FaultCode::Unsupported,
        "safetensors: tensor '" + printable(name) + "': element type " +
            printable(text.substr(0, 16)) + " is not supported; give F32, F16 or BF16"
    );
}

Result<StoredTensor> read_entry(const std::string& name, const Json& entry, ByteView data) {
    if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets")) {
        return bad(name, "wants dtype, shape and data_offsets");
    }
    const auto type = read_type(name, entry["dtype"]);
    if (type.has_error()) return type.error();
    StoredTensor tensor{name, {}, *type, {}};
    const auto& shape = entry["shape"];
    if (!shape.is_array() || shape.size() > 16) return bad(name, "its shape is no short list");
    for (const auto& dimension : shape) {
        std::uint64_t size = 0;
        if (!read_count(dimension, size) || size > static_cast<std::uint64_t>(kElementsMax)) {
            return bad(name, "a dimension is out of range");
        }
        tensor.shape.push_back(static_cast<std::int64_t>(size));
    }
    const auto sound = check_shape(tensor.shape);
    if (sound.has_error()) return bad(name, sound.error().message);
    const auto& offsets = entry["data_offsets"];
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    const bool pair = offsets.is_array() && offsets.size() == 2 && read_count(offsets[0], begin) &&
                      read_count(offsets[1], end);
    if (!pair || begin > end || end > data.size()) return bad(name, "its offsets are out of range");
    const std::uint64_t width = *type == StoredType::F32 ? 4 : 2;
    if (end - begin != width * static_cast<std::uint64_t>(element_count(tensor.shape))) {
        return bad(name, "its offsets do not fit its shape");
    }
    tensor.bytes = data.subspan(begin, end - begin);
    return tensor;
}

/// An overlap would let a small file claim a huge model, and a hole could hide anything.
Result<void> check_cover(const std::vector<StoredTensor>& tensors, ByteView data) {
    std::vector<const StoredTensor*> order;
    for (const auto& tensor : tensors) order.push_back(&tensor);
    std::sort(order.begin(), order.end(), [](const StoredTensor* a, const StoredTensor* b) {
        return a->bytes.data() < b->bytes.data();
    });
    const auto* at = data.data();
    for (const auto* tensor : order) {
        if (tensor->bytes.data() != at) return bad(tensor->name, "overlaps or leaves a hole");
        at += tensor->bytes.size();
    }
    if (at != data.data() + data.size()) {
        return fail(FaultCode::BadFormat, "safetensors: bytes follow the last tensor");
    }
    return {};
}

/// The nesting depth of the header's brackets outside strings: the format needs three, and a deep
/// document would cost the JSON library a deep stack when it is destroyed.
bool shallow(std::string_view text) {
    int depth = 0;
    bool inside = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (inside && c == '\\') ++i;
        if (c == '"' && !(inside && text[i] != '"')) inside = !inside;
        if (inside) continue;
        if (c == '{' || c == '[') ++depth;
        if (c == '}' || c == ']') --depth;
        if (depth > 4) return false;
    }
    return true;
}

}  // namespace

std::vector<float> StoredTensor::values() const {
    std::vector<float> values(static_cast<std::size_t>(element_count(shape)));
    if (type == StoredType::F32) {
        std::memcpy(values.data(), bytes.data(), bytes.size());
        return values;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::uint16_t raw = 0;
        std::memcpy(&raw, bytes.data() + i * sizeof(raw), sizeof(raw));
        values[i] = type == StoredType::F16 ? from_half(raw) : widened(raw);
    }
    return values;
}

Result<std::vector<StoredTensor>> parse_safetensors(ByteView bytes) {
    ByteReader reader(bytes);
    const auto length = reader.take<std::uint64_t>();
    if (!reader.ok()) return fail(FaultCode::Truncated, "safetensors: shorter than its length");
    if (length > kSafetensorsHeaderMax) {
        return fail(FaultCode::Oversized, "safetensors: a header of more than 16 MiB");
    }
    if (length > bytes.size() - kLengthBytes) {
        return fail(FaultCode::Truncated, "safetensors: ends within its header");
    }
    const auto header = as_text(bytes.subspan(kLengthBytes, length));
    const auto data = bytes.subspan(kLengthBytes + length);
    const auto json = shallow(header) ? Json::parse(header, nullptr, false) : Json();
    if (!json.is_object())
        return fail(FaultCode::BadFormat, "safetensors: the header is no object");
    std::vector<StoredTensor> tensors;
    for (const auto& [name, entry] : json.items()) {
        if (name == "__metadata__") continue;
        auto tensor = read_entry(name, entry, data);
        if (tensor.has_error()) return tensor.error();
        tensors.push_back(std::move(*tensor));
    }
    const auto covered = check_cover(tensors, data);
    if (covered.has_error()) return covered.error();
    return tensors;
}

Bytes export_safetensors(ParameterStore& store) {
    Json header = Json::object();
    for (const auto& info : store.layout().parameters()) {
        const auto begin = info.offset * sizeof(float);
        header[info.name] = {
            {"dtype", "F32"},
            {"shape", info.shape},
            {"data_offsets", {begin, begin + info.elements * sizeof(float)}}};
    }
    auto text = json_text(header);
    // Spaces bring the tensors to a multiple of eight bytes, as the format recommends.
    text.resize((text.size() + 7) / 8 * 8, ' ');
    Bytes out;
    ByteWriter writer(out);
    writer.put(static_cast<std::uint64_t>(text.size()));
    writer.put_bytes(as_byte_view(text));
    std::vector<float> chunk;
    for (std::size_t c = 0; c < store.layout().chunks().size(); ++c) {
        chunk.resize(store.layout().chunks()[c].elements);
        store.read(c, chunk);
        writer.put_bytes(std::as_bytes(std::span(chunk)));
    }
    return out;
}

Result<void> import_safetensors(ByteView bytes, ParameterStore& store) {
    const auto tensors = parse_safetensors(bytes);
    if (tensors.has_error()) return tensors.error();
    const auto find = [&](const ParameterInfo& info) -> const StoredTensor* {
        for (const auto& tensor : *tensors) {
            if (tensor.name == info.name) return &tensor;
        }
        return nullptr;
    };
    for (const auto& info : store.layout().parameters()) {
        const auto* tensor = find(info);
        if (tensor == nullptr || tensor->shape != info.shape) {
            const auto found = tensor == nullptr ? "nothing" : to_string(tensor->shape);
            return fail(
                FaultCode::LayoutMismatch,
                "safetensors: the model wants '" + printable(info.name) + "' " +
                    to_string(info.shape) + ", the file has " + found
            );
        }
    }
    for (const auto& info : store.layout().parameters()) {
        const auto values = find(info)->values();
        store.update_tensor(info, [&](std::span<float> piece, std::size_t at) {
            std::copy_n(
                values.begin() + static_cast<std::ptrdiff_t>(at), piece.size(), piece.begin()
            );
        });
    }
    return {};
}

}  // namespace starling::compute
