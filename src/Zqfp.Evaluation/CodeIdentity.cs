using Zqfp.CudaOps;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Evaluation;

/// <summary>Identifies the code that makes results, so that what an older build of it kept is not taken for the new one's.</summary>
internal static class CodeIdentity
{
    /// <summary>
    /// The identities of the assemblies whose code results depend on; they change whenever one is compiled from other source.
    /// </summary>
    public static string Value { get; } = string.Join(
        '|',
        new[] { typeof(LayerQuantizer), typeof(OperatorNames), typeof(ZqfpSessionOptions), typeof(OnnxFile), typeof(CodeIdentity) }.Select(
            type => type.Module.ModuleVersionId));
}
