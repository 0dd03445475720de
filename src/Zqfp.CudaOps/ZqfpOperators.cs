
namespace Zqfp.CudaOps;

/// <summary>The operators of the domain <c>zqfp</c>, registered in process.</summary>
public static class ZqfpOperators
{
    /// <summary>
    /// Makes the operators, to be added to session options with <see cref="OrtSessionOptions.AddOperatorDomain"/>. One domain
    /// serves any number of sessions, which then share its working memory; it may be disposed before them.
    /// </summary>
    /// <exception cref="ZqfpException">ZQFP4005: ONNX Runtime refuses.</exception>
    public static OrtOperatorDomain CreateDomain(OrtEnvironment environment)
    {
        ArgumentNullException.ThrowIfNull(environment);
        return CreateDomain(environment.Library);
    }

    /// <summary>Makes the operators for a library without an environment of ours, such as one that calls us.</summary>
    /// <exception cref="ZqfpException">ZQFP4005: ONNX Runtime refuses.</exception>
    public static OrtOperatorDomain CreateDomain(OrtLibrary library) =>
        new(library, OperatorNames.Domain, Cpu(PanelMath.Best));

    /// <summary>Makes the operators with the heavy ones on a device of choice.</summary>
    /// <param name="environment">The environment of the sessions.</param>
    /// <param name="device">Where the heavy operators compute.</param>
    /// <param name="ordinal">Number of the GPU; under the CUDA provider the one of <see cref="OrtSessionOptions.CudaDevice"/>.</param>
    /// <param name="kernelCache">Folder of compiled GPU kernels; null for the user's cache folder.</param>
    /// <exception cref="ZqfpException">ZQFP4005: ONNX Runtime refuses.</exception>
    /// <exception cref="ZqfpException">ZQFP4101 to ZQFP4103: driver, kernel compiler or a Hopper GPU is missing.</exception>
    public static OrtOperatorDomain CreateDomain(OrtEnvironment environment, OperatorDevice device, int ordinal = 0, string? kernelCache = null)
    {
        ArgumentNullException.ThrowIfNull(environment);
        if (device == OperatorDevice.Cpu)
        {
            return CreateDomain(environment);
        }

        // The device is opened once here, so that what is missing is said before a model is loaded.
        var session = new DeviceSession(ordinal, kernelCache);
        session.Rent();
        session.Return();
        return new OrtOperatorDomain(environment.Library, OperatorNames.Domain, Operators(device, session));
    }

    /// <summary>The operators for a device that need not be there before a model is loaded.</summary>
    internal static IReadOnlyList<OrtOperator> Operators(OperatorDevice device, DeviceSession session)
    {
        IReadOnlyList<OrtOperator> cpu = Cpu(PanelMath.Best);
        return device switch
        {
            OperatorDevice.Cpu => cpu,
            OperatorDevice.Cuda =>
            [
                .. cpu.Where(one => !MatMulSignature.All.Any(signature => signature.Name == one.Name && DeviceMatMulLayer.Computes(signature))),
                .. MatMulSignature.All.Where(DeviceMatMulLayer.Computes).Select(signature => new DeviceMatMulOperator(signature, session)),
            ],
            _ => [.. cpu, .. CudaProvider.Operators(session, CudaProvider.Name)],
        };
    }

    /// <summary>The CPU operators with given inner loops.</summary>
    internal static IReadOnlyList<OrtOperator> Cpu(PanelMath math)
    {
        var scratch = new ScratchPool();
        return
        [
            new QuantizeTokensOperator(scratch),
            new RoundTokensOperator(scratch),
            .. MatMulSignature.All.Select(signature => new MatMulOperator(signature, scratch, math)),
        ];
    }
}
