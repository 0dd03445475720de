using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Google.Protobuf;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Emission;
using Zqfp.OnnxRewriter.Layers;
using Zqfp.OnnxRewriter.Protos;
using Zqfp.OnnxRewriter.Slicing;
using Zqfp.OnnxRewriter.Tensors;

namespace Zqfp.Pipeline.Quantize;

/// <summary>Identifies a layer's quantization by everything it depends on.</summary>
/// <param name="Hash">64 lower-case hexadecimal digits.</param>
internal readonly record struct LayerKey(string Hash);

/// <summary>
/// Computes keys before anything is run: a layer depends on the code, the options, the calibration tokens, the model with
/// all its weights, and the layers before it, because it is calibrated on what those make once quantized.
/// </summary>
internal static class LayerKeys
{
    private const int Block = 1 << 22;

    /// <summary>One key for each layer, in the order the layers run.</summary>
    public static LayerKey[] Of(QuantizeOptions options, OnnxFile file, IReadOnlyList<CalibrationStage> stages, IReadOnlyList<int[]> windows)
    {
        byte[] previous = Start(options, file, windows);
        List<LayerKey> keys = [];
        foreach (LinearLayer layer in stages.SelectMany(stage => stage.Layers))
        {
            previous = SHA256.HashData([.. previous, .. Encoding.UTF8.GetBytes(layer.Name)]);
            keys.Add(new LayerKey(Convert.ToHexStringLower(previous)));
        }

        return [.. keys];
    }

    private static byte[] Start(QuantizeOptions options, OnnxFile file, IReadOnlyList<int[]> windows)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{CodeIdentity.Value}|{options.Quantization with { MaxThreads = 0 }}|{options.Quantization.Format.Name}|{options.Activations}|{options.Profile == EmissionProfile.Simulated}"));
        hash.AppendData(SHA256.HashData(file.Graph.ToByteArray()));
        foreach (TensorProto tensor in file.Graph.Initializer.Where(tensor => tensor.DataLocation == TensorProto.Types.DataLocation.External))
        {
            Append(hash, file.Read(tensor));
        }

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
