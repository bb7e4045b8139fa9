#include "peer/machine/net_space.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <linux/if_tun.h>
#include <net/if.h>
#include <optional>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/check.hpp"

namespace starling::peer {
namespace {

constexpr const char* kTun = "/dev/net/tun";
/// Packets that wait in the device until we read them. The kernel's 500 are a burst of one sender.
constexpr int kDeviceQueue = 4096;
/// OpenBLAS starts its threads when it is loaded, before main, but for this.
constexpr const char* kBlasThreads = "OPENBLAS_NUM_THREADS";
/// Set in the environment of a program that was executed anew.
constexpr const char* kAnew = "STARLING_EXECUTED_ANEW";

Fault refused(const std::string& what, int error, const std::string& remedy = {}) {
    return fail(
        FaultCode::Refused,
        what + ": " + std::generic_category().message(error) + (remedy.empty() ? "" : "; " + remedy)
    );
}

/// One request about a device of the namespace that this thread is in.
class DeviceControl {
public:
    DeviceControl() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

    [[nodiscard]] bool ok() const { return socket_.get() >= 0; }

    bool bring_up(const char* device) {
        ifreq request = named(device);
        request.ifr_flags = IFF_UP | IFF_RUNNING;
        return send(SIOCSIFFLAGS, request);
    }

    bool set_address(const char* device, unsigned long what, std::uint32_t address) {
        ifreq request = named(device);
        sockaddr_in ip{};
        ip.sin_family = AF_INET;
        ip.sin_addr.s_addr = htonl(address);
        std::memcpy(&request.ifr_addr, &ip, sizeof ip);
        return send(what, request);
    }

    bool set_address(const NetSpaceOptions& options) {
        const std::uint32_t mask = ~std::uint32_t{0} << (32U - options.prefix);
        return set_address(kNetSpaceDevice, SIOCSIFADDR, options.address) &&
               set_address(kNetSpaceDevice, SIOCSIFNETMASK, mask);
    }

    bool set_number(const char* device, unsigned long what, int value) {
        ifreq request = named(device);
        if (what == SIOCSIFMTU) {
            request.ifr_mtu = value;
        } else {
            request.ifr_qlen = value;
        }
        return send(what, request);
    }

    static ifreq named(const char* device) {
        ifreq request{};
        std::string_view(device).copy(request.ifr_name, IFNAMSIZ - 1);
        return request;
    }

private:
    bool send(unsigned long what, ifreq& request) {
        return ::ioctl(socket_.get(), what, &request) == 0;
    }

    FileHandle socket_;
};

struct Ends {
    FileHandle space;
    FileHandle device;
};

/// Makes the namespace and moves this thread into it.
Result<Ends> enter_new(const NetSpaceOptions& options) {
    if (::unshare(CLONE_NEWNET) != 0) {
        return refused("a network for each peer cannot be made", errno, "run it as root");
    }
    Ends ends;
    ends.space = FileHandle(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (ends.space.get() < 0) return refused("/proc/thread-self/ns/net", errno);
    ends.device = FileHandle(::open(kTun, O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (ends.device.get() < 0) {
        return refused(kTun, errno, "a network for each peer needs it (modprobe tun)");
    }
    ifreq request = DeviceControl::named(kNetSpaceDevice);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (::ioctl(ends.device.get(), TUNSETIFF, &request) != 0) return refused(kTun, errno);
    DeviceControl control;
    const bool set =
        control.ok() && control.set_address(options) &&
        control.set_number(kNetSpaceDevice, SIOCSIFMTU, static_cast<int>(options.mtu)) &&
        control.bring_up(kNetSpaceDevice) && control.bring_up("lo");
    if (!set) return refused("a network device cannot be set up", errno);
    // The kernel lets only the machine's root lengthen the queue. A burst loses packets without it.
    (void)control.set_number(kNetSpaceDevice, SIOCSIFTXQLEN, kDeviceQueue);
    return ends;
}

/// Executes the program once more, with one thread. Returns if that cannot be done.
void execute_anew() {
    // A file of /proc does not tell its size.
    std::ifstream file("/proc/self/cmdline");
    std::string words{std::istreambuf_iterator<char>(file), {}};
    if (words.empty() || words.back() != '\0') return;
    if (::setenv(kBlasThreads, "1", 1) != 0 || ::setenv(kAnew, "1", 1) != 0) return;
    std::vector<char*> arguments;
    for (std::size_t at = 0; at < words.size(); at = words.find('\0', at) + 1) {
        arguments.push_back(words.data() + at);
    }
    arguments.push_back(nullptr);
    ::execv("/proc/self/exe", arguments.data());
}

bool write_text(const char* path, const std::string& text) {
    const FileHandle file(::open(path, O_WRONLY | O_CLOEXEC));
    return file.get() >= 0 &&
           ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace

Result<NetSpace> NetSpace::make(const NetSpaceOptions& options) {
    STARLING_CHECK(options.prefix >= 1 && options.prefix <= 30);
    // A namespace is a property of a thread. This one lives for a moment, and the descriptors stay.
    std::optional<Result<Ends>> made;
    std::thread([&] { made.emplace(enter_new(options)); }).join();
    if (!*made) return made->error();
    return NetSpace(std::move((*made)->space), std::move((*made)->device));
}

Result<void> NetSpace::set_address(const NetSpaceOptions& options) {
    int error = 0;
    std::thread([&] {
        if (::setns(space(), CLONE_NEWNET) == 0) {
            DeviceControl control;
            if (control.ok() && control.set_address(options)) return;
        }
        error = errno;
    }).join();
    if (error != 0) return refused("a network cannot be given another address", error);
    return {};
}

Result<void> allow_net_spaces() {
    if (::geteuid() == 0) return {};
    const std::string user = std::to_string(::geteuid());
    const std::string group = std::to_string(::getegid());
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        const int error = errno;
        if (error == EINVAL && std::getenv(kAnew) == nullptr) execute_anew();
        return refused("users cannot make networks here", error, "run it as root");
    }
    if (std::getenv(kAnew) != nullptr) {
        // The peers decide for themselves.
        (void)::unsetenv(kBlasThreads);
        (void)::unsetenv(kAnew);
    }
    // Who we are stays as it is, so that files keep their owner.
    const bool mapped = write_text("/proc/self/setgroups", "deny") &&
                        write_text("/proc/self/uid_map", user + " " + user + " 1") &&
                        write_text("/proc/self/gid_map", group + " " + group + " 1");
    if (!mapped) return refused("a user namespace cannot be set up", errno, "run it as root");
    return {};
}

}  // namespace starling::peer
