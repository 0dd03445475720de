using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Tests;

/// <summary>
/// Makes of a model one whose normalized activations have outlier channels, as large language models do: some channels of each norm are
/// multiplied by a power of two, and the weights that read them divided by it. In float it computes the same.
/// </summary>
internal static class OutlierModel
{
    /// <summary>Writes the model and returns its path.</summary>
    /// <param name="model">The model.</param>
    /// <param name="folder">Where to.</param>
    /// <param name="channels">Channels of each norm that stand out.</param>
    /// <param name="factor">By what, a power of two.</param>
    public static string Write(string model, string folder, int channels, float factor)
    {
        using OnnxFile file = OnnxFile.Open(model);
        var copy = new ModelProto(file.Envelope) { Graph = file.Graph.Clone() };
        foreach (TensorProto tensor in copy.Graph.Initializer)
        {
            TensorData data = file.Read(tensor);
            byte[] bytes = new byte[data.ByteLength];
            data.Read(0, bytes);
            tensor.ClearDataLocation();
            tensor.ExternalData.Clear();
            tensor.FloatData.Clear();
            tensor.RawData = ByteString.CopyFrom(bytes);
        }

        var graph = new GraphIndex(copy.Graph, model);
        string logits = copy.Graph.Output[0].Name;
        foreach (IGrouping<string, LinearLayer> stage in LinearLayerFinder.Find(graph, logits).GroupBy(layer => layer.Input))
        {
            string[] norm = [.. Norm(graph, stage.Key, stage.First().InFeatures)];
            bool areAllLinear = graph.Consumers(stage.Key).All(node => stage.Any(layer => layer.Nodes[0] == node));
            if (norm.Length > 0 && areAllLinear && !stage.Any(layer => layer.IsTied))
            {
                int columns = stage.First().InFeatures;
                int[] chosen = [.. Enumerable.Range(0, channels).Select(i => ((i * 37) + 5) % columns)];
                foreach (string name in norm)
                {
                    Multiply(graph.Initializer(name)!, chosen, factor);
                }

                foreach (LinearLayer layer in stage)
                {
                    int step = layer.StoredInputMajor ? 1 : columns;
                    IEnumerable<int> read = chosen.SelectMany(channel => Enumerable.Range(0, layer.OutFeatures).Select(row =>
                        layer.StoredInputMajor ? (channel * layer.OutFeatures) + row : (row * step) + channel));
                    Multiply(graph.Initializer(layer.Weight)!, read, 1 / factor);
                }
            }
        }

        string path = Path.Combine(Directory.CreateDirectory(folder).FullName, "model.onnx");
        File.WriteAllBytes(path, copy.ToByteArray());
        return path;
    }

    // Scale and bias of the norm that makes the value: of a LayerNormalization, or the constant that an RMSNorm ends with.
    private static IEnumerable<string> Norm(GraphIndex graph, string value, int columns) => graph.Producer(value) is
    { OpType: "LayerNormalization" or "Mul" or "RMSNormalization" or "SimplifiedLayerNormalization" } node
        ? node.Input.Where(input => graph.Initializer(input) is { Dims: [var length] } && length == columns)
        : [];

    private static void Multiply(TensorProto tensor, IEnumerable<int> elements, float factor)
    {
        byte[] bytes = tensor.RawData.ToByteArray();
        foreach (int i in elements)
        {
            if (tensor.DataType == (int)DataType.Float16)
            {
                Span<Half> halves = MemoryMarshal.Cast<byte, Half>(bytes.AsSpan());
                halves[i] = (Half)((float)halves[i] * factor);
            }
            else
            {
                MemoryMarshal.Cast<byte, float>(bytes.AsSpan())[i] *= factor;
            }
        }

        tensor.RawData = ByteString.CopyFrom(bytes);
    }
}
