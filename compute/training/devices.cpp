#include "compute/training/devices.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <sys/stat.h>

#include "compute/cpu/device.hpp"
#include "compute/gpu/clblast_api.hpp"
#include "compute/gpu/device.hpp"
#include "compute/gpu/opencl_backend.hpp"
#include "compute/gpu/opencl_devices.hpp"
#include "compute/reference/device.hpp"

namespace starling::compute {

namespace {

constexpr const char* kNoCuda =
    "this release has no CUDA; a card of NVIDIA works through OpenCL (Debian: nvidia-opencl-icd)";

/// A name cut at its colon.
struct Name {
    std::string_view kind;
    std::size_t number = 0;
    bool sound = false;
};

Name cut(std::string_view text) {
    Name name;
    const auto colon = text.find(':');
    name.kind = text.substr(0, colon);
    const bool numbered = name.kind == "cuda" || name.kind == "opencl";
    if (colon == std::string_view::npos) {
        name.sound =
            numbered || name.kind == "auto" || name.kind == "cpu" || name.kind == "reference";
        return name;
    }
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, name.number);
    name.sound = numbered && error == std::errc{} && rest == end;
    return name;
}

/// Returns true where the kernel serves a graphics card: NVIDIA's, one of the others', or one that
/// Windows shares with its Linux.
bool may_have_card() {
    constexpr int kRenderNodes = 16;
    const auto exists = [](const std::string& path) {
        struct stat status {};
        return ::stat(path.c_str(), &status) == 0;
    };
    if (exists("/dev/nvidiactl") || exists("/dev/kfd") || exists("/dev/dxg")) return true;
    for (int i = 0; i < kRenderNodes; ++i) {
        if (exists("/dev/dri/renderD" + std::to_string(128 + i))) return true;
    }
    return false;
}

/// Returns one line about an OpenCL device that cannot be had, with those that can.
Fault no_opencl(std::size_t number) {
    const auto found = gpu::opencl_devices();
    const auto asked = "opencl:" + std::to_string(number) + " is not here: ";
    if (!found) return fail(FaultCode::Usage, asked + found.error().message);
    if (number < found->size()) {
        const auto& info = (*found)[number].info;
        return fail(FaultCode::Usage, info.name + " (" + info.model + "): " + info.state);
    }
    std::string list;
    for (const auto& device : *found) {
        list += (list.empty() ? "" : ", ") + device.info.name + " (" + device.info.model + ")";
    }
    return fail(FaultCode::Usage, asked + "there is " + list);
}

/// Opened devices are kept for as long as the process runs: drivers do not like to be closed while
/// the process ends. One that has failed is kept, too, for those who still hold it, and opened anew.
Result<Device*> find_opencl(std::size_t number) {
    static std::mutex mutex;
    static auto& opened = *new std::map<std::size_t, Device*>;
    const std::scoped_lock lock(mutex);
    const auto found = gpu::opencl_devices();
    const bool there = found && number < found->size() && (*found)[number].info.ready;
    if (!there) return no_opencl(number);
    auto& known = opened[number];
    if (known != nullptr && known->synchronize()) return known;
    const auto& device = (*found)[number];
    auto backend = gpu::open_opencl(device);
    if (!backend) return backend.error();
    known = gpu::make_device(device.info, std::move(*backend)).release();
    return known;
}

/// Adds OpenCL's devices, or why there are none.
void add_opencl(DeviceList& list) {
    const auto found = gpu::opencl_devices();
    if (!found) {
        list.missing.push_back({"opencl", found.error().message});
        return;
    }
    for (const auto& device : *found) list.devices.push_back(device.info);
}

}  // namespace

DeviceList devices() {
    DeviceList list;
    list.devices.push_back(cpu_device().info());
    list.missing.push_back({"cuda", kNoCuda});
    add_opencl(list);
    // It speeds up OpenCL's graphics cards; where there is none, its lack says nothing.
    const bool cards = std::any_of(list.devices.begin(), list.devices.end(), [](const auto& info) {
        return info.kind == DeviceKind::Gpu;
    });
    const auto library = gpu::clblast::api();
    if (cards && !library) list.missing.push_back({"opencl", library.error().message});
    return list;
}

Result<void> check_device_name(std::string_view name) {
    if (cut(name).sound) return {};
    return fail(
        FaultCode::Usage,
        "'" + std::string(name) +
            "' is no device; write auto, cpu, opencl:N, cuda:N, or reference (slow, for tests)"
    );
}

Result<Device*> find_device(std::string_view name) {
    if (auto ok = check_device_name(name); !ok) return ok.error();
    const auto asked = cut(name);
    if (asked.kind == "cuda") return fail(FaultCode::Usage, std::string(name) + ": " + kNoCuda);
    if (asked.kind == "opencl") return find_opencl(asked.number);
    return asked.kind == "reference" ? &reference_device() : &cpu_device();
}

DeviceList offered_devices() {
    DeviceList list;
    if (!may_have_card()) {
        list.missing.push_back({"card", "this machine has no graphics card"});
        return list;
    }
    add_opencl(list);
    return list;
}

}  // namespace starling::compute
