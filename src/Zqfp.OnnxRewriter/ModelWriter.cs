using System.Security.Cryptography;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>Writes a model and its external data, streamed, each under a temporary name until both are whole.</summary>
internal static class ModelWriter
{
    /// <summary>Large tensors begin at multiples of this many bytes, so that they can be mapped.</summary>
    private const int Alignment = 4096;

    private const int CopyBlock = 1 << 22;

    /// <summary>Writes <paramref name="model"/> to <paramref name="path"/> and the initializers' bytes to <c>path + ".data"</c>.</summary>
    /// <remarks>The SHA-256 of the content becomes the property <paramref name="contentKey"/>.</remarks>
    public static void Write(string path, ModelProto model, IEnumerable<(TensorProto Header, TensorData Data)> initializers,
        string contentKey, CancellationToken cancellation)
    {
        string dataPath = path + ".data";
        string modelTemporary = path + ".tmp";
        string dataTemporary = dataPath + ".tmp";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            hash.AppendData(model.ToByteArray());
            byte[] buffer = new byte[CopyBlock];
            Dictionary<(nint Address, long Length), long> written = [];
            using (FileStream data = File.Create(dataTemporary))
            {
                foreach ((TensorProto header, TensorData content) in initializers)
                {
                    model.Graph.Initializer.Add(
                        WriteTensor(data, Path.GetFileName(dataPath), header, content, hash, buffer, written, cancellation));
                }
            }

            model.MetadataProps.Add(
                new StringStringEntryProto { Key = contentKey, Value = Convert.ToHexStringLower(hash.GetHashAndReset()) });

            using (FileStream structure = File.Create(modelTemporary))
            {
                model.WriteTo(structure);
            }

            cancellation.ThrowIfCancellationRequested();

            // The old model goes first and the new one comes last: no model ever stands beside data that is not its own.
            DeleteIfThere(path);
            File.Move(dataTemporary, dataPath, overwrite: true);
            File.Move(modelTemporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP0002", $"'{path}' cannot be written: {e.Message}", path, e);
        }
        finally
        {
            DeleteIfThere(modelTemporary);
            DeleteIfThere(dataTemporary);
        }
    }

    private static void DeleteIfThere(string path)
    {
        if (File.Exists(path))
        {
            File.Delete(path);
        }
    }

    private static TensorProto WriteTensor(FileStream stream, string location, TensorProto header, TensorData data,
        IncrementalHash hash, byte[] buffer, Dictionary<(nint Address, long Length), long> written, CancellationToken cancellation)
    {
        hash.AppendData(header.ToByteArray());
        if (data.ByteLength < ModelRewriter.InlineLimit)
        {
            hash.AppendData(data.Slice(0, (int)data.ByteLength).Span);
            return ModelRewriter.Inline(header, data);
        }

        // Initializers that lie in one place of the original's data lie in one place again.
        (nint Address, long Length) place = (data.Address ?? 0, data.ByteLength);
        if (data.Address is not null && written.TryGetValue(place, out long known))
        {
            return ModelRewriter.External(header, location, known, data.ByteLength);
        }

        long offset = (stream.Position + Alignment - 1) / Alignment * Alignment;
        stream.SetLength(offset);
        stream.Position = offset;
        for (long done = 0; done < data.ByteLength; done += CopyBlock)
        {
            cancellation.ThrowIfCancellationRequested();
            Span<byte> block = buffer.AsSpan(0, (int)Math.Min(CopyBlock, data.ByteLength - done));
            data.Read(done, block);
            hash.AppendData(block);
            stream.Write(block);
        }

        if (data.Address is not null)
        {
            written.Add(place, offset);
        }

        return ModelRewriter.External(header, location, offset, data.ByteLength);
    }
}
