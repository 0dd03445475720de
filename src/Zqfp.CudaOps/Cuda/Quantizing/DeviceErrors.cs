using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>E = W - Q - U D on the device, as it is and turned, and its products with thin matrices, which come and go.</summary>
internal sealed unsafe class DeviceErrors : IErrorProducts
{
    private const int Tile = DeviceMatrix.Tile;
    private const int Chunk = 256;
    private const int Lanes = 8;

    private readonly DeviceLayerSteps _steps;
    private readonly CudaLayerDevice _device;
    private readonly DeviceMatrix _rows;
    private readonly DeviceMatrix _columns;

    public DeviceErrors(DeviceLayerSteps steps, ReadOnlyMemory<float> weights, QuantizedMatrix quantized, LowRankFactors? lowRank)
    {
        _steps = steps;
        _device = steps.Device;
        Rows = quantized.Rows;
        Columns = quantized.Columns;
        _rows = _device.Matrix(Rows, Columns);
        _columns = _device.Matrix(Columns, Rows);
        Compute(weights.Span, quantized, lowRank);
    }

    public int Rows { get; }

    public int Columns { get; }

    public int PaddedRows => _rows.PaddedRows;

    public int PaddedColumns => _rows.Stride;

    public double Loss(bool isWeighted)
    {
        _device.Context.MakeCurrent();
        if (!isWeighted)
        {
            return Trace(_columns);
        }

        using DeviceMatrix weighted = _device.Matrix(Columns, Rows);
        _device.Products.Add(
            ProductOperand.Of(_steps.Hessian), ProductOperand.Of(_columns), weighted.Address, weighted.Stride, weighted.PaddedRows,
            weighted.Stride, PaddedColumns, Tile);
        return Trace(weighted);
    }

    public AlignedBuffer Multiply(AlignedBuffer right, int width)
    {
        using DeviceMemory given = Upload(right);
        using DeviceMemory product = Multiply(given, width);
        return Download(product, PaddedRows, width);
    }

    public AlignedBuffer MultiplyTwice(AlignedBuffer right, int width)
    {
        using DeviceMemory given = Upload(right);
        using DeviceMemory product = Multiply(given, width);
        return MultiplyTransposed(product, width);
    }

    public AlignedBuffer MultiplyTransposed(AlignedBuffer right, int width)
    {
        using DeviceMemory given = Upload(right);
        return MultiplyTransposed(given, width);
    }

    public AlignedBuffer MultiplyHessian(AlignedBuffer right, int width)
    {
        using DeviceMemory given = Upload(right);
        using DeviceMemory product = _device.Zeros((long)PaddedColumns * width * sizeof(float));
        _device.Products.Add(
            ProductOperand.Of(_steps.Hessian), Thin(given, width), product.Address, width, PaddedColumns, width, PaddedColumns, Chunk);
        return Download(product, PaddedColumns, width);
    }

    public void Dispose()
    {
        _device.Context.MakeCurrent();
        _rows.Dispose();
        _columns.Dispose();
    }

    private void Compute(ReadOnlySpan<float> weights, QuantizedMatrix quantized, LowRankFactors? lowRank)
    {
        int groups = quantized.Groups;
        float[] scales = new float[Rows * groups];
        for (int i = 0; i < scales.Length; i++)
        {
            scales[i] = quantized.Scale(i / groups, i % groups);
        }

        using DeviceMemory given = _device.Upload(weights);
        using DeviceMemory codes = _device.Upload<byte>(quantized.Codes);
        using DeviceMemory values = _device.Upload(quantized.Format.Values);
        using DeviceMemory factors = _device.Upload<float>(scales);
        using DeviceMemory? up = lowRank is null ? null : _device.Upload<float>(lowRank.Up);
        using DeviceMemory? down = lowRank is null ? null : _device.Upload<float>(lowRank.Down);
        KernelArguments arguments = default;
        arguments.Add(given.Address);
        arguments.Add(codes.Address);
        arguments.Add(quantized.Format.Bits);
        arguments.Add(values.Address);
        arguments.Add(factors.Address);
        arguments.Add(Rows);
        arguments.Add(Columns);
        arguments.Add(quantized.GroupSize);
        arguments.Add(groups);
        arguments.Add(up?.Address ?? 0);
        arguments.Add(down?.Address ?? 0);
        arguments.Add(lowRank?.Rank ?? 0);
        arguments.Add(_rows.Address);
        arguments.Add((long)_rows.Stride);
        _device.Launch(_device.Kernel("weight_errors", "weight_errors.cu"), (_rows.Stride + 255) / 256, PaddedRows, 256, ref arguments);
        KernelArguments turn = default;
        turn.Add(_rows.Address);
        turn.Add((long)_rows.Stride);
        turn.Add(_columns.Address);
        turn.Add((long)_columns.Stride);
        _device.Launch(_device.Kernel("turn_matrix", "weight_errors.cu"), _rows.Stride / 32, PaddedRows / 32, 256, ref turn);
        _device.Stream.Synchronize();
    }

    private DeviceMemory Multiply(DeviceMemory right, int width)
    {
        DeviceMemory product = _device.Zeros((long)PaddedRows * width * sizeof(float));
        _device.Products.Add(
            ProductOperand.Of(_columns), Thin(right, width), product.Address, width, PaddedRows, width, PaddedColumns, Chunk);
        return product;
    }

    // Tiles of rows are dealt to lanes, which are then added in order.
    private AlignedBuffer MultiplyTransposed(DeviceMemory right, int width)
    {
        int lanes = Math.Min(Lanes, PaddedRows / Tile);
        long lane = (long)PaddedColumns * width;
        using DeviceMemory parts = _device.Zeros(lane * lanes * sizeof(float));
        _device.Products.Add(
            ProductOperand.Of(_rows), Thin(right, width), parts.Address, width, PaddedColumns, width, PaddedRows, Tile, ProductMode.Add,
            lanes, lane);
        using DeviceMemory sum = new(_device.Context, lane * sizeof(float));
        _device.Products.AddLanes(parts.Address, lane, lanes, sum.Address);
        return Download(sum, PaddedColumns, width);
    }

    // The sum over both matrices' elements, multiplied.
    private double Trace(DeviceMatrix other)
    {
        double[] sums = new double[_columns.PaddedRows];
        using DeviceMemory parts = new(_device.Context, (long)sums.Length * sizeof(double));
        KernelArguments arguments = default;
        arguments.Add(_columns.Address);
        arguments.Add(other.Address);
        arguments.Add((long)_columns.Stride);
        arguments.Add(parts.Address);
        _device.Launch(_device.Kernel("row_products", "weight_errors.cu"), sums.Length, 1, 256, ref arguments);
        parts.Download<double>(sums, _device.Stream.Handle);
        return sums.Sum();
    }

    // Columns of a thin matrix lie in panels of 128 as those of any other.
    private static ProductOperand Thin(DeviceMemory memory, int width) => new(memory.Address, width, Tile);

    private DeviceMemory Upload(AlignedBuffer values)
    {
        _device.Context.MakeCurrent();
        _steps.Workers.Cancellation.ThrowIfCancellationRequested();
        return _device.Upload<float>(values.Slice(0, checked((int)values.Length)));
    }

    private AlignedBuffer Download(DeviceMemory values, int rows, int width)
    {
        var result = new AlignedBuffer((long)rows * width);
        values.Download(result.Slice(0, checked(rows * width)), _device.Stream.Handle);
        return result;
    }
}
