using Zqfp.CudaOps.Cpu;
using Zqfp.CudaOps.Cuda;
using Zqfp.CudaOps.Operators;
using Zqfp.OnnxRuntime;
using Zqfp.OnnxRuntime.Operators;

namespace Zqfp.CudaOps;

/// <summary>The operators of the domain <c>zqfp</c>, registered in process.</summary>
public static class ZqfpOperators
{
    /// <summary>
    /// Makes the operators, to be added to session options with <see cref="OrtSessionOptions.AddOperatorDomain"/>. One domain
    /// serves any number of sessions, which then share its working memory; it may be disposed before them.
    /// </summary>
    /// <exception cref="OrtException">ZQFP4005: ONNX Runtime refuses.</exception>
    public static OrtOperatorDomain CreateDomain(OrtEnvironment environment)
    {
        ArgumentNullException.ThrowIfNull(environment);
        return CreateDomain(environment.Library);
    }

    /// <summary>Makes the operators for a library without an environment of ours, such as one that calls us.</summary>
    /// <exception cref="OrtException">ZQFP4005: ONNX Runtime refuses.</exception>
    public static OrtOperatorDomain CreateDomain(OrtLibrary library) =>
        new(library, OperatorNames.Domain, Cpu(PanelMath.Best));

    /// <summary>Makes the operators with the heavy ones on a device of choice.</summary>
    /// <param name="environment">The environment of the sessions.</param>
    /// <param name="device">Where the heavy operators compute.</param>
    /// <param name="kernelCache">Folder of compiled GPU kernels; null for the user's cache folder.</param>
    /// <exception cref="OrtException">ZQFP4005: ONNX Runtime refuses.</exception>
    /// <exception cref="CudaException">ZQFP4101 to ZQFP4103: driver, kernel compiler or a Hopper GPU is missing.</exception>
    public static OrtOperatorDomain CreateDomain(OrtEnvironment environment, OperatorDevice device, string? kernelCache = null)
    {
        ArgumentNullException.ThrowIfNull(environment);
        return device == OperatorDevice.Cpu
            ? CreateDomain(environment)
            : new OrtOperatorDomain(environment.Library, OperatorNames.Domain, Cuda(PanelMath.Best, kernelCache));
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

    // The device is opened once here, so that what is missing is said before a model is loaded.
    private static IReadOnlyList<OrtOperator> Cuda(PanelMath math, string? kernelCache)
    {
        var device = new DeviceSession(0, kernelCache);
        device.Rent();
        device.Return();
        return
        [
            .. Cpu(math).Where(cpu => !MatMulSignature.All.Any(signature => signature.Name == cpu.Name && DeviceMatMulOperator.Computes(signature))),
            .. MatMulSignature.All.Where(DeviceMatMulOperator.Computes).Select(signature => new DeviceMatMulOperator(signature, device)),
        ];
    }
}
