using System.Runtime.InteropServices;

namespace Zqfp.Numerics.Benchmarks;

/// <summary>sgemm of the BLAS that the system offers, when it offers one: OpenBLAS, or whatever is installed as libblas.</summary>
internal sealed unsafe class SystemBlas : IDisposable
{
    private const int RowMajor = 101;
    private const int NoTranspose = 111;
    private const int Transpose = 112;

    private static readonly string[] Names = ["libopenblas.so.0", "libopenblas.so", "libblis.so.4", "libblas.so.3", "libopenblas.dll"];

    private readonly nint _library;
    private readonly delegate* unmanaged<int, int, int, int, int, int, float, float*, int, float*, int, float, float*, int, void> _sgemm;

    private SystemBlas(string name, nint library, nint sgemm)
    {
        Name = name;
        _library = library;
        _sgemm = (delegate* unmanaged<int, int, int, int, int, int, float, float*, int, float*, int, float, float*, int, void>)sgemm;
    }

    public string Name { get; }

    public static SystemBlas? TryLoad()
    {
        foreach (string name in Names)
        {
            if (NativeLibrary.TryLoad(name, out nint library))
            {
                if (NativeLibrary.TryGetExport(library, "cblas_sgemm", out nint sgemm))
                {
                    return new SystemBlas(name, library, sgemm);
                }

                NativeLibrary.Free(library);
            }
        }

        return null;
    }

    /// <summary>Threads of a product from now on; only OpenBLAS can be told.</summary>
    public void UseThreads(int threads)
    {
        if (NativeLibrary.TryGetExport(_library, "openblas_set_num_threads", out nint set))
        {
            ((delegate* unmanaged<int, void>)set)(threads);
        }
    }

    /// <summary>C[m, n] += sum over k of A[k, m] B[k, n], all row-major: what <see cref="TileKernel"/> computes.</summary>
    public void MultiplyAdd(float* a, int lda, float* b, int ldb, float* c, int ldc, int m, int n, int k) =>
        _sgemm(RowMajor, Transpose, NoTranspose, m, n, k, 1, a, lda, b, ldb, 1, c, ldc);

    public void Dispose() => NativeLibrary.Free(_library);
}
