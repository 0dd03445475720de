namespace Zqfp.CudaOps;

/// <summary>
/// The device as the kernels of one set of operators share it: compiled kernels, one stream, and working memory that grows to
/// the largest product seen. Of products that copy, one runs at a time. Opened by the first user, closed by the last.
/// </summary>
internal sealed class DeviceSession(Func<(CudaContext Context, HopperKernels Kernels)> open)
{
    private readonly Lock _lock = new();
    private Open? _open;
    private int _users;
    private bool _isNoted;

    /// <summary>A device of this machine.</summary>
    /// <param name="ordinal">Its number, from 0.</param>
    /// <param name="cacheFolder">Where compiled kernels are kept; null for the usual place.</param>
    public DeviceSession(int ordinal, string? cacheFolder)
        : this(() => OpenDevice(ordinal, cacheFolder))
    {
    }

    /// <summary>Opens the device if it is closed.</summary>
    /// <exception cref="ZqfpException">ZQFP4101, ZQFP4102, ZQFP4103: driver, compiler or device is missing or too old.</exception>
    public void Rent()
    {
        lock (_lock)
        {
            _open ??= new Open(open());
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

    /// <summary>What a user of the open device should know, the first time that it is asked for; else null.</summary>
    public string? TakeNote()
    {
        lock (_lock)
        {
            if (_isNoted || _open is not { Kernels.HasFusedProduct: false } open)
            {
                return null;
            }

            _isNoted = true;
            return $"{open.Context.Name} is no Hopper: the operators of domain zqfp are right on it rather than fast. "
                + "A model written with --profile stock runs faster.";
        }
    }

    /// <summary>Puts a layer on the device.</summary>
    /// <param name="constants">The layer.</param>
    /// <param name="output">Element type of Y.</param>
    /// <param name="weights">In which form FP4 weights are kept.</param>
    public DeviceLinear Load(LinearConstants constants, ElementKind output, ZqfpWeights weights)
    {
        lock (_lock)
        {
            _open!.Context.MakeCurrent();
            return DeviceLinear.Create(_open.Context, _open.Kernels, constants, output, weights);
        }
    }

    /// <summary>Puts the layers of experts on the device.</summary>
    /// <param name="experts">The layers, all of one shape.</param>
    /// <param name="output">Element type of Y.</param>
    public DeviceExperts Load(IReadOnlyList<LinearConstants> experts, ElementKind output)
    {
        lock (_lock)
        {
            _open!.Context.MakeCurrent();
            return DeviceExperts.Create(_open.Context, _open.Kernels, experts, output);
        }
    }

    /// <summary>Makes the quantization of tokens of one type and length ready.</summary>
    /// <param name="kind">Element type of X.</param>
    /// <param name="columns">K.</param>
    /// <param name="rotation">Columns of a block that are rotated first; 0 for none.</param>
    /// <param name="source">What is quantized.</param>
    /// <param name="factor">What the codes are multiplied with; null for nothing.</param>
    public TokenQuantization PlanQuantization(ElementKind kind, int columns, int rotation, TokenSource source, DeviceFactor? factor)
    {
        _open!.Context.MakeCurrent();
        return new TokenQuantization(_open.Kernels, kind, columns, rotation, source, factor);
    }

    /// <summary>Puts a low-rank factor A [rank, K] on the device.</summary>
    public DeviceFactor Load(ReadOnlySpan<Half> factor, int rank)
    {
        lock (_lock)
        {
            _open!.Context.MakeCurrent();
            return new DeviceFactor(DeviceMemory.From(_open.Context, factor), rank);
        }
    }

    /// <summary>Takes a layer or a factor off the device.</summary>
    public void Unload(IDisposable layer)
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
    /// <param name="projections">A xq [M, R] for a layer that has B alone; else empty.</param>
    /// <param name="output">Y [M, N] as bytes.</param>
    public void Multiply(
        DeviceLinear layer, ReadOnlySpan<byte> codes, ReadOnlySpan<float> scales, ReadOnlySpan<float> projections, Span<byte> output)
    {
        lock (_lock)
        {
            Open open = _open!;
            open.Context.MakeCurrent();
            DeviceMemory deviceCodes = open.Codes.OfAtLeast(open.Context, codes.Length);
            DeviceMemory deviceScales = open.Scales.OfAtLeast(open.Context, (long)scales.Length * sizeof(float));
            DeviceMemory deviceOutput = open.Output.OfAtLeast(open.Context, output.Length);
            DeviceMemory deviceProjections = open.Projections.OfAtLeast(open.Context, (long)projections.Length * sizeof(float));
            nint stream = open.Stream.Handle;
            deviceCodes.Upload(codes, stream);
            deviceScales.Upload(scales, stream);
            deviceProjections.Upload(projections, stream);
            var tokens = new DeviceTokens(scales.Length, deviceCodes.Address, deviceScales.Address, deviceProjections.Address);
            ulong scratch = open.Scratch.Address(stream, layer.ScratchBytes(scales.Length));
            layer.Multiply(stream, tokens, scratch, deviceOutput.Address, overlap: false);
            deviceOutput.Download(output, stream);
        }
    }

    /// <summary>Xq and Sx of X, all in device memory, put into a stream that is not ours.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="quantization">Made ready by <see cref="PlanQuantization"/>.</param>
    /// <param name="input">X [M, K].</param>
    /// <param name="tokens">Where the results go.</param>
    /// <param name="more">What the source of the quantization reads and writes besides.</param>
    public void QuantizeInStream(
        nint stream, TokenQuantization quantization, ulong input, in DeviceTokens tokens, in SourceArguments more)
    {
        _open!.Context.MakeCurrent();
        quantization.Launch(stream, input, tokens, more);
    }

    /// <summary>Multiplies tokens in device memory, put into a stream that is not ours.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="tokens">Codes and scales, or tokens as they are.</param>
    /// <param name="output">Y [M, N].</param>
    /// <param name="kind">Element type of the tokens; null for codes.</param>
    public void MultiplyInStream(nint stream, DeviceLinear layer, in DeviceTokens tokens, ulong output, ElementKind? kind)
    {
        Open open = _open!;
        open.Context.MakeCurrent();
        layer.Multiply(stream, tokens, open.Scratch.Address(stream, layer.ScratchBytes(tokens.Count)), output, overlap: true, kind);
    }

    /// <summary>Multiplies tokens in device memory with their experts' weights, put into a stream that is not ours.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="experts">The experts.</param>
    /// <param name="tokens">Codes and scales, or tokens as they are.</param>
    /// <param name="index">The expert of each row of Y, int64 [count].</param>
    /// <param name="count">Rows of Y.</param>
    /// <param name="output">Y [count, N].</param>
    /// <param name="kind">Element type of the tokens; null for codes.</param>
    public void MultiplyInStream(
        nint stream, DeviceExperts experts, in DeviceTokens tokens, ulong index, int count, ulong output, ElementKind? kind)
    {
        Open open = _open!;
        open.Context.MakeCurrent();
        experts.Multiply(stream, tokens, index, count, open.Scratch.Address(stream, experts.ScratchBytes(count)), output, kind);
    }

    private static (CudaContext Context, HopperKernels Kernels) OpenDevice(int ordinal, string? cacheFolder)
    {
        var context = new CudaContext(ordinal);
        try
        {
            var compiler = KernelCompiler.For(new KernelCache(cacheFolder), context.ComputeCapability);
            return (context, new HopperKernels(context, compiler.Compile));
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    private sealed class Open : IDisposable
    {
        public Open((CudaContext Context, HopperKernels Kernels) device)
        {
            (Context, Kernels) = device;
            Stream = new CudaStream(Context);
            Scratch = new StreamScratch(Context);
        }

        public CudaContext Context { get; }

        public HopperKernels Kernels { get; }

        public CudaStream Stream { get; }

        public StreamScratch Scratch { get; }

        public GrowingMemory Codes { get; } = new();

        public GrowingMemory Scales { get; } = new();

        public GrowingMemory Projections { get; } = new();

        public GrowingMemory Output { get; } = new();

        public void Dispose()
        {
            Context.MakeCurrent();
            Scratch.Dispose();
            Codes.Dispose();
            Scales.Dispose();
            Projections.Dispose();
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
