#!/usr/bin/env bash
# Runs the tests of the numerics and of the operators' inner loops for linux-arm64 under qemu-user; where that is not installed, it says so
# and succeeds.
# On Debian: qemu-user, libc6-arm64-cross and libstdc++6-arm64-cross, and libssl3 of arm64, installed or unpacked into a folder that
# ZQFP_ARM64_LIBRARIES names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=${QEMU_LD_PREFIX:-/usr/aarch64-linux-gnu}
libraries=${ZQFP_ARM64_LIBRARIES:-/usr/lib/aarch64-linux-gnu}
skip() {
    echo "arm64-tests: skipped, $1."
    exit 0
}

command -v qemu-aarch64 >/dev/null || skip 'qemu-aarch64 is not installed'
test -e "$root/lib/libc.so.6" || skip "$root has no C library for arm64"
test -e "$root/lib/libstdc++.so.6" || skip "$root has no C++ library for arm64"
test -e "$libraries/libssl.so.3" || skip "$libraries has no libssl.so.3 for arm64"

# Code that is written through a second mapping would not reach the emulator.
export QEMU_LD_PREFIX=$root DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_EnableWriteXorExecute=0
status=0
run() {
    local project=$1
    shift
    dotnet publish "tests/$project" -c Release -r linux-arm64 --self-contained --nologo
    # The processor of most features: what .NET finds there are AdvSimd and its dot products.
    qemu-aarch64 -cpu max -E "LD_LIBRARY_PATH=$libraries" "artifacts/publish/$project/release_linux-arm64/$project" "$@" || status=$?
}

# Of the operators, what needs no session: ONNX Runtime's library does not make one under qemu 7.2.
run Zqfp.CudaOps.Tests -class "*.CodeMathTests" -class "*.PanelMathTests" -class "*.PackedLayoutTests" -class "*.LinearConstantsTests"
run Zqfp.Numerics.Tests
exit "$status"
