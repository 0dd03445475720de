using System.Buffers.Binary;

namespace Zqfp.Reliability.Tests;

/// <summary>
/// Alters protocol buffers by their structure: what parses as a message is taken for one, so that what comes out is mostly a well-formed
/// file of unusual content.
/// </summary>
internal static class ProtoMutator
{
    private const int DeepestMessage = 12;
    private const int LongestMessage = 1 << 16;

    private static readonly ulong[] Numbers =
    [
        0, 1, 2, 3, 7, 16, 64, 127, 128, 255, 256, 65535, int.MaxValue, uint.MaxValue, 1UL << 32, 1UL << 40, 1UL << 62, long.MaxValue,
        ulong.MaxValue, unchecked((ulong)-2L),
    ];

    private static readonly string[] Texts =
    [
        "", "x", "../x", "/dev/zero", "location", "offset", "length", "-1", "99999999999999999999", "MatMul", "Gemm", "Einsum", "If",
        "Loop", "Constant", "Reshape", "Transpose", "Gather", "DequantizeLinear", "input_ids", "logits", "\u001b[2J", "a\0b", "\uD800",
        "ai.onnx", "zqfp", "com.microsoft",
    ];

    /// <summary>One to four alterations.</summary>
    public static byte[] Mutate(byte[] message, Random random)
    {
        List<Field>? fields = Parse(message, 0);
        if (fields is null || random.Next(12) == 0)
        {
            return ByteMutator.Mutate(message, random);
        }

        for (int i = 1 + random.Next(4); i > 0; i--)
        {
            Alter(fields, random, 0);
        }

        return Write(fields);
    }

    private static void Alter(List<Field> fields, Random random, int depth)
    {
        if (fields.Count == 0)
        {
            fields.Add(new Field(1 + random.Next(30), 0) { Number = Numbers[random.Next(Numbers.Length)] });
            return;
        }

        int chosen = random.Next(fields.Count);
        Field field = fields[chosen];
        bool canHold = field.Wire == 2 && field.Bytes.Length < LongestMessage && depth < DeepestMessage;
        field.Children ??= canHold ? Parse(field.Bytes, depth) : null;
        if (field.Children is { Count: > 0 } children && random.Next(8) > 0)
        {
            Alter(children, random, depth + 1);
            return;
        }

        switch (random.Next(9))
        {
            case 0:
                fields.RemoveAt(chosen);
                break;
            case 1:
                fields.Insert(random.Next(fields.Count), field);
                break;
            case 2:
                (fields[chosen], fields[0]) = (fields[0], fields[chosen]);
                break;
            case 3:
                field.Name = 1 + random.Next(30);
                break;
            case 4 when field.Wire == 2:
                field.Children = null;
                field.Bytes = System.Text.Encoding.UTF8.GetBytes(Texts[random.Next(Texts.Length)]);
                break;
            case 5 when field.Wire == 2:
                field.Children = null;
                field.Bytes = ByteMutator.Mutate(field.Bytes, random);
                break;
            case 6 when fields.Count > 1:
                Field other = fields[random.Next(fields.Count)];
                (field.Wire, field.Number, field.Bytes, field.Children) = (other.Wire, other.Number, other.Bytes, other.Children);
                break;
            case 7 when field.Wire == 2:
                // A message in itself.
                field.Children = [new Field(field.Name, 2) { Bytes = field.Bytes }, new Field(field.Name, 2) { Bytes = field.Bytes }];
                break;
            default:
                field.Number = Numbers[random.Next(Numbers.Length)];
                if (field.Wire == 2)
                {
                    field.Bytes = field.Bytes[..random.Next(field.Bytes.Length + 1)];
                    field.Children = null;
                }

                break;
        }
    }

    private static List<Field>? Parse(byte[] bytes, int depth)
    {
        List<Field> fields = [];
        ReadOnlySpan<byte> rest = bytes;
        while (rest.Length > 0)
        {
            if (!Varint(ref rest, out ulong tag) || tag >> 3 is 0 or > 1000)
            {
                return null;
            }

            var field = new Field((int)(tag >> 3), (int)(tag & 7));
            switch (field.Wire)
            {
                case 0 when Varint(ref rest, out ulong number):
                    field.Number = number;
                    break;
                case 1 when rest.Length >= 8:
                    field.Number = BinaryPrimitives.ReadUInt64LittleEndian(rest);
                    rest = rest[8..];
                    break;
                case 5 when rest.Length >= 4:
                    field.Number = BinaryPrimitives.ReadUInt32LittleEndian(rest);
                    rest = rest[4..];
                    break;
                case 2 when Varint(ref rest, out ulong length) && length <= (ulong)rest.Length:
                    field.Bytes = rest[..(int)length].ToArray();
                    rest = rest[(int)length..];
                    break;
                default:
                    return null;
            }

            fields.Add(field);
        }

        return depth > DeepestMessage ? null : fields;
    }

    private static byte[] Write(List<Field> fields)
    {
        using var stream = new MemoryStream();
        foreach (Field field in fields)
        {
            WriteVarint(stream, ((ulong)field.Name << 3) | (uint)field.Wire);
            switch (field.Wire)
            {
                case 0:
                    WriteVarint(stream, field.Number);
                    break;
                case 1:
                    stream.Write(BitConverter.GetBytes(field.Number));
                    break;
                case 5:
                    stream.Write(BitConverter.GetBytes((uint)field.Number));
                    break;
                default:
                    byte[] bytes = field.Children is { } children ? Write(children) : field.Bytes;
                    WriteVarint(stream, (ulong)bytes.Length);
                    stream.Write(bytes);
                    break;
            }
        }

        return stream.ToArray();
    }

    private static bool Varint(ref ReadOnlySpan<byte> bytes, out ulong value)
    {
        value = 0;
        for (int i = 0; i < Math.Min(10, bytes.Length); i++)
        {
            value |= (ulong)(bytes[i] & 0x7F) << (7 * i);
            if ((bytes[i] & 0x80) == 0)
            {
                bytes = bytes[(i + 1)..];
                return true;
            }
        }

        return false;
    }

    private static void WriteVarint(MemoryStream stream, ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            stream.WriteByte((byte)(value | 0x80));
        }

        stream.WriteByte((byte)value);
    }

    private sealed class Field(int name, int wire)
    {
        public int Name { get; set; } = name;

        public int Wire { get; set; } = wire;

        public ulong Number { get; set; }

        public byte[] Bytes { get; set; } = [];

        public List<Field>? Children { get; set; }
    }
}
