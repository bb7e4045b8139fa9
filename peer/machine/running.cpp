#include "peer/machine/running.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/bytes.hpp"
#include "peer/machine/files.hpp"

namespace starling::peer {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kServingFileMax = 512;

/// Returns the user's directory for the files of running peers, or nothing. Others may write to
/// /tmp, so a directory there that is not ours alone is not used.
fs::path run_directory() {
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    const fs::path directory = runtime != nullptr && *runtime == '/'
                                   ? fs::path(runtime) / "starling"
                                   : fs::path("/tmp/starling-" + std::to_string(::getuid()));
    (void)::mkdir(directory.c_str(), 0700);

    struct stat facts {};

    const bool ours = ::lstat(directory.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) &&
                      facts.st_uid == ::getuid() && (facts.st_mode & 077U) == 0;
    return ours ? directory : fs::path();
}

fs::path serving_file(const fs::path& state) {
    return state / "http";
}

bool lives(const std::string& name) {
    pid_t process = 0;
    const char* end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data(), end, process);
    if (error != std::errc{} || rest != end || process <= 0) return false;
    return ::kill(process, 0) == 0 || errno == EPERM;
}

}  // namespace

std::string random_life() {
    constexpr const char* kDigits = "0123456789abcdef";
    std::random_device device;
    std::string life;
    for (int i = 0; i < 32; ++i) life += kDigits[device() % 16];
    return life;
}

Result<void> write_serving_place(const fs::path& state, const ServingPlace& place) {
    const auto text = place.http.to_string() + "\n" + place.life + "\n";
    return write_file_atomically(serving_file(state), as_byte_view(text), 0644);
}

Result<ServingPlace> read_serving_place(const fs::path& state) {
    const auto path = serving_file(state);
    const auto bytes = read_file(path, kServingFileMax);
    if (!bytes) return bytes.error();
    const auto text = as_text(*bytes);
    const auto first = text.find('\n');
    const auto end = text.find('\n', first == std::string_view::npos ? first : first + 1);
    const auto http = Endpoint::parse(text.substr(0, first));
    if (!http || end == std::string_view::npos || end == first + 1) {
        return fail(
            FaultCode::BadFormat,
            path.string() + ": it does not say where which peer serves; give --http HOST:PORT"
        );
    }
    return ServingPlace{*http, std::string(text.substr(first + 1, end - first - 1))};
}

void remove_serving_place(const fs::path& state) {
    real_disk().remove(serving_file(state));
}

RunningMark::RunningMark(const RunningPeer& peer) {
    const auto directory = run_directory();
    if (directory.empty()) return;
    const auto file = directory / std::to_string(::getpid());
    const auto text = peer.http + "\n" + peer.id + "\n" + peer.state + "\n" + peer.life + "\n";
    if (write_file_atomically(file, as_byte_view(text), 0600)) file_ = file;
}

RunningMark::~RunningMark() {
    std::error_code ignored;  // what is left behind is removed when somebody looks
    if (!file_.empty()) fs::remove(file_, ignored);
}

RunningMark::RunningMark(RunningMark&& other) noexcept : file_(std::exchange(other.file_, {})) {}

RunningMark& RunningMark::operator=(RunningMark&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
}

std::vector<RunningPeer> running_peers() {
    std::vector<RunningPeer> peers;
    const auto directory = run_directory();
    if (directory.empty()) return peers;
    std::error_code error;
    for (fs::directory_iterator it(directory, error), end; !error && it != end;
         it.increment(error)) {
        const auto name = it->path().filename().string();
        if (name.ends_with(".tmp")) continue;  // a peer that starts is writing it
        if (!lives(name)) {
            std::error_code ignored;
            fs::remove(it->path(), ignored);
            continue;
        }
        std::ifstream file(it->path());
        RunningPeer peer;
        if (std::getline(file, peer.http) && std::getline(file, peer.id)) {
            std::getline(file, peer.state);
            std::getline(file, peer.life);
            peers.push_back(std::move(peer));
        }
    }
    std::sort(peers.begin(), peers.end(), [](const RunningPeer& a, const RunningPeer& b) {
        return a.id < b.id;
    });
    return peers;
}

}  // namespace starling::peer
