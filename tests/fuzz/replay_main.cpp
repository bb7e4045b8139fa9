// Goal: what a fuzz target once found stays found, in every build and with any compiler.
// Method: reads each file of the folders that it is given, once, by the target that it is linked
// with. A target that aborts names the file on the last line before.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

// The mutators of some targets call this function of libFuzzer. A replay never mutates.
extern "C" std::size_t LLVMFuzzerMutate(
    std::uint8_t* /*data*/, std::size_t size, std::size_t /*max_size*/
) {
    return size;
}

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_in(const fs::path& folder) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

bool replay(const fs::path& path) {
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);
    std::ifstream in(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
    if (in.bad()) return false;
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    LLVMFuzzerTestOneInput(data, bytes.size());
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t count = 0;
    for (int i = 1; i < argc; ++i) {
        if (!fs::is_directory(argv[i])) {
            std::fprintf(stderr, "replay: there is no folder '%s'\n", argv[i]);
            return 2;
        }
        for (const auto& path : files_in(argv[i])) {
            if (!replay(path)) {
                std::fprintf(stderr, "replay: cannot read %s\n", path.c_str());
                return 1;
            }
            ++count;
        }
    }
    if (count == 0) {
        std::fprintf(stderr, "replay: no files; name the folder of a corpus\n");
        return 1;
    }
    std::printf("%zu files read\n", count);
    return 0;
}
