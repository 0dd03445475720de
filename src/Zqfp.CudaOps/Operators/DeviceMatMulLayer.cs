
namespace Zqfp.CudaOps;

/// <summary>A node's layer on the device, which stays open as long as this.</summary>
internal sealed class DeviceMatMulLayer : IDisposable
{
    private readonly DeviceSession _device;

    private DeviceMatMulLayer(DeviceSession device, LinearConstants constants, OrtElementType output, ZqfpWeights weights)
    {
        _device = device;
        Rows = constants.Rows;
        Columns = constants.Columns;
        Output = output;
        Projected = constants.LowRankA.IsEmpty ? constants.Rank : 0;
        device.Rent();
        try
        {
            ElementKind kind = output == OrtElementType.Float ? ElementKind.Float32 : ElementKind.Float16;
            Linear = constants.Rows == 0 ? null : device.Load(constants, kind, weights);
        }
        catch
        {
            device.Return();
            throw;
        }
    }

    /// <summary>N.</summary>
    public int Rows { get; }

    /// <summary>K.</summary>
    public int Columns { get; }

    /// <summary>Type of Y: float or float16.</summary>
    public OrtElementType Output { get; }

    /// <summary>R, where tokens come with A xq; else 0.</summary>
    public int Projected { get; }

    /// <summary>The layer; null where it has no rows.</summary>
    public DeviceLinear? Linear { get; }

    /// <summary>Whether it pays to copy an operator's activations to the GPU and back: where they are codes.</summary>
    public static bool IsWorthCopies(MatMulSignature signature) => signature.QuantizedActivations;

    /// <summary>Puts the constants of a node, which lie in host memory, on the device.</summary>
    /// <exception cref="ZqfpException">The node breaks a rule of the operator.</exception>
    /// <exception cref="ZqfpException">ZQFP4101 to ZQFP4104: there is no such device, or it has no memory left.</exception>
    public static DeviceMatMulLayer Load(MatMulSignature signature, DeviceSession device, in OrtKernelInfo info)
    {
        MatMulConstants constants = MatMulConstants.Read(signature, info);
        if (constants.Layout.Columns == 0)
        {
            throw new ZqfpException("ZQFP4006", "K must be at least 1 on the GPU; run the operators on the processor.");
        }

        var linear = new LinearConstants(
            constants.Rows,
            constants.Layout.Columns,
            constants.Layout.GroupSize,
            constants.Weights.AsSpan<byte>().ToArray(),
            signature.PowerOfTwoScales ? constants.Scales.AsSpan<byte>().ToArray() : default,
            signature.PowerOfTwoScales ? constants.RowScales.AsSpan<float>().ToArray() : default,
            signature.PowerOfTwoScales ? default : constants.Scales.AsSpan<float>().ToArray(),
            Floats(constants.Bias, "bias"),
            constants.Rank == 0 || !constants.FactorA.IsPresent ? default : Floats(constants.FactorA, "A"),
            constants.Rank == 0 ? default : Floats(constants.FactorB, "B"),
            constants.Rank,
            signature.Weights,
            signature.QuantizedActivations);
        return new DeviceMatMulLayer(device, linear, constants.OutputType, ZqfpSessionOptions.WeightsOf(info));
    }

    /// <summary>Takes the layer off the device.</summary>
    public void Dispose()
    {
        if (Linear is not null)
        {
            _device.Unload(Linear);
        }

        _device.Return();
    }

    private static unsafe float[] Floats(in OrtTensorView view, string name)
    {
        if (!view.IsPresent)
        {
            return [];
        }
        using NativeBuffer values = Require.Floats(view, name);
        return new ReadOnlySpan<float>(values.Floats, checked((int)view.ElementCount)).ToArray();
    }
}
