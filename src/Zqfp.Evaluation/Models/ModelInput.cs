using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Zqfp.Evaluation;

/// <summary>An input of a model.</summary>
/// <param name="Name">Its name.</param>
/// <param name="ElementType">The element type.</param>
/// <param name="Dimensions">The sizes; null where the model leaves one open.</param>
/// <param name="Symbols">The names of open sizes; empty for the others.</param>
internal sealed record ModelInput(string Name, TensorElementType ElementType, IReadOnlyList<int?> Dimensions, IReadOnlyList<string> Symbols)
{
    /// <summary>The inputs of a session, in its order. Those that are no tensors have no dimensions.</summary>
    public static IReadOnlyList<ModelInput> Of(InferenceSession session) =>
        [.. session.InputNames.Select(name => Of(name, session.InputMetadata[name]))];

    private static ModelInput Of(string name, NodeMetadata metadata) => metadata.IsTensor
        ? new(name, metadata.ElementDataType, [.. metadata.Dimensions.Select(size => size < 0 ? (int?)null : size)],
            metadata.SymbolicDimensions)
        : new(name, TensorElementType.DataTypeMax, [], []);
}
