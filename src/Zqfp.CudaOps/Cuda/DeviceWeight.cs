namespace Zqfp.CudaOps;

/// <summary>The constants of one quantized linear layer as a model stores them.</summary>
/// <param name="Layout">Sizes and group size.</param>
/// <param name="Codes">E2M1 codes [N, K / 2], low nibble first.</param>
/// <param name="Exponents">k [N, ceil(K / group)], empty where <paramref name="GroupScales"/> are given.</param>
/// <param name="RowScales">S_max [N], empty where <paramref name="GroupScales"/> are given.</param>
/// <param name="GroupScales">Unconstrained scales [N, ceil(K / group)], or empty.</param>
/// <param name="Bias">[N], or empty.</param>
/// <param name="LowRankA">A [r, K]; empty without a low-rank branch, and where tokens come with A xq.</param>
/// <param name="LowRankB">B [N, r], or empty.</param>
/// <param name="Rank">r, 0 without a low-rank branch.</param>
internal sealed record WeightData(
    PackedLayout Layout,
    ReadOnlyMemory<byte> Codes,
    ReadOnlyMemory<byte> Exponents,
    ReadOnlyMemory<float> RowScales,
    ReadOnlyMemory<float> GroupScales = default,
    ReadOnlyMemory<float> Bias = default,
    ReadOnlyMemory<float> LowRankA = default,
    ReadOnlyMemory<float> LowRankB = default,
    int Rank = 0);

/// <summary>A quantized linear layer on the device, packed once for all kernels.</summary>
internal sealed class DeviceWeight : IDisposable
{
    private readonly OwnedMemory _owned;

    private DeviceWeight(
        OwnedMemory owned, PackedLayout layout, int rank, DeviceMemory blocks, DeviceMemory rowScales, DeviceMemory? bias, DeviceMemory? a,
        DeviceMemory? b)
    {
        _owned = owned;
        Layout = layout;
        Rank = rank;
        Blocks = blocks;
        RowScales = rowScales;
        Bias = bias;
        LowRankA = a;
        LowRankB = b;
    }

    /// <summary>Sizes and group size.</summary>
    public PackedLayout Layout { get; }

    /// <summary>Rank of the low-rank branch, rounded up to a multiple of 8 with zeros; 0 without one.</summary>
    public int Rank { get; }

    /// <summary>Packed codes and group scales.</summary>
    public DeviceMemory Blocks { get; }

    /// <summary>S * 2^-6, N rounded up to 64; 2^-6 everywhere under float group scales.</summary>
    public DeviceMemory RowScales { get; }

    /// <summary>Bias [N], or null.</summary>
    public DeviceMemory? Bias { get; }

    /// <summary>A, float16 [Rank, K]; null without a low-rank branch, and where tokens come with A xq.</summary>
    public DeviceMemory? LowRankA { get; }

    /// <summary>B, float16 [N, Rank], or null.</summary>
    public DeviceMemory? LowRankB { get; }

    /// <summary>Packs a layer and copies it to the device.</summary>
    /// <exception cref="ZqfpException">ZQFP4108: an exponent the layout cannot hold; ZQFP4104: out of memory.</exception>
    public static DeviceWeight Create(CudaContext context, WeightData data)
    {
        ArgumentNullException.ThrowIfNull(data);
        PackedLayout layout = data.Layout;
        byte[] packed = layout.FloatScales ? layout.Pack(data.Codes, data.GroupScales) : layout.Pack(data.Codes, data.Exponents);
        float[] rowScales = PadRowScales(layout, data.RowScales.Span);
        int rank = (data.Rank + 7) / 8 * 8;
        return OwnedMemory.For(owned => new DeviceWeight(
            owned,
            layout,
            rank,
            owned.From<byte>(context, packed),
            owned.From<float>(context, rowScales),
            owned.FromAny(context, data.Bias),
            data.LowRankA.IsEmpty
                ? null
                : owned.From<Half>(context, PadRows(data.LowRankA.Span, data.Rank, layout.Columns, rank, layout.Columns)),
            rank == 0 ? null : owned.From<Half>(context, PadRows(data.LowRankB.Span, layout.Rows, data.Rank, layout.Rows, rank))));
    }

    /// <summary>Another copy on the device; returns when it is complete.</summary>
    public DeviceWeight Copy(CudaContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return OwnedMemory.For(owned =>
        {
            var copy = new DeviceWeight(
                owned, Layout, Rank, Clone(owned, Blocks)!, Clone(owned, RowScales)!, Clone(owned, Bias), Clone(owned, LowRankA),
                Clone(owned, LowRankB));
            context.Synchronize();
            return copy;
        });

        DeviceMemory? Clone(OwnedMemory owned, DeviceMemory? source)
        {
            if (source is null)
            {
                return null;
            }

            DeviceMemory clone = owned.Add(new DeviceMemory(context, source.Bytes));
            source.CopyTo(clone);
            return clone;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _owned.Dispose();

    internal static float[] PadRowScales(PackedLayout layout, ReadOnlySpan<float> scales)
    {
        float[] padded = new float[layout.RowBlocks * PackedLayout.BlockRows];
        for (int row = 0; row < layout.Rows; row++)
        {
            padded[row] = PackedLayout.RowScaleFactor * (layout.FloatScales ? 1 : scales[row]);
        }

        return padded;
    }

    internal static Half[] PadRows(ReadOnlySpan<float> source, int rows, int columns, int paddedRows, int paddedColumns)
    {
        Half[] padded = new Half[paddedRows * paddedColumns];
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                padded[(row * paddedColumns) + column] = (Half)source[(row * columns) + column];
            }
        }

        return padded;
    }
}
