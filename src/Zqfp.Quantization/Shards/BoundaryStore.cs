using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Zqfp.Quantization;

/// <summary>
/// Values that cross a cut of the graph, of all calibration windows, in the work folder: a file for each batch. Processes that write the
/// same one write the same bytes, each under a name of its own until it is whole.
/// </summary>
/// <param name="folder">The work folder.</param>
/// <param name="identity">Identifies model and windows.</param>
internal sealed class BoundaryStore(string folder, string identity)
{
    private const string Kind = "boundary";
    private const string Extension = ".boundary";
    private const int KeyDigits = 64;

    /// <summary>Gives a runner the values; false, and nothing is given, where one of them is missing or does not fit.</summary>
    public bool TryContinue(IReadOnlyList<string> values, SliceRunner runner)
    {
        List<OrtValue[]> read = [];
        foreach (string value in values)
        {
            OrtValue?[] batches = new OrtValue?[runner.All.Count];
            for (int i = 0; i < batches.Length && (i == 0 || batches[i - 1] is not null); i++)
            {
                batches[i] = Read(value, i);
            }

            read.Add([.. batches.OfType<OrtValue>()]);
            if (batches[^1] is null)
            {
                read.SelectMany(made => made).ToList().ForEach(made => made.Dispose());
                return false;
            }
        }

        for (int i = 0; i < values.Count; i++)
        {
            runner.Continue(values[i], read[i]);
        }

        return true;
    }

    /// <summary>Leaves the values of a runner that are not there yet.</summary>
    /// <exception cref="ZqfpException">ZQFP0007: the folder cannot be written.</exception>
    public void Keep(IReadOnlyList<string> values, SliceRunner runner)
    {
        try
        {
            foreach (string value in values)
            {
                for (int i = 0; i < runner.All.Count; i++)
                {
                    if (!File.Exists(PathOf(value, i)))
                    {
                        Write(value, i, runner.Kept[value][i]);
                    }
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP0007",
                $"The folder of finished layers cannot be written: {NewFile.Explain(e)} Choose another --work folder.", folder, e);
        }
    }

    /// <summary>Removes all of them. Only who uses the folder alone may.</summary>
    public static void Clear(string folder)
    {
        try
        {
            foreach (string file in Directory.EnumerateFiles(folder, "*" + Extension).Where(IsOurs))
            {
                Leftovers.TryDelete(file);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // There is no such folder.
        }
    }

    private static bool IsOurs(string path) =>
        Path.GetFileNameWithoutExtension(path) is { Length: KeyDigits } name && name.All(char.IsAsciiHexDigitLower);

    private OrtValue? Read(string value, int batch)
    {
        if (KeptFile.Read(PathOf(value, batch), Kind, KeyOf(value, batch)) is not { } content)
        {
            return null;
        }

        var reader = new BinaryReader(new MemoryStream(content));
        var type = (TensorElementType)reader.ReadInt32();
        long[] shape = new long[reader.ReadInt32()];
        for (int i = 0; i < shape.Length; i++)
        {
            shape[i] = reader.ReadInt64();
        }

        OrtValue read = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type, shape);
        content.AsSpan((int)reader.BaseStream.Position).CopyTo(read.GetTensorMutableRawData());
        return read;
    }

    private void Write(string value, int batch, OrtValue tensor)
    {
        OrtTensorTypeAndShapeInfo info = tensor.GetTensorTypeAndShape();
        KeptFile.Write(PathOf(value, batch), Kind, KeyOf(value, batch), stream =>
        {
            var writer = new BinaryWriter(stream);
            writer.Write((int)info.ElementDataType);
            writer.Write(info.Shape.Length);
            Array.ForEach(info.Shape, writer.Write);
            writer.Write(tensor.GetTensorMutableRawData());
            writer.Flush();
        });
    }

    private string KeyOf(string value, int batch) => string.Create(CultureInfo.InvariantCulture, $"{identity}|{batch}|{value}");

    private string PathOf(string value, int batch) => Path.Combine(
        folder, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(KeyOf(value, batch)))) + Extension);
}
