using System.Text;

namespace Zqfp.Build.Tasks;

/// <summary>
/// The names of a model's external-data files, read from the ONNX structure alone: large fields are stepped over.
/// A file that is not a readable model yields what was found until then; the tool says what is wrong with it. A name that leads out of the
/// model's folder is left out: the tool refuses it, and no build reads it.
/// </summary>
internal static class ExternalDataFiles
{
    // Field numbers of onnx.proto on the ways from the model to a tensor.
    private static readonly Dictionary<(Message, int), Message> Children = new()
    {
        [(Message.Model, 7)] = Message.Graph,
        [(Message.Model, 20)] = Message.Training,
        [(Message.Training, 1)] = Message.Graph,
        [(Message.Training, 2)] = Message.Graph,
        [(Message.Model, 25)] = Message.Function,
        [(Message.Graph, 1)] = Message.Node,
        [(Message.Graph, 5)] = Message.Tensor,
        [(Message.Graph, 15)] = Message.SparseTensor,
        [(Message.Function, 7)] = Message.Node,
        [(Message.Function, 11)] = Message.Attribute,
        [(Message.Node, 5)] = Message.Attribute,
        [(Message.Attribute, 5)] = Message.Tensor,
        [(Message.Attribute, 6)] = Message.Graph,
        [(Message.Attribute, 10)] = Message.Tensor,
        [(Message.Attribute, 11)] = Message.Graph,
        [(Message.Attribute, 22)] = Message.SparseTensor,
        [(Message.Attribute, 23)] = Message.SparseTensor,
        [(Message.SparseTensor, 1)] = Message.Tensor,
        [(Message.SparseTensor, 2)] = Message.Tensor,
        [(Message.Tensor, 13)] = Message.ExternalData,
        [(Message.ExternalData, 1)] = Message.Key,
        [(Message.ExternalData, 2)] = Message.Value,
    };

    /// <summary>Deeper nesting is no model but an attempt to exhaust the stack of the build.</summary>
    private const int DeepestNesting = 64;

    private enum Message
    {
        Skipped,
        Model,
        Training,
        Graph,
        Function,
        Node,
        Attribute,
        Tensor,
        SparseTensor,
        ExternalData,
        Key,
        Value,
    }

    /// <summary>Full paths, each once, in ordinal order.</summary>
    public static IReadOnlyList<string> Of(string modelFile)
    {
        var locations = new SortedSet<string>(StringComparer.Ordinal);
        if (new FileInfo(modelFile) is { Exists: true, Length: > 0 })
        {
            using var reader = new BinaryReader(File.OpenRead(modelFile));
            try
            {
                Read(reader, Message.Model, reader.BaseStream.Length, 0, locations);
            }
            catch (InvalidDataException)
            {
            }
            catch (EndOfStreamException)
            {
            }
        }

        string folder = Path.GetDirectoryName(modelFile) ?? string.Empty;
        return [.. locations.Select(location => Path.GetFullPath(Path.Combine(folder, location)))];
    }

    private static void Read(BinaryReader reader, Message message, long end, int depth, SortedSet<string> locations)
    {
        if (depth > DeepestNesting)
        {
            throw new InvalidDataException();
        }

        string key = string.Empty;
        while (reader.BaseStream.Position < end)
        {
            ulong tag = Varint(reader);
            switch (tag & 7)
            {
                case 0:
                    Varint(reader);
                    break;
                case 1:
                    Skip(reader, 8, end);
                    break;
                case 5:
                    Skip(reader, 4, end);
                    break;
                case 2:
                    long length = (long)Math.Min(Varint(reader), long.MaxValue);
                    if (length > end - reader.BaseStream.Position)
                    {
                        throw new InvalidDataException();
                    }

                    Children.TryGetValue((message, (int)Math.Min(tag >> 3, int.MaxValue)), out Message child);
                    if (child == Message.Key)
                    {
                        key = Text(reader, length);
                    }
                    else if (child == Message.Value)
                    {
                        string value = Text(reader, length);
                        if (key == "location" && StaysInside(value))
                        {
                            locations.Add(value);
                        }
                    }
                    else if (child != Message.Skipped)
                    {
                        Read(reader, child, reader.BaseStream.Position + length, depth + 1, locations);
                    }
                    else
                    {
                        Skip(reader, length, end);
                    }

                    break;
                default:
                    throw new InvalidDataException();
            }
        }
    }

    /// <summary>As the tool has it: neither rooted, on any system, nor with a step upwards.</summary>
    private static bool StaysInside(string location) =>
        location.IndexOf('\0') < 0 && !Path.IsPathRooted(location)
        && location.Split('/', '\\').All(part => part != "..") && location.Trim('/', '\\', '.', ' ').Length > 0;

    private static string Text(BinaryReader reader, long length)
    {
        const int LongestPath = 32 * 1024;
        return length <= LongestPath
            ? Encoding.UTF8.GetString(reader.ReadBytes((int)length))
            : throw new InvalidDataException();
    }

    private static void Skip(BinaryReader reader, long length, long end)
    {
        if (length > end - reader.BaseStream.Position)
        {
            throw new InvalidDataException();
        }

        reader.BaseStream.Seek(length, SeekOrigin.Current);
    }

    private static ulong Varint(BinaryReader reader)
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte octet = reader.ReadByte();
            value |= (ulong)(octet & 0x7F) << shift;
            if ((octet & 0x80) == 0)
            {
                return value;
            }
        }

        throw new InvalidDataException();
    }
}
