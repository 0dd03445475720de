using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>GPTQ's sweep over one matrix: <c>gptq_sweep.cu</c>, and a product after each block for the columns to come.</summary>
internal sealed class DeviceSweep : IDisposable
{
    private const int Tile = DeviceMatrix.Tile;
    private const int ManyRows = 8192;

    private readonly DeviceLayerSteps _steps;
    private readonly CudaLayerDevice _device;
    private readonly DeviceMatrix _upper;
    private readonly DeviceMemory _pivots;
    private readonly DeviceMemory _order;
    private readonly WeightSource _weights;
    private readonly QuantizationOptions _options;
    private readonly NumberFormat _format;
    private readonly ScaleTable _table;
    private readonly DeviceMatrix _errors;
    private readonly DeviceMatrix _adjusted;
    private readonly DeviceMemory _codes;
    private readonly DeviceMemory _losses;
    private readonly DeviceMatrix _scales;
    private readonly DeviceMemory _groups;
    private readonly int _threads;

    public DeviceSweep(DeviceLayerSteps steps, DeviceMatrix upper, DeviceMemory pivots, DeviceMemory order, int[] columns,
        WeightSource weights, ScaleTable scales, QuantizationOptions options)
    {
        _steps = steps;
        _device = steps.Device;
        _upper = upper;
        _pivots = pivots;
        _order = order;
        _weights = weights;
        _options = options;
        _format = options.Format;
        _table = scales;
        _threads = weights.Rows > ManyRows ? 64 : 32;
        _errors = _device.Matrix(weights.Columns, weights.Rows);
        _adjusted = _device.Matrix(weights.Columns, weights.Rows);
        _codes = _device.Zeros((long)_errors.PaddedRows * _errors.Stride);
        _losses = _device.Zeros((long)_errors.Stride * sizeof(double));
        _scales = _device.Matrix(scales.Groups, _errors.Stride);
        _groups = _device.Upload<int>(Groups(columns, scales.GroupSize, _errors.PaddedRows));
        UploadScales();
    }

    /// <summary>Macros of the sweep.</summary>
    public static string[] Definitions(NumberFormat format, int threads) => [.. GridDefinitions.Of(format), $"ROWS={threads}"];

    /// <summary>Dynamic shared memory of a block: U's tile, errors and scales.</summary>
    public static int SharedBytes(int threads) => ((Tile * Tile) + ((Tile + 32) * threads)) * sizeof(float);

    /// <summary>Sweeps.</summary>
    /// <param name="damping">What was added to H's diagonal.</param>
    /// <param name="loss">tr(E H E^T).</param>
    /// <returns>Packed codes.</returns>
    public byte[] Run(double damping, out double loss)
    {
        TurnWeights();
        CudaKernel sweep = Kernel("sweep_block", SharedBytes(_threads));
        int stride = _errors.Stride;
        for (int first = 0; first < _errors.PaddedRows; first += Tile)
        {
            _steps.Workers.Cancellation.ThrowIfCancellationRequested();
            KernelArguments arguments = default;
            arguments.Add(_upper.Address);
            arguments.Add((long)_upper.Stride);
            arguments.Add(_errors.Address);
            arguments.Add(_adjusted.Address);
            arguments.Add((long)stride);
            arguments.Add(_scales.Address);
            arguments.Add(_groups.Address);
            arguments.Add(_codes.Address);
            arguments.Add(_pivots.Address);
            arguments.Add(damping);
            arguments.Add(_losses.Address);
            arguments.Add(first);
            _device.Launch(sweep, stride / _threads, 1, _threads, ref arguments);
            int next = first + Tile;
            _device.Products.Add(
                ProductOperand.Of(_upper, first, next), ProductOperand.Of(_errors, first), _adjusted.At(next, 0), stride,
                _errors.PaddedRows - next, stride, Tile, Tile);
        }

        if (_options.RefineSweeps == 0)
        {
            loss = Loss();
            return Codes(_codes, _order);
        }

        var tile = new DeviceTile(_errors, _adjusted, _codes, _scales, _losses);
        using var descent = new DeviceDescent(_steps, tile, _order, _weights.Columns, _table.GroupSize, _format, _threads);
        double gain = 0;
        for (int i = 0; i < _options.RefineSweeps; i++)
        {
            if (i == 1 && _options.RefitsScales)
            {
                gain += descent.FitScales(MultiplyScales);
            }

            descent.Sweep();
        }

        loss = Loss() - gain;
        using DeviceMemory natural = _device.Upload<int>([.. Enumerable.Range(0, _weights.Columns)]);
        return Codes(descent.Codes, natural);
    }

