using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>H + damping = (I + U) D (I + U)^T on the device, and GPTQ's sweep with it.</summary>
internal sealed class DeviceHessianFactor : IHessianFactor
{
    private const int Tile = DeviceMatrix.Tile;
    private const int TriangleBytes = Tile * (Tile + 1) / 2 * sizeof(double);

    /// <summary>Dynamic shared memory of the block that factors a tile.</summary>
    public const int SharedBytes = 2 * TriangleBytes;

    private readonly DeviceLayerSteps _steps;
    private readonly DeviceMatrix _upper;
    private readonly DeviceMemory _pivots;
    private readonly DeviceMemory _order;
    private readonly int _columns;
    private readonly int[] _steppedColumns;

    private DeviceHessianFactor(DeviceLayerSteps steps, int columns, int[]? order)
    {
        _steps = steps;
        _columns = columns;
        _steppedColumns = order ?? [.. Enumerable.Range(0, columns)];
        _upper = steps.Device.Matrix(columns, columns);
        Pivots = new double[_upper.Stride];
        _pivots = new DeviceMemory(steps.Device.Context, (long)Pivots.Length * sizeof(double));
        _order = steps.Device.Upload<int>(_steppedColumns);
    }

    public double[] Pivots { get; }

    /// <summary>Factors, or returns null where H + damping is not positive definite.</summary>
    public static DeviceHessianFactor? TryCreate(DeviceLayerSteps steps, int columns, int[]? order, bool[] dead, double damping)
    {
        var factor = new DeviceHessianFactor(steps, columns, order);
        if (factor.Factor(dead, damping))
        {
            return factor;
        }

        factor.Dispose();
        return null;
    }

    public byte[] Sweep(WeightSource weights, DampedHessian damped, ScaleTable scales, QuantizationOptions options, out double loss)
    {
        _steps.Device.Context.MakeCurrent();
        using var sweep = new DeviceSweep(_steps, _upper, _pivots, _order, _steppedColumns, weights, scales, options);
        return sweep.Run(damped.Damping, out loss);
    }

    public void Dispose()
    {
        _steps.Device.Context.MakeCurrent();
        _upper.Dispose();
        _pivots.Dispose();
        _order.Dispose();
    }

    private bool Factor(bool[] dead, double damping)
    {
        CudaLayerDevice device = _steps.Device;
        using DeviceMemory deadColumns = device.Upload<byte>(Array.ConvertAll(dead, isDead => (byte)(isDead ? 1 : 0)));
        using DeviceMemory failed = device.Zeros(sizeof(int));
        using DeviceMatrix inverse = device.Matrix(Tile, Tile);
        using DeviceMatrix panel = device.Matrix(Tile, _columns);
        Negate(deadColumns, damping);
        CudaKernel tile = device.Kernel("factor_tile", "hessian_factor.cu", SharedBytes);
        for (int first = _upper.Stride - Tile; first >= 0; first -= Tile)
        {
            int next = first + Tile;
            device.Products.Add(
                ProductOperand.Of(_upper, next, first), ProductOperand.Of(_upper, next), _upper.At(first, 0), _upper.Stride, Tile, next,
                _upper.Stride - next, Tile);
            KernelArguments arguments = default;
            arguments.Add(_upper.Address);
            arguments.Add(_upper.Stride);
            arguments.Add(first);
            arguments.Add(inverse.Address);
            arguments.Add(_pivots.Address);
            arguments.Add(failed.Address);
            device.Launch(tile, 1, 1, 512, ref arguments);
            Copy(_upper.At(first, 0), panel);
            device.Products.Add(
                ProductOperand.Of(inverse), ProductOperand.Of(panel), _upper.At(first, 0), _upper.Stride, Tile, first, Tile, Tile,
                ProductMode.ReplaceNegated);
        }

        Span<int> hasFailed = stackalloc int[1];
        failed.Download(hasFailed, device.Stream.Handle);
        if (hasFailed[0] != 0)
        {
            return false;
        }

        _pivots.Download<double>(Pivots, device.Stream.Handle);
        KernelArguments turn = default;
        turn.Add(_upper.Address);
        turn.Add(_upper.Stride);
        turn.Add(_pivots.Address);
        device.Launch(device.Kernel("turn_to_upper", "hessian_factor.cu"), _upper.Stride / 32, _upper.Stride / 32, 256, ref turn);
        device.Stream.Synchronize();
        return true;
    }

    private void Negate(DeviceMemory dead, double damping)
    {
        KernelArguments arguments = default;
        arguments.Add(_steps.Hessian.Address);
        arguments.Add(_order.Address);
        arguments.Add(dead.Address);
        arguments.Add(damping);
        arguments.Add(_upper.Address);
        arguments.Add(_columns);
        arguments.Add(_upper.Stride);
        _steps.Device.Launch(_steps.Device.Kernel("negate_hessian", "hessian_factor.cu"), _upper.Stride / Tile, _upper.Stride, Tile,
            ref arguments);
    }

    private unsafe void Copy(ulong source, DeviceMatrix panel)
    {
        DriverApi driver = _steps.Device.Context.Driver;
        driver.Check(
            driver.CopyOnDevice(panel.Address, source, (nuint)panel.Memory.Bytes, _steps.Device.Stream.Handle), "Copy on the device");
    }
}
