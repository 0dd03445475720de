namespace Zqfp.CudaOps;

/// <summary>The operators of the domain <c>zqfp</c>, by where they compute.</summary>
internal static class OperatorSets
{
    /// <summary>All operators on the processor, with the fastest inner loops it has.</summary>
    public static IReadOnlyList<OrtOperator> Cpu() => Cpu(InnerLoops.Best);

    /// <summary>All operators on the processor, with given inner loops.</summary>
    public static IReadOnlyList<OrtOperator> Cpu(InnerLoops loops)
    {
        var scratch = new ScratchPool();
        return
        [
            new QuantizeTokensOperator(scratch, loops.Panels),
            new NormQuantizeTokensOperator(scratch, loops.Panels),
            .. GateQuantizeTokensSignature.Names.Select(name => new ActivateQuantizeTokensOperator(name, scratch, loops.Panels)),
            new RotateTokensOperator(),
            new RoundTokensOperator(scratch),
            .. MatMulSignature.All.Select(signature => new MatMulOperator(signature, scratch, loops)),
            .. MatMulSignature.Experts.Select(signature => new ExpertMatMulOperator(signature, scratch, loops)),
            new FloatExpertMatMulOperator(scratch, loops.Panels),
        ];
    }

    /// <summary>The processor's operators, and kernels of ONNX Runtime's CUDA provider for those the GPU computes.</summary>
    public static IReadOnlyList<OrtOperator> CudaProvider(DeviceSession device) =>
        [.. Cpu(), .. CudaOps.CudaProvider.Operators(device, CudaOps.CudaProvider.Name)];

    /// <summary>
    /// Those of a program that chooses providers itself, and says nothing of it to the operators: with the CUDA provider's where the first
    /// device and the compiler are there. Nothing is created on the device before a session puts a node on it.
    /// </summary>
    public static IReadOnlyList<OrtOperator> WhatIsThere() =>
        CudaContext.IsServed(0) && KernelCompiler.IsAvailable ? CudaProvider(new DeviceSession(0, null)) : Cpu();

    /// <summary>The processor's operators, with the products that the GPU computes copied there and back.</summary>
    public static IReadOnlyList<OrtOperator> CudaProducts(DeviceSession device) =>
    [
        .. Cpu().Where(one =>
            !MatMulSignature.All.Any(signature => signature.Name == one.Name && DeviceMatMulLayer.IsWorthCopies(signature))),
        .. MatMulSignature.All.Where(DeviceMatMulLayer.IsWorthCopies).Select(signature => new DeviceMatMulOperator(signature, device)),
    ];
}
