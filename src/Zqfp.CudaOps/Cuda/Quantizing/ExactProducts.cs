using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>An operand [k, columns] of <c>exact_product.cu</c>.</summary>
/// <param name="Address">First element.</param>
/// <param name="Stride">Elements between two rows.</param>
/// <param name="Panel">Elements between two panels of 128 columns.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct ProductOperand(ulong Address, long Stride, long Panel)
{
    /// <summary>A matrix from an element on.</summary>
    public static ProductOperand Of(DeviceMatrix matrix, int row = 0, int column = 0) =>
        new(matrix.At(row, column), matrix.Stride, DeviceMatrix.Tile);
}

/// <summary>How a product's result meets what was there.</summary>
internal enum ProductMode
{
    /// <summary>It is added.</summary>
    Add = 0,

    /// <summary>Its negative takes the place.</summary>
    ReplaceNegated = 1,

    /// <summary>It is added, on and below the diagonal alone.</summary>
    Lower = 2,
}

/// <summary>C += A^T B on the device, summed as the processor sums (TileKernel).</summary>
internal sealed class ExactProducts(HopperKernels kernels, CudaStream stream)
{
    /// <summary>Puts a product into the stream.</summary>
    /// <param name="a">A [depth, rows].</param>
    /// <param name="b">B [depth, columns].</param>
    /// <param name="target">First element of C.</param>
    /// <param name="targetStride">Elements between its rows.</param>
    /// <param name="rows">Rows of C, whole tiles of 128.</param>
    /// <param name="columns">Columns of C, a multiple of 32.</param>
    /// <param name="depth">Rows of A and B that count.</param>
    /// <param name="chunk">Rows that are summed by themselves, a multiple of 16.</param>
    /// <param name="mode">How the result meets what was there.</param>
    /// <param name="lanes">Chunks are dealt to so many C.</param>
    /// <param name="lane">Elements between two of these.</param>
    public void Add(ProductOperand a, ProductOperand b, ulong target, long targetStride, int rows, int columns, int depth, int chunk,
        ProductMode mode = ProductMode.Add, int lanes = 1, long lane = 0)
    {
        if (rows == 0 || columns == 0 || depth == 0)
        {
            return;
        }

        (int tileRows, int tileColumns) = Tile(rows, columns, mode);
        CudaKernel kernel = kernels.Kernel("exact_product", "exact_product.cu", 0, Definitions(tileRows, tileColumns, mode));
        KernelArguments arguments = default;
        arguments.Add(a);
        arguments.Add(b);
        arguments.Add(target);
        arguments.Add(targetStride);
        arguments.Add(lane);
        arguments.Add(depth);
        arguments.Add(chunk);
        kernel.Launch(
            stream.Handle, new LaunchSize(columns / tileColumns, rows / tileRows, lanes, tileRows * tileColumns / 64), ref arguments);
    }

    /// <summary>Adds lanes up in their order.</summary>
    public void AddLanes(ulong source, long lane, int lanes, ulong target)
    {
        CudaKernel kernel = kernels.Kernel("add_lanes", "exact_product.cu", 0, Definitions(64, 64, ProductMode.Add));
        KernelArguments arguments = default;
        arguments.Add(source);
        arguments.Add(lane);
        arguments.Add(lanes);
        arguments.Add(target);
        kernel.Launch(stream.Handle, new LaunchSize((int)((lane + 255) / 256), 1, 1, 256), ref arguments);
    }

    /// <summary>Macros of a tile.</summary>
    public static string[] Definitions(int rows, int columns, ProductMode mode) =>
        [$"TILE_M={rows}", $"TILE_N={columns}", $"MODE={(int)mode}"];

    // Large tiles read less; small ones occupy the device where there are few.
    private static (int Rows, int Columns) Tile(int rows, int columns, ProductMode mode)
    {
        const long Few = 132L * 128 * 128;
        return columns % 64 != 0 ? (64, 32)
            : columns % 128 == 0 && (mode == ProductMode.Lower || (long)rows * columns >= Few) ? (128, 128)
            : (64, 64);
    }
}
