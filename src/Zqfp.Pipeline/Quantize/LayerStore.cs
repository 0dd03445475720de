using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter.Emission;
using Zqfp.OnnxRewriter.Layers;
using Zqfp.Pipeline.Diagnostics;

namespace Zqfp.Pipeline.Quantize;

/// <summary>
/// Keeps finished layers in a folder, each in a file named by its key, so that a run that was stopped continues there.
/// A file that cannot be read counts as absent.
/// </summary>
/// <param name="folder">The folder, or null to keep nothing.</param>
internal sealed class LayerStore(string? folder)
{
    private const uint Magic = 0x3250465A; // "ZFP2"

    /// <summary>The layer of this key, or null.</summary>
    public QuantizedLayerResult? Read(LayerKey key, LinearLayer layer)
    {
        if (folder is null || !File.Exists(PathOf(key)))
        {
            return null;
        }

        try
        {
            using var reader = new BinaryReader(File.OpenRead(PathOf(key)));
            return reader.ReadUInt32() == Magic ? Read(reader, layer) : null;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or FormatException or OverflowException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Keeps <paramref name="result"/> and returns it.</summary>
    /// <exception cref="PipelineException">ZQFP0007: the folder cannot be written.</exception>
    public QuantizedLayerResult Write(LayerKey key, QuantizedLayerResult result)
    {
        if (folder is null)
        {
            return result;
        }

        string temporary = PathOf(key) + ".tmp";
        try
        {
            Directory.CreateDirectory(folder);
            using (var writer = new BinaryWriter(File.Create(temporary)))
            {
                writer.Write(Magic);
                Write(writer, result);
            }

            File.Move(temporary, PathOf(key), overwrite: true);
            return result;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PipelineException("ZQFP0007", $"The work folder cannot be written: {e.Message} Choose another --work folder.", folder, e);
        }
    }

    private string PathOf(LayerKey key) => Path.Combine(folder!, key.Hash + ".layer");

    private static void Write(BinaryWriter writer, QuantizedLayerResult result)
    {
        QuantizedLayerTensors tensors = result.Tensors;
        writer.Write((int)tensors.CodesType);
        writer.Write(tensors.GroupSize);
        writer.Write(tensors.Rank);
        writer.Write((int)tensors.Activations);
        writer.Write(result.OutputError ?? double.NaN);
        WriteArray(writer, tensors.Codes);
        WriteArray(writer, tensors.Exponents ?? default);
        WriteArray(writer, tensors.Scales);
        WriteArray(writer, tensors.Down);
        WriteArray(writer, tensors.Up);
        WriteArray(writer, tensors.Values ?? default);
        writer.Write(result.Warnings.Count);
        foreach (Diagnostic warning in result.Warnings)
        {
            writer.Write(warning.Code);
            writer.Write(warning.Message);
            writer.Write(warning.File ?? "");
        }
    }

    private static QuantizedLayerResult Read(BinaryReader reader, LinearLayer layer)
    {
        var codesType = (WeightCodes)reader.ReadInt32();
        int groupSize = reader.ReadInt32();
        int rank = reader.ReadInt32();
        var activations = (ActivationRounding)reader.ReadInt32();
        double error = reader.ReadDouble();
        byte[] codes = ReadArray<byte>(reader);
        byte[] exponents = ReadArray<byte>(reader);
        var tensors = new QuantizedLayerTensors
        {
            Layer = layer,
            CodesType = codesType,
            Codes = codes,
            GroupSize = groupSize,
            Exponents = exponents.Length > 0 ? exponents : null,
            Scales = ReadArray<float>(reader),
            Rank = rank,
            Down = ReadArray<Half>(reader),
            Up = ReadArray<Half>(reader),
            Values = ReadArray<float>(reader) is { Length: > 0 } values ? values : default(ReadOnlyMemory<float>?),
            Activations = activations,
        };
        Diagnostic[] warnings = new Diagnostic[reader.ReadInt32()];
        for (int i = 0; i < warnings.Length; i++)
        {
            string code = reader.ReadString();
            string message = reader.ReadString();
            string file = reader.ReadString();
            warnings[i] = new Diagnostic(code, DiagnosticSeverity.Warning, message, file.Length > 0 ? file : null);
        }

        return new QuantizedLayerResult(tensors, double.IsNaN(error) ? null : error, warnings);
    }

    private static void WriteArray<T>(BinaryWriter writer, ReadOnlyMemory<T> values)
        where T : unmanaged
    {
        writer.Write(values.Length);
        writer.Write(MemoryMarshal.AsBytes(values.Span));
    }

    private static T[] ReadArray<T>(BinaryReader reader)
        where T : unmanaged
    {
        int length = reader.ReadInt32();
        if (length < 0 || length > reader.BaseStream.Length)
        {
            throw new InvalidDataException();
        }

        T[] values = new T[length];
        reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
