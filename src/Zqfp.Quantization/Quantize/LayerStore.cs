using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// Puts finished layers into a folder, each in a file named by its key: memory never holds a whole model, and a run that was stopped
/// continues there. A file that does not fit counts as absent.
/// </summary>
/// <param name="folder">The folder; it is made when the first layer is written.</param>
/// <param name="isTemporary">Whether nothing is read from an earlier run, and the folder is removed at the end.</param>
internal sealed class LayerStore(string folder, bool isTemporary) : IDisposable
{
    private const string Kind = "layer";
    private const int Alignment = 64;
    private const int MaxWarnings = 1024;
    private const int Generations = 3;

    private const string Extension = ".layer";

    private readonly List<MappedFile> _files = [];
    private readonly KeptFiles _kept = new(folder, Extension);

    /// <summary>Files that were there and did not fit.</summary>
    public int Unfit { get; private set; }

    /// <summary>The layer of this key, or null. Its arrays are mapped and end with this store.</summary>
    public QuantizedLayerResult? Read(LayerKey key, LinearLayer layer)
    {
        if (isTemporary || !KeptFile.Fits(PathOf(key), Kind, key.Hash, _ => Unfit++))
        {
            return null;
        }

        QuantizedLayerResult? layerRead = Map(key, layer);
        Unfit += layerRead is null ? 1 : 0;
        return layerRead;
    }

