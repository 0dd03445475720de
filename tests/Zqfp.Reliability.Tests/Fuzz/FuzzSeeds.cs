using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Reliability.Tests;

/// <summary>Well-formed files that are made rather than kept.</summary>
internal static class FuzzSeeds
{
    /// <summary>Three control pieces, a few others, and specifications: fields 1 (piece: 1 text, 2 score, 3 kind), 2 and 3.</summary>
    public static byte[] SentencePiece(params string[] more)
    {
        using var stream = new MemoryStream();
        string[] pieces = ["<unk>", "<s>", "</s>", "\u2581", "\u2581a", "a", "b", "ab", "n", "ce", "<0x41>", .. more];
        for (int i = 0; i < pieces.Length; i++)
        {
            byte[] text = System.Text.Encoding.UTF8.GetBytes(pieces[i]);
            byte[] piece = [0x0A, (byte)text.Length, .. text, 0x15, .. BitConverter.GetBytes(-(float)i), 0x18, (byte)(i switch
            {
                0 => 2,
                < 3 => 3,
                10 => 6,
                _ => 1,
            })];
            stream.Write([0x0A, (byte)piece.Length, .. piece]);
        }

        // Trainer: byte-pair encoding (field 3 = 2), byte fallback (35 = 1); normalizer: an empty charsmap, a dummy prefix.
        stream.Write([0x12, 5, 0x18, 2, 0x98, 0x02, 1, 0x1A, 4, 0x12, 0, 0x18, 1]);
        return stream.ToArray();
    }

    /// <summary>The model with its weights in a file beside it.</summary>
    public static byte[] WithExternalData(byte[] content, out byte[] data)
    {
        var model = ModelProto.Parser.ParseFrom(content);
        using var weights = new MemoryStream();
        foreach (TensorProto tensor in model.Graph.Initializer.Where(tensor => tensor.HasRawData && tensor.RawData.Length > 64))
        {
            (string Key, string Value)[] entries =
                [("location", "weights"), ("offset", $"{weights.Length}"), ("length", $"{tensor.RawData.Length}")];
            weights.Write(tensor.RawData.Span);
            tensor.ClearRawData();
            tensor.DataLocation = TensorProto.Types.DataLocation.External;
            tensor.ExternalData.AddRange(entries.Select(entry => new StringStringEntryProto { Key = entry.Key, Value = entry.Value }));
        }

        data = weights.ToArray();
        return model.ToByteArray();
    }
}
