#include "data/arrays/idx_arrays.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <system_error>

namespace starling::data {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kAxesMax = 4;

std::optional<NpyElement> element_of(std::uint8_t type) {
    switch (type) {
        case 0x08:
            return NpyElement::U8;
        case 0x09:
            return NpyElement::I8;
        case 0x0b:
            return NpyElement::I16;
        case 0x0c:
            return NpyElement::I32;
        case 0x0d:
            return NpyElement::F32;
        case 0x0e:
            return NpyElement::F64;
        default:
            return std::nullopt;
    }
}

struct Role {
    const char* array;
    std::array<const char*, 2> prefixes;
    const char* what;
};

constexpr std::array<Role, 4> kRoles{{
    {"train_images", {"train", "train"}, "images"},
    {"train_labels", {"train", "train"}, "labels"},
    {"test_images", {"t10k", "test"}, "images"},
    {"test_labels", {"t10k", "test"}, "labels"},
}};

/// Returns whether a file's name says that it has this role, as train-images-idx4-ubyte.gz does.
bool plays(const std::string& file, const Role& role) {
    return std::any_of(role.prefixes.begin(), role.prefixes.end(), [&](const char* prefix) {
        return file.find(std::string(prefix) + "-" + role.what) != std::string::npos ||
               file.find(std::string(prefix) + "_" + role.what) != std::string::npos;
    });
}

}  // namespace

Result<NpyHeader> parse_idx_header(std::string_view bytes) {
    if (bytes.size() < 4) return fail(FaultCode::Truncated, "it ends inside the header");
    const auto at = [bytes](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
    if (at(0) != 0 || at(1) != 0) {
        return fail(FaultCode::BadFormat, "not an IDX file: it must start with two zero bytes");
    }
    NpyHeader header;
    const auto element = element_of(at(2));
    if (!element) {
        return fail(
            FaultCode::BadFormat,
            "element type " + std::to_string(at(2)) + "; 8, 9, 11, 12, 13 and 14 are known"
        );
    }
    header.element = *element;
    header.big_endian = true;
    const std::size_t rank = at(3);
    if (rank == 0 || rank > kAxesMax) {
        return fail(
            FaultCode::BadFormat, "it has " + std::to_string(rank) + " dimensions; 1 to 4 are read"
        );
    }
    header.header_bytes = 4 + 4 * rank;
    if (bytes.size() < header.header_bytes) {
        return fail(FaultCode::Truncated, "it ends inside the header");
    }
    std::uint64_t left = kNpyBytesMax / bytes_of(header.element);
    for (std::size_t axis = 0; axis < rank; ++axis) {
        std::uint64_t size = 0;
        for (std::size_t i = 0; i < 4; ++i) size = size << 8U | at(4 + 4 * axis + i);
        if (size == 0) return fail(FaultCode::BadValue, "it holds nothing: a size is 0");
        if (size > left) return fail(FaultCode::Oversized, "its header promises more than 1 TiB");
        left /= size;
        header.shape.push_back(size);
    }
    return header;
}

Result<NpyReader> open_idx_array(ByteStream& stream) {
    std::string beginning(kIdxHeaderBytesMax, '\0');
    auto* room = reinterpret_cast<std::uint8_t*>(beginning.data());
    const auto got = stream.read({room, beginning.size()});
    if (!got) return got.error();
    beginning.resize(*got);
    auto header = parse_idx_header(beginning);
    if (!header) return stream.bad(header.error().code, header.error().message);
    beginning.erase(0, header->header_bytes);
    return NpyReader::behind(stream, std::move(*header), std::move(beginning));
}

Result<std::vector<std::pair<std::string, fs::path>>> idx_files(const fs::path& folder) {
    std::vector<std::pair<std::string, fs::path>> found;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
        const auto file = it->path().filename().string();
        if (file.starts_with('.')) continue;
        for (const auto& role : kRoles) {
            if (plays(file, role)) found.emplace_back(role.array, it->path());
        }
    }
    if (error) {
        return fail(FaultCode::Io, folder.string() + ": cannot be listed: " + error.message());
    }
    std::sort(found.begin(), found.end());
    const auto twice = std::adjacent_find(
        found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first == b.first; }
    );
    if (twice == found.end()) return found;
    return fail(
        FaultCode::Usage,
        folder.string() + ": both " + twice->second.filename().string() + " and " +
            std::next(twice)->second.filename().string() + " could be its " + twice->first +
            "; keep one of them there"
    );
}

bool has_idx_arrays(const fs::path& folder) {
    const auto files = idx_files(folder);
    // Whatever is wrong is told by the reader of grey images.
    if (!files) return false;
    const auto images = std::find_if(files->begin(), files->end(), [](const auto& file) {
        return file.first == "train_images";
    });
    if (images == files->end()) return false;
    auto stream = FileStream::open(images->second);
    if (!stream) return false;
    std::string beginning(kIdxHeaderBytesMax, '\0');
    const auto got =
        stream->read({reinterpret_cast<std::uint8_t*>(beginning.data()), beginning.size()});
    if (!got) return false;
    beginning.resize(*got);
    const auto header = parse_idx_header(beginning);
    if (!header || header->shape.size() == 1) return false;
    const bool named = images->second.filename().string().find("idx3-ubyte") != std::string::npos;
    return header->shape.size() != 3 || header->element != NpyElement::U8 || !named;
}

}  // namespace starling::data
