using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization;

/// <summary>Adds up what is in memory while a model is quantized, stage by stage.</summary>
internal static class MemoryEstimate
{
    /// <summary>The process itself with ONNX Runtime, before any model.</summary>
    public const long Base = 150_000_000;

    /// <summary>
    /// Values of a batch that a slice holds at a time, in rows as wide as its widest layer: activations, attention scores, what ONNX
    /// Runtime's arena keeps for the next run.
    /// </summary>
    public const int LiveRows = 16;

    private const int BatchTokens = 2048;

    /// <summary>Bytes at the peak.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="stages">Its stages; each runs once.</param>
    /// <param name="choices">The layers that are quantized, by name.</param>
    /// <param name="tokens">Calibration tokens; 0 where nothing is run.</param>
    public static long Peak(GraphIndex graph, IReadOnlyList<CalibrationStage> stages, IReadOnlyDictionary<string, LayerChoice> choices, long tokens)
    {
        int widest = stages.SelectMany(stage => stage.Layers).Max(layer => Math.Max(layer.InFeatures, layer.OutFeatures));
        Dictionary<string, long> kept = new(StringComparer.Ordinal);
        long results = 0;
        long peak = 0;
        foreach (CalibrationStage stage in stages)
        {
            foreach (string value in stage.Keeps)
            {
                kept[value] = tokens * BytesOfToken(graph, value, widest);
            }

            long columns = stage.Layers[0].InFeatures;
            long hessian = tokens == 0 ? 0 : sizeof(float) * columns * columns;
            long running = tokens == 0 ? 0 : SliceWeights(graph, stage) + (Math.Min(BatchTokens, tokens) * widest * sizeof(float) * LiveRows) + (hessian / 2);

            // GPTQ holds H, half of H for the factor, W, and about W again for errors and codes.
            long quantizing = hessian + (hessian / 2) + stage.Layers.Max(layer => 2L * sizeof(float) * layer.OutFeatures * layer.InFeatures);
            peak = Math.Max(peak, results + kept.Values.Sum() + Math.Max(running, quantizing));
            results += stage.Layers.Sum(layer => QuantizedSize.Bytes(choices[layer.Name]));
            foreach (string value in stage.Drops)
            {
                kept.Remove(value);
            }
        }

        return Base + peak;
    }

    /// <summary>The weights that ONNX Runtime packs for a slice: those of the layers it runs, which it copies.</summary>
    private static long SliceWeights(GraphIndex graph, CalibrationStage stage) => stage.Nodes
        .SelectMany(node => node.Input)
        .Distinct()
        .Select(graph.Initializer)
        .OfType<TensorProto>()
        .Sum(tensor => TensorTypes.ByteLength((DataType)tensor.DataType, tensor.Dims.Aggregate(1L, (product, dim) => product * dim)));

    /// <summary>Bytes that a kept value takes for each token: its last dimension where the model tells it, else the widest layer's.</summary>
    private static long BytesOfToken(GraphIndex graph, string value, int widest)
    {
        TypeProto.Types.Tensor? tensor = graph.TypeOf(value)?.TensorType;
        long width = tensor?.Shape?.Dim.Skip(1).Where(dim => dim.DimValue > 0).Aggregate(1L, (product, dim) => product * dim.DimValue) ?? 0;
        int bits = tensor is null ? 0 : TensorTypes.BitsPerElement((DataType)tensor.ElemType);
        return (width > 1 ? width : widest) * (bits > 0 ? bits : 32) / 8;
    }
}
