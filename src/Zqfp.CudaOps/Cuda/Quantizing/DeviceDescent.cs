using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>What GPTQ's sweep leaves on the device, all [columns, rows].</summary>
/// <param name="Errors">Errors, in the order of the steps.</param>
/// <param name="Spare">As large, of no use any more.</param>
/// <param name="Codes">Codes, in the order of the steps.</param>
/// <param name="Scales">Scales [groups, rows].</param>
/// <param name="Losses">tr(E H E^T) of each row.</param>
internal sealed record DeviceTile(DeviceMatrix Errors, DeviceMatrix Spare, DeviceMemory Codes, DeviceMatrix Scales, DeviceMemory Losses);

/// <summary>Coordinate descent on the device: <c>descent.cu</c>, and a product before each block for its gradient.</summary>
internal sealed class DeviceDescent : IDisposable
{
    private const int Block = DeviceMatrix.Tile;

    private readonly DeviceLayerSteps _steps;
    private readonly CudaLayerDevice _device;
    private readonly DeviceTile _tile;
    private readonly DeviceMatrix _errors;
    private readonly DeviceMatrix _decoded;
    private readonly DeviceMatrix _gradient;
    private readonly DeviceMemory _values;
    private readonly int _columns;
    private readonly int _groupSize;
    private readonly NumberFormat _format;
    private readonly int _threads;

    public DeviceDescent(
        DeviceLayerSteps steps, DeviceTile tile, DeviceMemory order, int columns, int groupSize, NumberFormat format, int threads)
    {
        _steps = steps;
        _device = steps.Device;
        _tile = tile;
        _errors = tile.Spare;
        _decoded = tile.Errors;
        _columns = columns;
        _groupSize = groupSize;
        _format = format;
        _threads = threads;
        Codes = new DeviceMemory(_device.Context, tile.Codes.Bytes);
        _gradient = _device.Matrix(Block, _errors.Stride);
        _values = _device.Upload(format.Values);
        KernelArguments arguments = default;
        arguments.Add(tile.Errors.Address);
        arguments.Add(tile.Codes.Address);
        arguments.Add(order.Address);
        arguments.Add(columns);
        arguments.Add(_errors.Address);
        arguments.Add(Codes.Address);
        arguments.Add((long)_errors.Stride);
        Launch("order_columns", _errors.PaddedRows, ref arguments);
    }

    /// <summary>Codes [columns, rows], in the natural order of the columns.</summary>
    public DeviceMemory Codes { get; }

    /// <summary>One sweep over all columns; what is gained is taken off the losses.</summary>
    public void Sweep()
    {
        DeviceMatrix hessian = _steps.Hessian;
        for (int first = 0; first < _errors.PaddedRows; first += Block)
        {
            _steps.Workers.Cancellation.ThrowIfCancellationRequested();
            Multiply(_errors, first, _gradient);
            KernelArguments arguments = default;
            arguments.Add(hessian.Address);
            arguments.Add((long)hessian.Stride);
            arguments.Add(_errors.Address);
            arguments.Add(_gradient.Address);
            arguments.Add((long)_errors.Stride);
            arguments.Add(_tile.Scales.Address);
            arguments.Add(_groupSize);
            arguments.Add(Codes.Address);
            arguments.Add(_values.Address);
            arguments.Add(_tile.Losses.Address);
            arguments.Add(first);
            CudaKernel kernel = Kernel("descend_block", DeviceSweep.SharedBytes(_threads));
            _device.Launch(kernel, _errors.Stride / _threads, 1, _threads, ref arguments);
        }
    }

    /// <summary>Fits the scales of each row to its codes.</summary>
    /// <param name="change">As for <see cref="CoordinateDescent.FitScales"/>; puts the new scales on the device.</param>
    /// <returns>By how much tr(E H E^T) fell.</returns>
    public double FitScales(ScaleChange change)
    {
        int stride = _errors.Stride;
        using DeviceMatrix products = _device.Matrix(Block, stride);
        using DeviceMemory pulls = _device.Zeros((long)stride * sizeof(double));
        using DeviceMemory weights = _device.Zeros((long)stride * sizeof(double));
        Decode();
        for (int first = 0; first < _errors.PaddedRows; first += Block)
        {
            _steps.Workers.Cancellation.ThrowIfCancellationRequested();
            Multiply(_errors, first, _gradient);
            Multiply(_decoded, first, products);
            KernelArguments arguments = default;
            arguments.Add(_decoded.At(first, 0));
            arguments.Add(_gradient.Address);
            arguments.Add(products.Address);
            arguments.Add((long)stride);
            arguments.Add(Block);
            arguments.Add(pulls.Address);
            arguments.Add(weights.Address);
            Launch("add_pulls", 1, ref arguments);
        }

        double[] pull = new double[stride];
        double[] weight = new double[stride];
        pulls.Download<double>(pull, _device.Stream.Handle);
        weights.Download<double>(weight, _device.Stream.Handle);
        float[] factors = new float[stride];
        for (int row = 0; row < stride; row++)
        {
            factors[row] = CoordinateDescent.BestFactor(pull[row], weight[row]);
        }

        change(factors);
        TakeFactors(factors);
        double gain = 0;
        for (int row = 0; row < stride; row++)
        {
            gain += CoordinateDescent.Gain(factors[row], pull[row], weight[row]);
        }

        return gain;
    }

    public void Dispose()
    {
        Codes.Dispose();
        _gradient.Dispose();
        _values.Dispose();
    }

    // product = H[first .. first + 128, :] times the columns.
    private void Multiply(DeviceMatrix columns, int first, DeviceMatrix product)
    {
        product.Memory.Fill(0, _device.Stream.Handle);
        _device.Products.Add(
            ProductOperand.Of(_steps.Hessian, 0, first), ProductOperand.Of(columns), product.Address, product.Stride, Block, product.Stride,
            _errors.PaddedRows, Block);
    }

    private void Decode()
    {
        KernelArguments arguments = default;
        arguments.Add(Codes.Address);
        arguments.Add(_values.Address);
        arguments.Add(_tile.Scales.Address);
        arguments.Add(_columns);
        arguments.Add(_groupSize);
        arguments.Add(_decoded.Address);
        arguments.Add((long)_errors.Stride);
        Launch("decode_columns", _errors.PaddedRows, ref arguments);
    }

    private void TakeFactors(float[] factors)
    {
        using DeviceMemory given = _device.Upload<float>(factors);
        KernelArguments arguments = default;
        arguments.Add(_errors.Address);
        arguments.Add(_decoded.Address);
        arguments.Add(given.Address);
        arguments.Add((long)_errors.Stride);
        Launch("take_factors", _errors.PaddedRows, ref arguments);
        _device.Stream.Synchronize();
    }

    private void Launch(string kernel, int columns, ref KernelArguments arguments) =>
        _device.Launch(Kernel(kernel), _errors.Stride / 128, columns, 128, ref arguments);

    private CudaKernel Kernel(string name, int sharedBytes = 0) =>
        _device.Kernel(name, "descent.cu", sharedBytes, DeviceSweep.Definitions(_format, _threads));
}
