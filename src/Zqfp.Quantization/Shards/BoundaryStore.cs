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
    private const int Attempts = 5;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    /// <summary>Batches of which some value is not there.</summary>
    public int[] Missing(IReadOnlyList<string> values, IEnumerable<int> batches) =>
        [.. batches.Where(batch => values.Any(value => !File.Exists(PathOf(value, batch))))];

    /// <summary>Gives a runner the values; false, and nothing is given, where one of them is missing or does not fit.</summary>
    /// <param name="values">The values.</param>
    /// <param name="runner">The runner.</param>
    /// <param name="batches">Which batches the runner's are.</param>
    /// <exception cref="ZqfpException">ZQFP0007: one of them cannot be read.</exception>
    public bool TryContinue(IReadOnlyList<string> values, SliceRunner runner, IReadOnlyList<int> batches)
    {
        List<BatchValues> read = [];
        foreach (string value in values)
        {
            if (TryRead(value, batches, runner.New) is not { } all)
            {
                read.ForEach(made => made.Dispose());
                return false;
            }

            read.Add(all);
        }

        for (int i = 0; i < values.Count; i++)
        {
            runner.Continue(values[i], read[i]);
        }

        return true;
    }

    /// <summary>Leaves a value of some batches where it is not there yet.</summary>
    /// <param name="name">The value's name.</param>
    /// <param name="value">The value of these batches.</param>
    /// <param name="batches">Which batches they are.</param>
    /// <exception cref="ZqfpException">ZQFP0007: the folder cannot be written.</exception>
    public void Keep(string name, BatchValues value, IReadOnlyList<int> batches)
    {
        try
        {
            for (int i = 0; i < batches.Count; i++)
            {
                if (!File.Exists(PathOf(name, batches[i])))
                {
                    using BatchValues.Loan loan = value.Open(i);
                    Write(name, batches[i], loan.Value);
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP0007",
                $"The folder of finished layers cannot be written: {NewFile.Explain(e)} Choose another --work folder.", folder, e);
        }
    }

    /// <summary>A value of some batches; null where one of them is missing or does not fit.</summary>
    /// <param name="name">The value's name.</param>
    /// <param name="batches">Which batches.</param>
    /// <param name="create">Makes what takes them.</param>
    /// <exception cref="ZqfpException">ZQFP0007: one of them cannot be read.</exception>
    public BatchValues? TryRead(string name, IReadOnlyList<int> batches, Func<BatchValues> create)
    {
        BatchValues value = create();
        try
        {
            for (int i = 0; i < batches.Count; i++)
            {
                if (Read(name, batches[i]) is not { } batch)
                {
                    value.Dispose();
                    return null;
                }

                value.Set(i, batch);
            }

            return value;
        }
        catch
        {
            value.Dispose();
            throw;
        }
    }

    /// <summary>Removes values of some batches.</summary>
    public void Remove(IReadOnlyList<string> names, IReadOnlyList<int> batches)
    {
        foreach (string name in names)
        {
            batches.ToList().ForEach(batch => Leftovers.TryDelete(PathOf(name, batch)));
        }
    }

    /// <summary>Removes all of them. Only who uses the folder alone may.</summary>
    public static void Clear(string folder) => new KeptFiles(folder, Extension).RemoveAll();

    /// <summary>Removes what killed processes were writing.</summary>
    /// <param name="folder">The work folder.</param>
    /// <param name="isLocked">Whether nobody else uses it; otherwise what is older than any write goes.</param>
    public static void RemoveLeftovers(string folder, bool isLocked) =>
        new KeptFiles(folder, Extension).RemoveLeftovers(isLocked);

    private OrtValue? Read(string value, int batch)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return Open(PathOf(value, batch), KeyOf(value, batch));
            }
            catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
            {
                return null;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Of a shared file system that may pass; and the file may be whole, and others need it.
                if (attempt == Attempts)
                {
                    throw new ZqfpException("ZQFP0007",
                        $"What another shard left cannot be read: {e.Message} Start this shard again; finished layers are kept.",
                        folder, e);
                }

                Thread.Sleep(Pause);
            }
        }
    }

    /// <summary>A file that does not fit goes: whoever needs it makes it again.</summary>
    private static OrtValue? Open(string path, string key)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        if (!KeptFile.IsWhole(file, Kind, key))
        {
            Leftovers.TryDelete(path);
            return null;
        }

        file.Position = KeptFile.HeaderBytes;
        using var reader = new BinaryReader(file);
        var type = (TensorElementType)reader.ReadInt32();
        long[] shape = new long[reader.ReadInt32()];
        for (int i = 0; i < shape.Length; i++)
        {
            shape[i] = reader.ReadInt64();
        }

        OrtValue read = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type, shape);
        try
        {
            file.ReadExactly(read.GetTensorMutableRawData());
            return read;
        }
        catch
        {
            read.Dispose();
            throw;
        }
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