    public void Dispose()
    {
        _errors.Dispose();
        _adjusted.Dispose();
        _codes.Dispose();
        _losses.Dispose();
        _scales.Dispose();
        _groups.Dispose();
    }

    private CudaKernel Kernel(string name, int sharedBytes = 0) =>
        _device.Kernel(name, "gptq_sweep.cu", sharedBytes, Definitions(_format, _threads));

    private static int[] Groups(int[] columns, int groupSize, int padded)
    {
        int[] groups = new int[padded];
        for (int step = 0; step < columns.Length; step++)
        {
            groups[step] = columns[step] / groupSize;
        }

        return groups;
    }

    // Rows past the end are zero weights with a scale of one.
    private unsafe void UploadScales()
    {
        int stride = _errors.Stride;
        int groups = _table.Groups;
        float[] turned = new float[groups * stride];
        Array.Fill(turned, 1);
        for (int row = 0; row < _weights.Rows; row++)
        {
            for (int group = 0; group < groups; group++)
            {
                turned[(group * stride) + row] = _table.Effective[(row * groups) + group];
            }
        }

        fixed (float* source = turned)
        {
            _scales.Upload(source, stride, _device.Stream);
        }
    }

    private void TurnWeights()
    {
        using DeviceMemory rows = _device.Upload(_weights.ToMemory(_steps.Workers).Span);
        KernelArguments arguments = default;
        arguments.Add(rows.Address);
        arguments.Add(_weights.Rows);
        arguments.Add(_weights.Columns);
        arguments.Add(_order.Address);
        arguments.Add(_errors.Address);
        arguments.Add(_adjusted.Address);
        arguments.Add((long)_errors.Stride);
        _device.Launch(Kernel("turn_weights"), _errors.PaddedRows / 32, _errors.Stride / 32, 256, ref arguments);
        _device.Stream.Synchronize();
    }

    private double Loss()
    {
        double[] losses = new double[_errors.Stride];
        _losses.Download<double>(losses, _device.Stream.Handle);
        return losses.Sum();
    }

    // Of a row past the end nothing is kept.
    private void MultiplyScales(Span<float> factors)
    {
        factors[_weights.Rows..].Fill(1);
        for (int row = 0; row < _weights.Rows; row++)
        {
            factors[row] = _table.MultiplyRow(row, factors[row], _options.ScaleStorage);
        }

        UploadScales();
    }

    private byte[] Codes(DeviceMemory codes, DeviceMemory order)
    {
        long count = (long)_weights.Rows * _weights.Columns;
        byte[] packed = new byte[_format.PackedLength(count)];
        using DeviceMemory turned = new(_device.Context, count);
        KernelArguments turn = default;
        turn.Add(codes.Address);
        turn.Add((long)_errors.Stride);
        turn.Add(_weights.Rows);
        turn.Add(_weights.Columns);
        turn.Add(order.Address);
        turn.Add(turned.Address);
        _device.Launch(Kernel("turn_codes"), _errors.PaddedRows / 32, _errors.Stride / 32, 256, ref turn);
        if (_format.Bits == 8)
        {
            turned.Download<byte>(packed, _device.Stream.Handle);
            return packed;
        }

        using DeviceMemory nibbles = new(_device.Context, packed.Length);
        KernelArguments pack = default;
        pack.Add(turned.Address);
        pack.Add(count);
        pack.Add(nibbles.Address);
        _device.Launch(Kernel("pack_codes"), (packed.Length + 255) / 256, 1, 256, ref pack);
        nibbles.Download<byte>(packed, _device.Stream.Handle);
        return packed;
    }
}
