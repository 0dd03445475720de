using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>Device memory of a batch of tokens: inputs, quantized tokens, outputs.</summary>
internal sealed class Batch : IDisposable
{
    private readonly DeviceMemory _codes;
    private readonly DeviceMemory _scales;
    private readonly DeviceMemory _lowRank;
    private readonly DeviceMemory? _projection;

    public Batch(CudaContext context, int tokens, int columns, int rows, int rank)
    {
        Input = new DeviceMemory(context, (long)tokens * columns * sizeof(float));
        _codes = new DeviceMemory(context, (long)tokens * columns);
        _scales = new DeviceMemory(context, tokens * sizeof(float));
        _lowRank = new DeviceMemory(context, Math.Max(1, (long)tokens * rank * sizeof(float)));
        Output = new DeviceMemory(context, (long)tokens * rows * sizeof(float));
        _projection = Projection.Serves(tokens, rank) ? new DeviceMemory(context, Projection.Bytes(columns, rank)) : null;
        Tokens = new DeviceTokens(tokens, _codes.Address, _scales.Address, _lowRank.Address);
        Projecting = Tokens with { Projection = _projection?.Address ?? 0 };
        Columns = columns;
        Rows = rows;
    }

    public int Columns { get; }

    public int Rows { get; }

    public DeviceMemory Input { get; }

    public DeviceMemory Output { get; }

    public DeviceTokens Tokens { get; }

    /// <summary>The same with A xq computed by the product, where it can be.</summary>
    public DeviceTokens Projecting { get; }

    /// <summary>Fills all that the kernels write with NaN.</summary>
    public void Poison(nint stream)
    {
        foreach (DeviceMemory? memory in (DeviceMemory?[])[_codes, _scales, _lowRank, _projection, Output])
        {
            memory?.Fill(0xFF, stream);
        }
    }

    public void UploadCodes(byte[] codes, float[] scales)
    {
        _codes.Upload<byte>(codes);
        _scales.Upload<float>(scales);
    }

    public (byte[] Codes, float[] Scales) DownloadCodes(nint stream)
    {
        byte[] codes = new byte[_codes.Bytes];
        float[] scales = new float[Tokens.Count];
        _codes.Download<byte>(codes, stream);
        _scales.Download<float>(scales, stream);
        return (codes, scales);
    }

    public void DownloadLowRank(float[] values, nint stream) => _lowRank.Download<float>(values, stream);

    public double[] DownloadOutput(ElementKind kind, nint stream)
    {
        long count = (long)Tokens.Count * Rows;
        double[] result = new double[count];
        if (kind == ElementKind.Float32)
        {
            float[] values = new float[count];
            Output.Download<float>(values, stream);
            Parallel.For(0, count, i => result[i] = values[i]);
            return result;
        }

        ushort[] bits = new ushort[count];
        Output.Download<ushort>(bits, stream);
        Parallel.For(0, count, i => result[i] = kind == ElementKind.Float16
            ? (double)BitConverter.UInt16BitsToHalf(bits[i])
            : BitConverter.UInt32BitsToSingle((uint)bits[i] << 16));
        return result;
    }

    public void Dispose()
    {
        Input.Dispose();
        _codes.Dispose();
        _scales.Dispose();
        _lowRank.Dispose();
        _projection?.Dispose();
        Output.Dispose();
    }
}
