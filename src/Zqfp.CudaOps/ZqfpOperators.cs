using Zqfp.CudaOps.Cpu;
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
