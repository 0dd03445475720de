using System.Globalization;
using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Finds the bytes of a model's tensors, inline or in external files, and refuses whatever points outside the model's folder.
/// </summary>
internal sealed class TensorStore : IDisposable
{
    private readonly string _modelPath;
    private readonly string _folder;
    private readonly Dictionary<string, MappedFile> _files = new(StringComparer.Ordinal);

    public TensorStore(string modelPath)
    {
        _modelPath = modelPath;
        _folder = Path.GetDirectoryName(Path.GetFullPath(modelPath))!;
    }

    /// <summary>External files opened so far, as full paths.</summary>
    public IReadOnlyCollection<string> Files => _files.Keys;

    /// <summary>What one of <see cref="Files"/> was before it was mapped.</summary>
    public FileStamp StampOf(string file) => _files[file].Stamp;

    /// <summary>The content of <paramref name="tensor"/>.</summary>
    /// <exception cref="ZqfpException">Its data is missing, too short, outside the folder, or does not fit its shape.</exception>
    public TensorData Open(TensorProto tensor)
    {
        var type = (DataType)tensor.DataType;
        long elements = CountElements(tensor);
        if (TensorTypes.BitsPerElement(type) == 0)
        {
            throw Refuse("ZQFP1003", $"Initializer '{tensor.Name}' has element type {type}, which has no fixed size.");
        }

        long expected = TensorTypes.ByteLength(type, elements);
        long[] dims = [.. tensor.Dims];
        if (tensor.DataLocation == DataLocation.External)
        {
            return OpenExternal(tensor, type, dims, expected);
        }

        ReadOnlyMemory<byte> bytes = tensor.HasRawData ? tensor.RawData.Memory : TypedBytes(tensor);
        return bytes.Length == expected
            ? new TensorData(type, dims, bytes)
            : throw Refuse("ZQFP1003",
                $"Initializer '{tensor.Name}' of shape [{string.Join(", ", dims)}] needs {expected} bytes and has {bytes.Length}.");
    }

    public void Dispose()
    {
        foreach (MappedFile file in _files.Values)
        {
            file.Dispose();
        }
    }

    private TensorData OpenExternal(TensorProto tensor, DataType type, long[] dims, long expected)
    {
        string? location = Entry(tensor, "location");
        if (string.IsNullOrEmpty(location))
        {
            throw Refuse("ZQFP1002", $"Initializer '{tensor.Name}' is external but names no file.");
        }

        long offset = Number(tensor, "offset") ?? 0;
        long length = Number(tensor, "length") ?? expected;
        MappedFile file = Map(tensor.Name, location);
        if (length != expected)
        {
            throw Refuse("ZQFP1003",
                $"Initializer '{tensor.Name}' of shape [{string.Join(", ", dims)}] needs {expected} bytes; its external data says "
                + $"{length}.");
        }

        if (offset < 0 || offset > file.Length || length > file.Length - offset)
        {
            throw Refuse("ZQFP1002",
                $"Initializer '{tensor.Name}' lies at {offset}..{(Int128)offset + length} of '{location}', which has {file.Length} bytes. "
                + "The file is truncated or belongs to another model.");
        }

        return new TensorData(type, dims, length, (start, count) => file.Slice(offset + start, count)) { Address = file.AddressOf(offset) };
    }

    private MappedFile Map(string tensor, string location)
    {
        string path = Path.GetFullPath(Path.Combine(_folder, location));
        if (_files.TryGetValue(path, out MappedFile? known))
        {
            return known;
        }

        bool inside = !Path.IsPathRooted(location) && !location.Split('/', '\\').Contains("..");
        if (!inside || LeavesFolderThroughLink(path))
        {
            throw Refuse(
                "ZQFP1002", $"Initializer '{tensor}' points to '{location}', outside the model's folder. Put the data beside the model.");
        }

        if (!File.Exists(path))
        {
            string why = Directory.Exists(path) ? "is a folder" : "is missing";
            throw Refuse("ZQFP1002", $"External data file '{location}' of initializer '{tensor}' {why}. Copy it beside the model.");
        }

        try
        {
            var file = new MappedFile(path);
            _files.Add(path, file);
            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP1002", $"External data file '{location}' cannot be read: {e.Message}", _modelPath, e);
        }
    }

    /// <summary>Whether a symbolic link on the way from the model's folder to <paramref name="path"/> leads out of it.</summary>
    private bool LeavesFolderThroughLink(string path)
    {
        string root = RealPath.Of(_folder) + Path.DirectorySeparatorChar;
        return !RealPath.Of(path).StartsWith(root, StringComparison.Ordinal);
    }

    private long CountElements(TensorProto tensor)
    {
        long elements = 1;
        foreach (long dim in tensor.Dims)
        {
            // 2^56 elements is beyond any file; the bound keeps the byte arithmetic from overflowing.
            if (dim < 0 || (dim > 0 && elements > (1L << 56) / dim))
            {
                throw Refuse("ZQFP1003", $"Initializer '{tensor.Name}' has the impossible shape [{string.Join(", ", tensor.Dims)}].");
            }

            elements *= dim;
        }

        return elements;
    }

    /// <summary>The bytes of a tensor whose elements are in one of the typed fields.</summary>
    public static ReadOnlyMemory<byte> TypedBytes(TensorProto tensor)
    {
        switch ((DataType)tensor.DataType)
        {
            case DataType.Float or DataType.Complex64:
                return Bytes<float>([.. tensor.FloatData]);
            case DataType.Double or DataType.Complex128:
                return Bytes<double>([.. tensor.DoubleData]);
            case DataType.Int64:
                return Bytes<long>([.. tensor.Int64Data]);
            case DataType.Uint64:
                return Bytes<ulong>([.. tensor.Uint64Data]);
            case DataType.Uint32:
                return Bytes<uint>([.. tensor.Uint64Data.Select(value => (uint)value)]);
            case DataType.Int32:
                return Bytes<int>([.. tensor.Int32Data]);
            case DataType.Uint16 or DataType.Int16 or DataType.Float16 or DataType.Bfloat16:
                return Bytes<ushort>([.. tensor.Int32Data.Select(value => (ushort)value)]);
            default:
                return Bytes<byte>([.. tensor.Int32Data.Select(value => (byte)value)]);
        }
    }

    private static byte[] Bytes<T>(T[] values)
        where T : unmanaged => MemoryMarshal.AsBytes<T>(values).ToArray();

    private long? Number(TensorProto tensor, string key)
    {
        string? text = Entry(tensor, key);
        if (text is null)
        {
            return null;
        }

        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long value)
            ? value
            : throw Refuse(
                "ZQFP1002", $"External data of initializer '{tensor.Name}' has the {key} '{text}', which is not a number of bytes.");
    }

    private static string? Entry(TensorProto tensor, string key) =>
        tensor.ExternalData.FirstOrDefault(entry => entry.Key == key)?.Value;

    private ZqfpException Refuse(string code, string message) => new ZqfpException(code, message, _modelPath);
}
