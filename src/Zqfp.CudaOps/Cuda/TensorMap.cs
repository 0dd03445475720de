using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>A copy-engine descriptor (CUtensorMap): 128 opaque bytes, passed to kernels by value.</summary>
[InlineArray(16)]
internal struct TensorMap
{
    private const int UInt8 = 0;
    private const int Swizzle128Bytes = 3;
    private const int PromoteTo256Bytes = 3;
    private const nuint Alignment = 64;

    private ulong _first;

    /// <summary>
    /// Describes a row-major byte matrix that is read in boxes of <paramref name="boxRows"/> rows x 128 bytes into
    /// 128-byte-swizzled shared memory; what lies outside the matrix reads as zero.
    /// </summary>
    /// <param name="context">The context, current on this thread.</param>
    /// <param name="address">Device address, a multiple of 16.</param>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Bytes of a row, a multiple of 16.</param>
    /// <param name="boxRows">Rows of a box, 1 to 256.</param>
    /// <exception cref="ZqfpException">ZQFP4104: the driver refused the shape.</exception>
    public static unsafe TensorMap ForRows(CudaContext context, ulong address, int rows, int columns, int boxRows)
    {
        ArgumentNullException.ThrowIfNull(context);
        TensorMap* map = (TensorMap*)NativeMemory.AlignedAlloc((nuint)sizeof(TensorMap), Alignment);
        try
        {
            ulong* sizes = stackalloc ulong[2] { (ulong)columns, (ulong)rows };
            ulong stride = (ulong)columns;
            uint* box = stackalloc uint[2] { 128, (uint)boxRows };
            uint* steps = stackalloc uint[2] { 1, 1 };
            context.Driver.Check(
                context.Driver.TensorMapEncodeTiled(map, UInt8, 2, address, sizes, &stride, box, steps, 0, Swizzle128Bytes,
                    PromoteTo256Bytes, 0),
                $"Describing a {rows} x {columns} matrix to the copy engine");
            return *map;
        }
        finally
        {
            NativeMemory.AlignedFree(map);
        }
    }
}
