#include "peer/machine/running.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "peer/machine/files.hpp"

namespace starling::peer {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kServingFileMax = 512;
constexpr std::size_t kTokenBytes = 32;

/// Whatever lies there and is no process that lives is removed, so it has nothing else in it.
fs::path run_directory() {
    return runtime_directory("starling");
}

fs::path serving_file(const fs::path& state) {
    return state / "http";
}

std::string random_digits(std::size_t bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::array<std::uint8_t, kTokenBytes> random{};
    // Up to 256 bytes come whole or not at all, and only a kernel without getrandom() gives none.
    const auto got = ::getrandom(random.data(), bytes, 0);
    STARLING_CHECK(got == static_cast<ssize_t>(bytes));
    std::string digits;
    for (std::size_t i = 0; i < bytes; ++i) {
        digits += kDigits[random.at(i) >> 4U];
        digits += kDigits[random.at(i) & 15U];
    }
    return digits;
}

bool is_token(std::string_view line) {
    return line.size() == 2 * kTokenBytes && std::all_of(line.begin(), line.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

/// Returns the last line of a text that is a token, or nothing.
std::string token_in(std::string_view text) {
    std::string token;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        if (is_token(text.substr(0, end))) token = std::string(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return token;
}

bool lives(const std::string& name) {
    pid_t process = 0;
    const char* end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data(), end, process);
    if (error != std::errc{} || rest != end || process <= 0) return false;
    return ::kill(process, 0) == 0 || errno == EPERM;
}

}  // namespace

fs::path runtime_directory(const std::string& name) {
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    const fs::path directory = runtime != nullptr && *runtime == '/'
                                   ? fs::path(runtime) / name
                                   : fs::path("/tmp/" + name + "-" + std::to_string(::getuid()));
    (void)::mkdir(directory.c_str(), 0700);

    struct stat facts {};

    const bool ours = ::lstat(directory.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) &&
                      facts.st_uid == ::getuid() && (facts.st_mode & 077U) == 0;
    return ours ? directory : fs::path();
}

std::string random_life() {
    return random_digits(16);
}

std::string random_token() {
    return random_digits(kTokenBytes);
}

Result<void> write_serving_place(const fs::path& state, const ServingPlace& place) {
    const auto text = place.http.to_string() + "\n" + place.life + "\n" + place.token + "\n";
    return write_file_atomically(serving_file(state), as_byte_view(text), kPrivateFile);
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
    return ServingPlace{
        *http, std::string(text.substr(first + 1, end - first - 1)), token_in(text.substr(end))};
}

Result<std::string> read_token(const fs::path& file) {
    const auto bytes = read_file(file, kServingFileMax);
    if (!bytes) return bytes.error();
    auto token = token_in(as_text(*bytes));
    if (!token.empty()) return token;
    return fail(
        FaultCode::BadFormat,
        file.string() +
            ": no line of it is a token; give a copy of the file http of a peer's state "
            "directory"
    );
}

void remove_serving_place(const fs::path& state) {
    real_disk().remove(serving_file(state));
}

RunningMark::RunningMark(const RunningPeer& peer) {
    const auto directory = run_directory();
    if (directory.empty()) return;
    const auto file = directory / std::to_string(::getpid());
    const auto text = peer.http + "\n" + peer.id + "\n" + peer.state + "\n" + peer.life + "\n" +
                      peer.token + "\n";
    if (write_file_atomically(file, as_byte_view(text), kPrivateFile)) file_ = file;
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
            std::getline(file, peer.token);
            peers.push_back(std::move(peer));
        }
    }
    std::sort(peers.begin(), peers.end(), [](const RunningPeer& a, const RunningPeer& b) {
        return a.id < b.id;
    });
    return peers;
}

}  // namespace starling::peer
