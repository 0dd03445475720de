using System.Buffers.Binary;
using System.Text;
using Google.Protobuf;

namespace Zqfp.Tokenizers.Tests;

/// <summary>Writes SentencePiece models: the pieces, then the parts of the specifications that differ from their defaults.</summary>
internal sealed record TinySentencePiece
{
    public required IReadOnlyList<SentencePiece> Pieces { get; init; }

    public SentencePieceKind Kind { get; init; } = SentencePieceKind.Bpe;

    public bool ByteFallback { get; init; }

    public bool AddDummyPrefix { get; init; } = true;

    public bool RemoveExtraWhitespaces { get; init; }

    public byte[] CharsMap { get; init; } = [];

    public bool WhitespaceIsSuffix { get; init; }

    /// <summary>unk, s and /s, then the given pieces with falling scores from -1.</summary>
    public static List<SentencePiece> WithControls(params string[] pieces)
    {
        return
        [
            new SentencePiece("<unk>", 0, PieceKind.Unknown),
            new SentencePiece("<s>", 0, PieceKind.Control),
            new SentencePiece("</s>", 0, PieceKind.Control),
            .. pieces.Select((piece, index) => new SentencePiece(piece, -1 - index, PieceKind.Normal)),
        ];
    }

    public static IEnumerable<SentencePiece> BytePieces() =>
        Enumerable.Range(0, 256).Select(value => new SentencePiece($"<0x{value:X2}>", 0, PieceKind.Byte));

    /// <summary>A precompiled charsmap: a double-array trie with one block of 256 units for each inner node.</summary>
    public static byte[] BuildCharsMap(params (string From, string To)[] rules)
    {
        var children = new List<SortedDictionary<byte, int>> { new() };
        var values = new Dictionary<int, int>();
        var replacements = new List<byte>();
        foreach ((string from, string to) in rules)
        {
            int node = 0;
            foreach (byte label in Encoding.UTF8.GetBytes(from))
            {
                if (!children[node].TryGetValue(label, out int child))
                {
                    child = children.Count;
                    children.Add([]);
                    children[node].Add(label, child);
                }

                node = child;
            }

            values[node] = replacements.Count;
            replacements.AddRange([.. Encoding.UTF8.GetBytes(to), 0]);
        }

        // Node n has its children in block n + 1; the value of a rule that ends in n stands at the block's beginning.
        var units = new uint[256 * (children.Count + 1)];
        units[0] = 256u << 10;
        for (int node = 0; node < children.Count; node++)
        {
            uint block = 256u * (uint)(node + 1);
            if (values.TryGetValue(node, out int value))
            {
                units[block] = (uint)value | (1u << 31);
            }

            foreach ((byte label, int child) in children[node])
            {
                uint position = block | label;
                uint offset = position ^ (256u * (uint)(child + 1));
                units[position] = label | (values.ContainsKey(child) ? 1u << 8 : 0) | (offset << 10);
            }
        }

        var content = new byte[4 + 4 * units.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(content, (uint)(4 * units.Length));
        for (int i = 0; i < units.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(content.AsSpan(4 + 4 * i), units[i]);
        }

        return [.. content, .. replacements];
    }

    public PretrainedTokenizer Load()
    {
        using var folder = new TemporaryFolder();
        return PretrainedTokenizer.Load(folder.Write("tokenizer.model", ToBytes()));
    }

    public byte[] ToBytes()
    {
        return Message(output =>
        {
            foreach (SentencePiece piece in Pieces)
            {
                WriteBytes(output, 1, Message(part =>
                {
                    WriteBytes(part, 1, Encoding.UTF8.GetBytes(piece.Text));
                    part.WriteTag(2, WireFormat.WireType.Fixed32);
                    part.WriteFloat((float)piece.Score);
                    WriteNumber(part, 3, (int)piece.Kind);
                }));
            }

            WriteBytes(output, 2, Message(part =>
            {
                WriteNumber(part, 3, (int)Kind);
                WriteNumber(part, 24, WhitespaceIsSuffix ? 1 : 0);
                WriteNumber(part, 35, ByteFallback ? 1 : 0);
            }));
            WriteBytes(output, 3, Message(part =>
            {
                WriteBytes(part, 2, CharsMap);
                WriteNumber(part, 3, AddDummyPrefix ? 1 : 0);
                WriteNumber(part, 4, RemoveExtraWhitespaces ? 1 : 0);
            }));
        });
    }

    private static byte[] Message(Action<CodedOutputStream> write)
    {
        using var content = new MemoryStream();
        using (var output = new CodedOutputStream(content, leaveOpen: true))
        {
            write(output);
        }

        return content.ToArray();
    }

    private static void WriteBytes(CodedOutputStream output, int field, byte[] content)
    {
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFrom(content));
    }

    private static void WriteNumber(CodedOutputStream output, int field, int value)
    {
        output.WriteTag(field, WireFormat.WireType.Varint);
        output.WriteInt32(value);
    }
}
