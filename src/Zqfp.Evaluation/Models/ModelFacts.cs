using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Evaluation;

/// <summary>What must be known of a language model before text can be fed to it.</summary>
/// <param name="Path">The model.</param>
/// <param name="Logits">Its output of shape [batch, length, vocabulary].</param>
/// <param name="Vocabulary">Number of token ids it knows, or null where the model does not say.</param>
/// <param name="HeadSize">Length of an attention head's key, where its attention nodes tell.</param>
/// <param name="UsesBfloat16">Whether it computes in bfloat16.</param>
internal sealed record ModelFacts(string Path, string Logits, int? Vocabulary, int? HeadSize, bool UsesBfloat16)
{
    /// <summary>Reads the facts from the model's structure, of a model whose data files are whole: ONNX Runtime would say less about one that is not.</summary>
    /// <exception cref="ZqfpException">ZQFP1007: it has no output that could be logits.</exception>
    /// <exception cref="ZqfpException">ZQFP1002, ZQFP1003: external data is missing, too short, or does not fit.</exception>
    public static ModelFacts Read(string path)
    {
        using OnnxFile file = OnnxFile.Open(path);
        file.ExternalFiles();
        return Of(file, new GraphIndex(file.Graph, file.Path));
    }

    /// <summary>Takes the facts from the structure of a model that is open.</summary>
    /// <exception cref="ZqfpException">ZQFP1007: it has no output that could be logits.</exception>
    public static ModelFacts Of(OnnxFile file, GraphIndex graph)
    {
        ValueInfoProto output = file.Graph.Output.FirstOrDefault(value => value.Name == "logits")
            ?? file.Graph.Output.FirstOrDefault(value => value.Type?.TensorType?.Shape?.Dim.Count == 3)
            ?? throw new ZqfpException("ZQFP1007", "The model has no output named 'logits' and none of three dimensions: it is no language model, or it was exported without its head.", file.Path);
        TensorShapeProto.Types.Dimension? last = output.Type?.TensorType?.Shape?.Dim.LastOrDefault();
        int? vocabulary = last is { ValueCase: TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue } ? checked((int)last.DimValue) : null;
        return new ModelFacts(file.Path, output.Name, vocabulary, AttentionHeads.Size(graph), Bfloat16.IsUsedBy(graph.Graph));
    }
}
