namespace Zqfp.CudaOps;

/// <summary>
/// The device as the kernels of one set of operators share it: compiled kernels, one stream, and working memory that grows to
/// the largest product seen. Of products that copy, one runs at a time. Opened by the first user, closed by the last.
/// </summary>
internal sealed class DeviceSession(int ordinal, string? cacheFolder)
{
    private readonly Lock _lock = new();
    private Open? _open;
    private int _users;

    /// <summary>Opens the device if it is closed.</summary>
    /// <exception cref="ZqfpException">ZQFP4101, ZQFP4102, ZQFP4103: driver, compiler or device is missing or too old.</exception>
    public void Rent()
    {
        lock (_lock)
        {
            _open ??= new Open(ordinal, cacheFolder);
            _users++;
        }
    }

    /// <summary>Closes the device after the last user.</summary>
    public void Return()
    {
        lock (_lock)
        {
            if (--_users == 0)
            {
                _open!.Dispose();
                _open = null;
            }
        }
    }

    /// <summary>Puts a layer on the device.</summary>
    public DeviceLinear Load(LinearConstants constants)
    {
        lock (_lock)
        {
            _open!.Context.MakeCurrent();
            return DeviceLinear.Create(_open.Context, constants);
        }
    }

    /// <summary>Takes a layer off the device.</summary>
    public void Unload(DeviceLinear layer)
    {
        lock (_lock)
        {
            _open!.Context.MakeCurrent();
            layer.Dispose();
        }
    }

    /// <summary>Copies tokens in, multiplies, and copies Y out.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="codes">Xq [M, K].</param>
    /// <param name="scales">Sx [M].</param>
    /// <param name="output">Y [M, N] as bytes.</param>
    /// <param name="kind">Element type of Y.</param>
    public void Multiply(DeviceLinear layer, ReadOnlySpan<byte> codes, ReadOnlySpan<float> scales, Span<byte> output, ElementKind kind)
    {
        lock (_lock)
        {
            Open open = _open!;
            open.Context.MakeCurrent();
            DeviceMemory deviceCodes = open.Codes.OfAtLeast(open.Context, codes.Length);
            DeviceMemory deviceScales = open.Scales.OfAtLeast(open.Context, (long)scales.Length * sizeof(float));
            DeviceMemory deviceLowRank = open.LowRank.OfAtLeast(open.Context, (long)scales.Length * layer.Rank * sizeof(float));
            DeviceMemory deviceOutput = open.Output.OfAtLeast(open.Context, output.Length);
            nint stream = open.Stream.Handle;
            deviceCodes.Upload(codes, stream);
            deviceScales.Upload(scales, stream);
            var tokens = new DeviceTokens(scales.Length, deviceCodes.Address, deviceScales.Address, deviceLowRank.Address);
            layer.Multiply(open.Kernels, stream, tokens, deviceOutput.Address, kind);
            deviceOutput.Download(output, stream);
        }
    }

    /// <summary>Xq and Sx of X, all in device memory, put into a stream that is not ours.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="input">X [M, K].</param>
    /// <param name="kind">Element type of X.</param>
    /// <param name="columns">K.</param>
    /// <param name="tokens">Where the results go.</param>
    /// <param name="rotation">Columns of a block that are rotated first; 0 for none.</param>
    public void QuantizeInStream(nint stream, ulong input, ElementKind kind, int columns, DeviceTokens tokens, int rotation)
    {
        Open open = _open!;
        open.Context.MakeCurrent();
        open.Kernels.QuantizeTokens(stream, input, kind, columns, tokens, rotation: rotation);
    }

    /// <summary>Multiplies tokens in device memory, put into a stream that is not ours.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="tokens">Codes and scales.</param>
    /// <param name="output">Y [M, N].</param>
    /// <param name="kind">Element type of Y.</param>
    public void MultiplyInStream(nint stream, DeviceLinear layer, DeviceTokens tokens, ulong output, ElementKind kind)
    {
        Open open = _open!;
        open.Context.MakeCurrent();
        using var lowRank = new StreamMemory(open.Context, stream, (long)tokens.Count * layer.Rank * sizeof(float));
        layer.Multiply(open.Kernels, stream, tokens with { LowRank = lowRank.Address }, output, kind);
    }

    private sealed class Open : IDisposable
    {
        public Open(int ordinal, string? cacheFolder)
        {
            Context = new CudaContext(ordinal);
            try
            {
                Kernels = new HopperKernels(Context, new KernelCompiler(new KernelCache(cacheFolder)));
                Stream = new CudaStream(Context);
            }
            catch
            {
                Context.Dispose();
                throw;
            }
        }

        public CudaContext Context { get; }

        public HopperKernels Kernels { get; }

        public CudaStream Stream { get; }

        public GrowingMemory Codes { get; } = new();

        public GrowingMemory Scales { get; } = new();

        public GrowingMemory LowRank { get; } = new();

        public GrowingMemory Output { get; } = new();

        public void Dispose()
        {
            Context.MakeCurrent();
            Codes.Dispose();
            Scales.Dispose();
            LowRank.Dispose();
            Output.Dispose();
            Stream.Dispose();
            Kernels.Dispose();
            Context.Dispose();
        }
    }

    private sealed class GrowingMemory : IDisposable
    {
        private DeviceMemory? _memory;

        public DeviceMemory OfAtLeast(CudaContext context, long bytes)
        {
            if (_memory is null || _memory.Bytes < bytes)
            {
                _memory?.Dispose();
                _memory = null;
                _memory = new DeviceMemory(context, Math.Max(1, bytes));
            }

            return _memory;
        }

        public void Dispose() => _memory?.Dispose();
    }
}
