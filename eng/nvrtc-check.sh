#!/bin/sh
# Compiles every kernel for sm_90a where NVRTC is found (see nvrtc.md); otherwise says so and succeeds.
set -eu
cd "$(dirname "$0")/.."
found=
for name in libnvrtc.so.13 libnvrtc.so.12; do
    for folder in $(printf '%s' "${LD_LIBRARY_PATH:-}" | tr ':' ' ') $(ldconfig -p 2>/dev/null | awk -v n="$name" '$1 == n { print $NF }' | xargs -r -n1 dirname); do
        if [ -e "$folder/$name" ]; then found=$folder/$name; fi
    done
done
if [ -z "$found" ]; then
    echo "nvrtc-check: skipped, NVRTC is not installed (eng/nvrtc.md)."
    exit 0
fi
echo "nvrtc-check: compiling the kernels with $found"
exec dotnet test tests/Zqfp.CudaOps.Tests -c Release --nologo --filter "FullyQualifiedName~Cuda.KernelCompilationTests"