    /// <summary>Writes <paramref name="result"/> and returns it as <see cref="Read"/> does.</summary>
    /// <exception cref="ZqfpException">
    /// ZQFP0007: the folder cannot be written; ZQFP0002 where it is the temporary one beside the output.
    /// </exception>
    public QuantizedLayerResult Write(LayerKey key, QuantizedLayerResult result)
    {
        try
        {
            KeptFile.Write(PathOf(key), Kind, key.Hash, stream =>
            {
                using var writer = new BinaryWriter(stream);
                Write(writer, result);
            });
            return Map(key, result.Tensors.Layer) ?? throw new IOException($"'{PathOf(key)}' does not hold what was written.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw isTemporary
                ? new ZqfpException("ZQFP0002",
                    $"Finished layers cannot be written beside the output: {NewFile.Explain(e)} Choose another --output.", folder, e)
                : new ZqfpException("ZQFP0007",
                    $"The folder of finished layers cannot be written: {NewFile.Explain(e)} Choose another --work folder.", folder, e);
        }
    }

    /// <summary>
    /// Removes layers that this run did not use: those of a month ago, and the oldest of what exceeds three times what it used or wrote. A
    /// run over few layers used little, and those of all the others are still wanted.
    /// </summary>
    /// <param name="outputBytes">Bytes of the model that was written.</param>
    public void Prune(long outputBytes)
    {
        if (!isTemporary)
        {
            _kept.Prune(Generations * Math.Max(_kept.UsedBytes(), outputBytes), isLocked: true);
        }
    }

    /// <summary>Removes what killed processes were writing, so old that no other shard writes it.</summary>
    public void RemoveLeftovers() => _kept.RemoveLeftovers(isLocked: false);

    public void Dispose()
    {
        _files.ForEach(file => file.Dispose());
        if (isTemporary)
        {
            Leftovers.TryDeleteFolder(folder);
        }
    }

    private string PathOf(LayerKey key) => Path.Combine(folder, key.Hash + Extension);

    private QuantizedLayerResult? Map(LayerKey key, LinearLayer layer)
    {
        try
        {
            using var reader = new BinaryReader(File.OpenRead(PathOf(key)));
            reader.BaseStream.Position = KeptFile.HeaderBytes;
            return Parse(reader, PathOf(key), layer);
        }
        catch (Exception e) when (e is IOException or InvalidDataException or FormatException or OverflowException
            or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static void Write(BinaryWriter writer, QuantizedLayerResult result)
    {
        QuantizedLayerTensors tensors = result.Tensors;
        writer.Write((int)tensors.CodesType);
        writer.Write(tensors.GroupSize);
        writer.Write(tensors.Rank);
        writer.Write((int)tensors.Activations);
        writer.Write(tensors.Rotation);
        writer.Write(result.Ridge ?? double.NaN);
        writer.Write(result.Tokens ?? -1);
        writer.Write(result.OutputError ?? double.NaN);
        WriteRange(writer, result.Activations);
        writer.Write(Math.Min(result.Warnings.Count, MaxWarnings));
        foreach (Diagnostic warning in result.Warnings.Take(MaxWarnings))
        {
            writer.Write(warning.Code);
            writer.Write(warning.Message);
            writer.Write(warning.File ?? "");
        }

        ReadOnlyMemory<byte> exponents = tensors.Exponents ?? default;
        ReadOnlyMemory<float> values = tensors.Values ?? default;
        ReadOnlyMemory<float> bias = tensors.Bias ?? default;
        int[] lengths =
        [
            tensors.Codes.Length, exponents.Length, tensors.Scales.Length, tensors.Down.Length, tensors.Up.Length, values.Length,
            bias.Length
        ];
        Array.ForEach(lengths, writer.Write);
        WriteArray(writer, tensors.Codes);
        WriteArray(writer, exponents);
        WriteArray(writer, tensors.Scales);
        WriteArray(writer, tensors.Down);
        WriteArray(writer, tensors.Up);
        WriteArray(writer, values);
        WriteArray(writer, bias);
    }

    private QuantizedLayerResult Parse(BinaryReader reader, string path, LinearLayer layer)
    {
        var codesType = (WeightCodes)reader.ReadInt32();
        int groupSize = reader.ReadInt32();
        int rank = reader.ReadInt32();
        var activations = (ActivationRounding)reader.ReadInt32();
        int rotation = reader.ReadInt32();
        double ridge = reader.ReadDouble();
        long tokens = reader.ReadInt64();
        double error = reader.ReadDouble();
        ActivationRange? range = ReadRange(reader);
        Diagnostic[] warnings = new Diagnostic[Math.Min(Count(reader), MaxWarnings)];
        for (int i = 0; i < warnings.Length; i++)
        {
            string code = reader.ReadString();
            string message = reader.ReadString();
            string file = reader.ReadString();
            warnings[i] = new Diagnostic(code, DiagnosticSeverity.Warning, message, file.Length > 0 ? file : null);
        }

        int[] lengths = [Count(reader), Count(reader), Count(reader), Count(reader), Count(reader), Count(reader), Count(reader)];
        var arrays = new Arrays(reader.BaseStream.Position);
        (long codes, long exponents, long scales, long down, long up, long floats, long bias) =
            (arrays.Place<byte>(lengths[0]), arrays.Place<byte>(lengths[1]), arrays.Place<float>(lengths[2]),
                arrays.Place<Half>(lengths[3]), arrays.Place<Half>(lengths[4]), arrays.Place<float>(lengths[5]),
                arrays.Place<float>(lengths[6]));
        if (arrays.End != reader.BaseStream.Length)
        {
            throw new InvalidDataException();
        }

        var mapped = new MappedFile(path);
        _files.Add(mapped);
        _kept.Use(path);

        // The absent ones are spelled out: null alone would become an empty memory, which is not absent.
        var tensors = new QuantizedLayerTensors
        {
            Layer = layer,
            CodesType = codesType,
            Codes = mapped.Slice(codes, lengths[0]),
            GroupSize = groupSize,
            Exponents = lengths[1] > 0 ? mapped.Slice(exponents, lengths[1]) : default(ReadOnlyMemory<byte>?),
            Scales = mapped.Slice<float>(scales, lengths[2]),
            Rank = rank,
            Down = mapped.Slice<Half>(down, lengths[3]),
            Up = mapped.Slice<Half>(up, lengths[4]),
            Values = lengths[5] > 0 ? mapped.Slice<float>(floats, lengths[5]) : default(ReadOnlyMemory<float>?),
            Bias = lengths[6] > 0 ? mapped.Slice<float>(bias, lengths[6]) : default(ReadOnlyMemory<float>?),
            Activations = activations,
            Rotation = rotation,
        };
        return new QuantizedLayerResult(tensors, double.IsNaN(error) ? null : error, range,
            warnings)
        { Ridge = double.IsNaN(ridge) ? null : ridge, Tokens = tokens < 0 ? null : tokens };
    }

    private static void WriteRange(BinaryWriter writer, ActivationRange? range)
    {
        writer.Write(range is not null);
        if (range is not null)
        {
            Array.ForEach([range.Largest, range.TokenLow, range.TokenMedian, range.TokenHigh, range.Rms, range.ChannelMedian],
                writer.Write);
        }
    }

    private static ActivationRange? ReadRange(BinaryReader reader) => reader.ReadBoolean()
        ? new ActivationRange(reader.ReadSingle(), reader.ReadSingle(), reader.ReadSingle(), reader.ReadSingle(),
            reader.ReadSingle(), reader.ReadSingle())
        : null;

    private static int Count(BinaryReader reader)
    {
        int count = reader.ReadInt32();
        return count >= 0 && count <= reader.BaseStream.Length ? count : throw new InvalidDataException();
    }

    private static void WriteArray<T>(BinaryWriter writer, ReadOnlyMemory<T> values)
        where T : unmanaged
    {
        writer.Flush();
        writer.Write(new byte[Arrays.Aligned(writer.BaseStream.Position) - writer.BaseStream.Position]);
        writer.Write(MemoryMarshal.AsBytes(values.Span));
    }

    /// <summary>Where arrays lie that are written one after another, each aligned.</summary>
    private sealed class Arrays(long start)
    {
        /// <summary>Behind the last array.</summary>
        public long End { get; private set; } = start;

        public static long Aligned(long position) => (position + Alignment - 1) / Alignment * Alignment;

        /// <summary>Where the next array begins.</summary>
        public long Place<T>(int length)
            where T : unmanaged
        {
            long place = Aligned(End);
            End = place + ((long)length * Unsafe.SizeOf<T>());
            return place;
        }
    }
}
