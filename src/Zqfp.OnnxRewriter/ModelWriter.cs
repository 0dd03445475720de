using System.Security.Cryptography;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Writes a model and its external data, streamed, beside where they are to be. They take their place together, once both are whole.
/// </summary>
internal sealed class ModelWriter : IDisposable
{
    /// <summary>Large tensors begin at multiples of this many bytes, so that they can be mapped.</summary>
    private const int Alignment = 4096;

    private const int CopyBlock = 1 << 22;

    private readonly string _path;
    private readonly NewFile _structure;
    private readonly NewFile _data;

    private ModelWriter(string path, NewFile structure, NewFile data) => (_path, _structure, _data) = (path, structure, data);

    /// <summary>Bytes of both files.</summary>
    public long Length { get; private set; }

    /// <summary>
    /// Writes <paramref name="model"/> for <paramref name="path"/> and the initializers' bytes for <c>path + ".data"</c>.
    /// </summary>
    /// <remarks>The SHA-256 of the content becomes the property <paramref name="contentKey"/>.</remarks>
    /// <exception cref="ZqfpException">ZQFP0002: the files cannot be written. Nothing of them stays.</exception>
    public static ModelWriter Write(string path, ModelProto model, IEnumerable<(TensorProto Header, TensorData Data)> initializers,
        string contentKey, CancellationToken cancellation)
    {
        NewFile? structure = null;
        NewFile? data = null;
        try
        {
            structure = NewFile.Create(path);
            data = NewFile.Create(path + ".data");
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            hash.AppendData(model.ToByteArray());
            byte[] buffer = new byte[CopyBlock];
            Dictionary<Place, long> written = [];
            foreach ((TensorProto header, TensorData content) in initializers)
            {
                model.Graph.Initializer.Add(
                    WriteTensor(data.Content, Path.GetFileName(path) + ".data", header, content, hash, buffer, written, cancellation));
            }

            model.MetadataProps.Add(
                new StringStringEntryProto { Key = contentKey, Value = Convert.ToHexStringLower(hash.GetHashAndReset()) });
            model.WriteTo(structure.Content);
            long length = data.Content.Length + structure.Content.Length;
            data.Finish();
            structure.Finish();
            cancellation.ThrowIfCancellationRequested();
            return new ModelWriter(path, structure, data) { Length = length };
        }
        catch (Exception e)
        {
            structure?.Dispose();
            data?.Dispose();
            if (e is IOException or UnauthorizedAccessException)
            {
                throw Unwritable(path, e);
            }

            throw;
        }
    }

    /// <summary>Puts both files into place.</summary>
    /// <exception cref="ZqfpException">ZQFP0002: that cannot be done.</exception>
    public void Commit()
    {
        try
        {
            // The old model goes first and the new one comes last: no model ever stands beside data that is not its own.
            if (File.Exists(_path))
            {
                File.Delete(_path);
            }

            _data.Commit();
            _structure.Commit();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unwritable(_path, e);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _structure.Dispose();
        _data.Dispose();
    }

    private static ZqfpException Unwritable(string path, Exception e) =>
        new("ZQFP0002", $"'{path}' cannot be written: {NewFile.Explain(e)}", path, e);

    private static TensorProto WriteTensor(FileStream stream, string location, TensorProto header, TensorData data,
        IncrementalHash hash, byte[] buffer, Dictionary<Place, long> written, CancellationToken cancellation)
    {
        hash.AppendData(header.ToByteArray());
        if (data.ByteLength < ModelRewriter.InlineLimit)
        {
            hash.AppendData(data.Slice(0, (int)data.ByteLength).Span);
            return ModelRewriter.Inline(header, data);
        }

        // Initializers that lie in one place of the original's data, or of memory, lie in one place again.
        Place place = data.Address is { } address ? new(address, default, data.ByteLength) : new(0, data.Memory, data.ByteLength);
        if (place.IsKnown && written.TryGetValue(place, out long known))
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

        if (place.IsKnown)
        {
            written.Add(place, offset);
        }

        return ModelRewriter.External(header, location, offset, data.ByteLength);
    }

    /// <summary>Where a tensor's bytes are: in a mapped file, or in memory. Equal for tensors that have the same bytes.</summary>
    private readonly record struct Place(nint Address, ReadOnlyMemory<byte> Memory, long Length)
    {
        public bool IsKnown => Address != 0 || !Memory.IsEmpty;
    }
}
