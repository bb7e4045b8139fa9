#include "compute/gpu/opencl_devices.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "compute/gpu/clblast_api.hpp"
#include "compute/values/printable.hpp"

namespace starling::compute::gpu {

namespace {

constexpr std::size_t kTextMax = 4096;

/// Asks for a text of an object; empty when the driver does not answer.
template <class Ask, class Object>
std::string text_of(Ask ask, Object object, cl::Uint what) {
    std::size_t size = 0;
    if (ask(object, what, 0, nullptr, &size) != cl::kSuccess || size > kTextMax) return {};
    std::string text(size, '\0');
    if (ask(object, what, size, text.data(), nullptr) != cl::kSuccess) return {};
    while (!text.empty() && (text.back() == '\0' || text.back() == ' ')) text.pop_back();
    return printable(text);
}

template <class T>
T number_of(const cl::Api& api, cl::Device device, cl::Uint what) {
    T value{};
    if (api.GetDeviceInfo(device, what, sizeof(T), &value, nullptr) != cl::kSuccess) return T{};
    return value;
}

/// Returns for instance `Portable Computing Language 3.1`: the platform's name, and what its version
/// says besides OpenCL's.
std::string driver_of(const cl::Api& api, cl::Platform platform) {
    const auto version = text_of(api.GetPlatformInfo, platform, cl::kPlatformVersion);
    // `OpenCL 3.0 PoCL 3.1-debian  Linux, ...`
    const auto second = version.find(' ', version.find(' ') + 1);
    if (second == std::string::npos || second + 1 >= version.size()) {
        return text_of(api.GetPlatformInfo, platform, cl::kPlatformName);
    }
    auto rest = version.substr(second + 1);
    const auto end = rest.find("  ");
    return end == std::string::npos ? rest : rest.substr(0, end);
}

bool extends(const std::string& extensions, std::string_view name) {
    return (" " + extensions + " ").find(" " + std::string(name) + " ") != std::string::npos;
}

template <class T>
std::optional<T> answer_of(const cl::Api& api, cl::Device device, cl::Uint what) {
    T value{};
    std::size_t size = 0;
    const auto status = api.GetDeviceInfo(device, what, sizeof(T), &value, &size);
    if (status != cl::kSuccess || size != sizeof(T)) return std::nullopt;
    return value;
}

/// Asks only what the driver says that it answers.
Hardware hardware_of(const cl::Api& api, cl::Device id) {
    const auto extensions = text_of(api.GetDeviceInfo, id, cl::kDeviceExtensions);
    Hardware found;
    if (extends(extensions, "cl_khr_pci_bus_info")) {
        found.bus = answer_of<std::array<std::uint32_t, 4>>(api, id, cl::kDevicePciBus);
    }
    if (!found.bus && extends(extensions, "cl_nv_device_attribute_query")) {
        const auto bus = answer_of<cl::Uint>(api, id, cl::kDevicePciBusNvidia);
        const auto slot = answer_of<cl::Uint>(api, id, cl::kDevicePciSlotNvidia);
        const auto domain = answer_of<cl::Uint>(api, id, cl::kDevicePciDomainNvidia);
        // A slot is device and function in one number.
        if (bus && slot) found.bus = {domain.value_or(0), *bus, *slot >> 3U, *slot & 7U};
    }
    if (!found.bus && extends(extensions, "cl_amd_device_attribute_query")) {
        // A type (1: PCI Express), 17 bytes of nothing, bus, device, function.
        const auto topology =
            answer_of<std::array<std::uint8_t, 24>>(api, id, cl::kDeviceTopologyAmd);
        if (topology && (*topology)[0] == 1) {
            found.bus = {0U, (*topology)[21], (*topology)[22], (*topology)[23]};
        }
    }
    if (extends(extensions, "cl_khr_device_uuid")) {
        found.uuid = answer_of<std::array<std::uint8_t, 16>>(api, id, cl::kDeviceUuid);
    }
    return found;
}

OpenClDevice look_at(const cl::Api& api, cl::Device id, const std::string& driver, std::size_t n) {
    OpenClDevice found;
    found.id = id;
    auto& info = found.info;
    info.name = "opencl:" + std::to_string(n);
    info.model = text_of(api.GetDeviceInfo, id, cl::kDeviceName) + ", " + driver;
    const auto type = number_of<cl::Bits>(api, id, cl::kDeviceType);
    info.kind = (type & cl::kTypeGpu) != 0   ? DeviceKind::Gpu
                : (type & cl::kTypeCpu) != 0 ? DeviceKind::Cpu
                                             : DeviceKind::Other;
    info.memory_bytes = number_of<std::uint64_t>(api, id, cl::kDeviceGlobalMemory);
    info.precisions = {"f32", "bf16"};
    const bool gpu = info.kind == DeviceKind::Gpu;
    info.libraries = gpu && clblast::api() ? "CLBlast, own kernels" : "own kernels";
    info.allocation_bytes_max = number_of<std::uint64_t>(api, id, cl::kDeviceMaxAllocation);
    info.identity = identity_of(hardware_of(api, id), info);
    found.group_max = number_of<std::size_t>(api, id, cl::kDeviceMaxGroup);
    constexpr std::size_t kGroupLeast = 256;
    if (number_of<cl::Bool>(api, id, cl::kDeviceAvailable) == 0) {
        info.state = "not available, says its driver";
    } else if (number_of<cl::Bool>(api, id, cl::kDeviceCompiler) == 0) {
        info.state = "its driver has no compiler";
    } else if (found.group_max < kGroupLeast) {
        info.state = "groups of " + std::to_string(found.group_max) + " threads are too small";
    } else {
        info.ready = true;
        info.state = gpu ? "ready" : "ready; auto never takes it";
    }
    return found;
}

Result<std::vector<OpenClDevice>> search() {
    const auto api = cl::api();
    if (!api) return api.error();
    constexpr cl::Uint kMost = 64;
    std::vector<cl::Platform> platforms(kMost);
    cl::Uint count = 0;
    const auto status = (*api)->GetPlatformIDs(kMost, platforms.data(), &count);
    if (status == cl::kPlatformNotFound || (status == cl::kSuccess && count == 0)) {
        return fail(
            FaultCode::NotFound,
            "no OpenCL driver is installed: a card's comes from its vendor (Debian: "
            "mesa-opencl-icd, intel-opencl-icd, nvidia-opencl-icd)"
        );
    }
    if (status != cl::kSuccess) {
        return fail(FaultCode::NotFound, "OpenCL names no driver: " + cl::describe(status));
    }
    platforms.resize(std::min(count, kMost));
    std::vector<OpenClDevice> found;
    for (auto* const platform : platforms) {
        std::vector<cl::Device> ids(kMost);
        cl::Uint here = 0;
        if ((*api)->GetDeviceIDs(platform, cl::kTypeAll, kMost, ids.data(), &here) != cl::kSuccess)
            continue;
        const auto driver = driver_of(**api, platform);
        ids.resize(std::min(here, kMost));
        for (auto* const id : ids) found.push_back(look_at(**api, id, driver, found.size()));
    }
    if (found.empty()) return fail(FaultCode::NotFound, "OpenCL's drivers name no device");
    return found;
}

}  // namespace

std::string identity_of(const Hardware& hardware, const DeviceInfo& info) {
    char text[40];
    if (const auto& bus = hardware.bus) {
        const auto& [domain, number, device, function] = *bus;
        std::snprintf(
            text, sizeof(text), "pci-%04x:%02x:%02x.%x", domain, number, device, function
        );
        return text;
    }
    if (!hardware.uuid) return info.name + " " + info.model;
    std::string digits = "uuid-";
    for (const auto byte : *hardware.uuid) {
        std::snprintf(text, sizeof(text), "%02x", byte);
        digits += text;
    }
    return digits;
}

Result<std::vector<OpenClDevice>> opencl_devices() {
    static const auto found = search();
    return found;
}

}  // namespace starling::compute::gpu
