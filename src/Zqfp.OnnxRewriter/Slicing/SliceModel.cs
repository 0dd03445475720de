using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>A slice of a model as a model of its own.</summary>
/// <param name="Model">The structure, whose large initializers are marked as external.</param>
/// <param name="Weights">The content of those, by name.</param>
internal sealed record SliceModel(ModelProto Model, IReadOnlyDictionary<string, TensorData> Weights)
{
    /// <summary>The structure as an ONNX file's bytes.</summary>
    public byte[] ToBytes() => Model.ToByteArray();

    /// <summary>Names of the slice's outputs.</summary>
    public IReadOnlyList<string> Outputs => [.. Model.Graph.Output.Select(output => output.Name)];
}
