# Shared by the scripts beside it: where we are, what a build needs, how to get it.
# Source it; it changes to the root of the repository.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The codename of the release that we run on, and what it calls itself.
release_codename() { ( . /etc/os-release && echo "${VERSION_CODENAME:-unknown}" ); }
release_name() { ( . /etc/os-release && echo "${PRETTY_NAME:-this system}" ); }

# The packages whose names differ from release to release. Those of Ubuntu 24.04 are taken from its index
# and were never tried.
#   codename   release        Boost
package_table() {
    cat <<'TABLE'
    bookworm   Debian 12      libboost1.81-dev
    trixie     Debian 13      libboost1.83-dev
    noble      Ubuntu 24.04   libboost1.83-dev
TABLE
}

# Boost of this release. A release that the table lacks may call it otherwise, so its default is taken.
boost_package() {
    local package
    package=$(package_table | awk -v name="$(release_codename)" '$1 == name {print $NF}')
    echo "${package:-libboost-dev}"
}

# What must be installed to build and run; README says why each is there.
BUILD_PACKAGES=(
    g++ cmake ninja-build pkg-config
    "$(boost_package)" libcereal-dev libcli11-dev libfmt-dev nlohmann-json3-dev
    libdnnl-dev libopenblas-dev libonnx-dev libprotobuf-dev libssl-dev
    prometheus-cpp-dev zlib1g-dev
    libjpeg-dev libpng-dev libsndfile1-dev libsamplerate0-dev libarchive-dev
    libpugixml-dev libtomlplusplus-dev libsimdjson-dev libutf8proc-dev
    libsnappy-dev libzstd-dev libsqlite3-dev
)
DATA_PACKAGES=(dataset-fashion-mnist)
TEST_PACKAGES=(
    libgtest-dev lld python3 libonnx-testdata iproute2 iptables pocl-opencl-icd ocl-icd-libopencl1 clang
)
# What only developers and CI need. clang does without g++'s OpenMP headers, so it brings its own.
CHECK_PACKAGES=(clang-format clang-tidy libomp-dev)
FUZZ_PACKAGES=(clang libomp-dev)

say() { printf '== %s\n' "$*"; }

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Prints the comment that the running script begins with.
usage() { sed -n '2,/^\. /p' "scripts/$(basename "$0")" | sed '$d; s/^# \{0,1\}//'; }

# Whether the first argument asks for help.
asks_for_help() { [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; }

# Installs those of the given packages that are missing. Needs root or sudo only when some are.
need_packages() {
    local missing=() name
    command -v dpkg-query >/dev/null || die "this script installs with apt; on another system install: $*"
    for name in "$@"; do
        dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "missing packages: ${missing[*]}; run as root or install sudo"
        root=(sudo)
    fi
    say "installing: ${missing[*]}"
    "${root[@]}" apt-get update -qq || die "apt-get update failed; is the network up?"
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null || die "apt-get could not install: ${missing[*]}"
}

# The rules that python3 alone can check; all of them are run, so that one look shows what is wrong.
check_rules() {
    local failed=0 name
    say "checking the rules of includes, lengths and pages"
    for name in check_layers check_names check_include_order check_lengths check_docs; do
        python3 -B "scripts/$name.py" || failed=1
    done
    [ "$failed" -eq 0 ] || die "sources or pages break a rule, see above"
}

# Configures one preset; further arguments go to the configuration.
configure_preset() {
    local preset=$1
    shift
    cmake --preset "$preset" "$@" >"build-$preset.log" 2>&1 ||
        { cat "build-$preset.log" >&2; die "cmake could not configure the preset '$preset'"; }
    rm -f "build-$preset.log"
}

# Configures (once) and builds one preset; further arguments go to the configuration.
build_preset() {
    local preset=$1
    shift
    say "building ($preset)"
    [ -f "build/$preset/build.ninja" ] && [ $# -eq 0 ] || configure_preset "$preset" "$@"
    cmake --build "build/$preset" -- -j"$(jobs_for_memory)" || die "the build failed"
}

# One compiler for each core, but no more than memory allows at 1 GiB each.
jobs_for_memory() {
    local cores memory_kib
    cores=$(nproc)
    memory_kib=$(awk '/MemAvailable/ {print $2}' /proc/meminfo)
    local by_memory=$((memory_kib / 1048576))
    [ "$by_memory" -lt 1 ] && by_memory=1
    [ "$by_memory" -lt "$cores" ] && echo "$by_memory" || echo "$cores"
}
