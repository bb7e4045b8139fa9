#include "peer/machine/process_usage.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <unistd.h>

namespace starling::peer {

std::optional<ProcessUsage> process_usage(int pid) {
    const auto folder = std::filesystem::path("/proc") / std::to_string(pid);
    std::ifstream file(folder / "statm");
    // proc_pid_statm(5): size, resident, shared, in pages.
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    std::uint64_t shared = 0;
    if (!(file >> size >> resident >> shared) || resident < shared) return {};
    ProcessUsage usage;
    usage.memory = (resident - shared) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::error_code error;
    std::filesystem::directory_iterator entry(folder / "fd", error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        ++usage.descriptors;
    }
    return usage;
}

}  // namespace starling::peer
