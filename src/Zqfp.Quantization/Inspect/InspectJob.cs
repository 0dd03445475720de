using System.Globalization;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization;

/// <summary>Tells what a model is made of. Reads its structure only, no weights.</summary>
internal static class InspectJob
{
    /// <summary>Lists the layers of a model, float or quantized, and what <paramref name="options"/> would do to them.</summary>
    /// <param name="options">The model and the recipe; nothing is written and no text is read.</param>
    /// <exception cref="ZqfpException">The model cannot be used; the code says why.</exception>
    public static InspectReport Run(QuantizeOptions options)
    {
        options = options.InGenAiFolder();
        using OnnxFile file = OnnxFile.Open(options.ModelPath);
        return Of(file, ModelLayers.Of(file, options), options);
    }

    /// <summary>The report of an opened model.</summary>
    internal static InspectReport Of(OnnxFile file, ModelLayers model, QuantizeOptions options)
    {
        GraphIndex graph = model.Graph;
        InspectedLayer[] layers =
        [
            .. model.Choices.Select(choice => Describe(file, choice, options.Profiles[0])),
            .. model.Overlooked.Select(product => Describe(file, product)),
        ];
        HashSet<string> weights = [.. model.ReplacedWeights()];
        return new InspectReport
        {
            Model = options.ModelPath,
            IrVersion = file.Envelope.IrVersion,
            Opsets = file.Envelope.OpsetImport.GroupBy(import => import.Domain).ToDictionary(
                group => group.Key, group => group.First().Version),
            Producer = $"{file.Envelope.ProducerName} {file.Envelope.ProducerVersion}".Trim(),
            Properties = file.Envelope.MetadataProps.GroupBy(entry => entry.Key).ToDictionary(
                group => group.Key, group => group.Last().Value),
            Inputs = [.. graph.Inputs.Select(Describe)],
            Outputs = [.. file.Graph.Output.Select(Describe)],
            Recipe = Recipe.Describe(options),
            Layers = layers,
            Embeddings = [.. model.Vocabulary.Found.Select(table => Describe(file, table, model.Vocabulary))],
            Coverage = Coverage.Of(file, model),
            QuantizedLayers = model.Chosen.Count,
            QuantizableBytes = BytesOf(weights.Contains),
            QuantizedBytes = model.Chosen.Sum(choice => QuantizedSize.Bytes(choice, options.Profiles[0])) + model.Vocabulary.EmbeddingBytes,
            OtherBytes = BytesOf(name => !weights.Contains(name)),
            FileBytes = ModelFiles.Bytes(file),
        };

        // What initializers share in a data file is there once.
        long BytesOf(Func<string, bool> isMeant) => file.Graph.Initializer.Where(tensor => isMeant(tensor.Name))
            .DistinctBy(tensor => graph.SameData(tensor.Name).First())
            .Sum(tensor => file.Read(tensor).ByteLength);
    }

    private static InspectedLayer Describe(OnnxFile file, LayerChoice choice, EmissionProfile profile) => new()
    {
        Name = choice.Layer.Name,
        Module = choice.Layer.Module,
        Operator = choice.Layer.Nodes[0].OpType,
        Shape = [choice.Layer.OutFeatures, choice.Layer.InFeatures],
        Type = TensorTypes.Name((DataType)choice.Layer.Source.Tensor.DataType),
        Bytes = ModelLayers.BytesOf(file, choice.Layer),
        Experts = choice.Layer.Expert?.Count,
        Group = GroupOf(choice.Layer),
        QuantizedBytes = choice.FloatBecause is null ? QuantizedSize.Bytes(choice, profile) : null,
        Reason = choice.FloatBecause,
    };

    private static InspectedLayer Describe(OnnxFile file, EmbeddingTable table, VocabularyPlan plan) => new()
    {
        Name = table.Name,
        Operator = table.Node.OpType,
        Shape = [table.Rows, table.Columns],
        Type = TensorTypes.Name((DataType)table.Weight.Tensor.DataType),
        Bytes = file.Read(table.Weight.Tensor).ByteLength,
        QuantizedBytes = plan.Embeddings.Contains(table) ? plan.Bytes(table) : null,
        Reason = plan.Embeddings.Contains(table) ? null : "embedding",
    };

    private static string? GroupOf(LinearLayer layer)
    {
        if (layer.Expert is not { } place)
        {
            return null;
        }

        int part = layer.Module?.LastIndexOf(".fc", StringComparison.Ordinal) ?? -1;
        string number = string.Create(CultureInfo.InvariantCulture, $".{place.Number}");
        return part >= 0 && layer.Module![..part].EndsWith(number, StringComparison.Ordinal)
            ? $"{layer.Module[..(part - number.Length)]}.*{layer.Module[part..]}"
            : $"{place.Group}/experts.*";
    }

    private static InspectedLayer Describe(OnnxFile file, OverlookedProduct product) => new()
    {
        Name = product.Name,
        Module = product.Module,
        Operator = product.Operator,
        Shape = [.. product.Weight.Dims],
        Type = TensorTypes.Name((DataType)product.Weight.DataType),
        Bytes = file.Read(product.Weight).ByteLength,
        Reason = product.Reason,
    };

    private static InspectedValue Describe(ValueInfoProto value)
    {
        TypeProto.Types.Tensor? tensor = value.Type?.TensorType;
        string[] shape = [.. (tensor?.Shape?.Dim ?? []).Select(dim => dim.ValueCase switch
        {
            TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue => dim.DimValue.ToString(CultureInfo.InvariantCulture),
            TensorShapeProto.Types.Dimension.ValueOneofCase.DimParam => dim.DimParam,
            _ => "?",
        })];
        return new InspectedValue(value.Name, TensorTypes.Name((DataType)(tensor?.ElemType ?? 0)), shape);
    }
}
