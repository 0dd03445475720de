using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Google.Protobuf;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Graphs;
using Zqfp.OnnxRewriter.Layers;
using Zqfp.OnnxRewriter.Slicing;
using Zqfp.OnnxRewriter.Tensors;

namespace Zqfp.Pipeline.Quantize;

/// <summary>Identifies a layer's quantization by everything it depends on.</summary>
/// <param name="Hash">64 lower-case hexadecimal digits.</param>
internal readonly record struct LayerKey(string Hash);

/// <summary>
/// Computes keys before anything is run: a layer depends on the model, the calibration tokens, and its own and all earlier
/// layers' options and weights, because it is calibrated on what those layers make once quantized.
/// </summary>
internal static class LayerKeys
{
    private const int Block = 1 << 22;

    /// <summary>One key for each layer, in the order the layers run.</summary>
    public static LayerKey[] Of(QuantizeOptions options, OnnxFile file, GraphIndex graph, IReadOnlyList<CalibrationStage> stages, IReadOnlyList<int[]> windows)
    {
        byte[] previous = Start(options, file, windows);
        List<LayerKey> keys = [];
        foreach (LinearLayer layer in stages.SelectMany(stage => stage.Layers))
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            hash.AppendData(previous);
            hash.AppendData(Encoding.UTF8.GetBytes(layer.Name));
            Append(hash, file.Read(graph.Initializer(layer.Weight)!));
            previous = hash.GetHashAndReset();
            keys.Add(new LayerKey(Convert.ToHexStringLower(previous)));
        }

        return [.. keys];
    }

    private static byte[] Start(QuantizeOptions options, OnnxFile file, IReadOnlyList<int[]> windows)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{ModelProperties.Version}|{options.Quantization with { MaxThreads = 0 }}|{options.Quantization.Format.Name}|{options.Activations}|{options.QuantizeHead}"));
        hash.AppendData(SHA256.HashData(file.Graph.ToByteArray()));
        foreach (int[] window in windows)
        {
            hash.AppendData(MemoryMarshal.AsBytes<int>(window));
        }

        return hash.GetHashAndReset();
    }

    private static void Append(IncrementalHash hash, TensorData data)
    {
        for (long done = 0; done < data.ByteLength; done += Block)
        {
            hash.AppendData(data.Slice(done, (int)Math.Min(Block, data.ByteLength - done)).Span);
        }
    }
}
