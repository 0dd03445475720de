using System.Buffers.Binary;
using System.IO.Hashing;
using System.Security.Cryptography;
using System.Text;

namespace Zqfp;

/// <summary>
/// The one format of everything that is kept for a later run: a header that says what the file is, then the content. A file that does not
/// fit in any respect (cut, lengthened, altered, of another kind, key or version) is absent.
/// </summary>
/// <remarks>
/// The header, little-endian, of <see cref="HeaderBytes"/> bytes: magic (8), version of the format (4), kind in ASCII (16), SHA-256 of the
/// key (32), length of the content (8), zeros, and in the last 16 bytes the XXH128 of the content followed by the rest of the header.
/// </remarks>
internal static class KeptFile
{
    /// <summary>Bytes before the content: a multiple of what mapped arrays are aligned to.</summary>
    public const int HeaderBytes = 128;

    /// <summary>Small content is read into memory up to this size.</summary>
    public const int MaxContent = 1 << 28;

    private const uint Version = 1;
    private const int ChecksumBytes = 16;
    private const int Checked = HeaderBytes - ChecksumBytes;
    private const int KindBytes = 16;
    private const int Block = 1 << 20;

    private static ReadOnlySpan<byte> Magic => "ZQFPKEPT"u8;

    /// <summary>Writes a file whole.</summary>
    /// <param name="path">The file.</param>
    /// <param name="kind">What it is, in at most 16 characters of ASCII.</param>
    /// <param name="key">Which one it is: what identifies everything the content depends on.</param>
    /// <param name="write">Writes the content; the stream can only be written, from position 0.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    public static void Write(string path, string kind, string key, Action<Stream> write) => WholeFile.Write(path, file =>
    {
        file.Write(new byte[HeaderBytes]);
        var content = new HashedStream(file);
        write(content);
        byte[] header = Header(kind, key, content.Length);
        content.Hash.Append(header.AsSpan(0, Checked));
        content.Hash.GetCurrentHash(header.AsSpan(Checked));
        file.Position = 0;
        file.Write(header);
    });

    /// <inheritdoc cref="Write(string, string, string, Action{Stream})"/>
    public static void Write(string path, string kind, string key, ReadOnlyMemory<byte> content) =>
        Write(path, kind, key, stream => stream.Write(content.Span));

    /// <summary>The content, or null where the file is absent: not there, not readable, or not what it should be.</summary>
    /// <param name="path">The file.</param>
    /// <param name="kind">As it was written.</param>
    /// <param name="key">As it was written.</param>
    /// <param name="unfit">Called with the path of a file that is there and does not fit.</param>
    public static byte[]? Read(string path, string kind, string key, Action<string>? unfit = null) =>
        Open(path, kind, key, unfit, file =>
        {
            long length = file.Length - HeaderBytes;
            if (length > MaxContent)
            {
                return null;
            }

            byte[] content = new byte[length];
            file.Position = HeaderBytes;
            file.ReadExactly(content);
            return content;
        });

    /// <summary>Whether the file at <paramref name="path"/> fits: content that is too large for memory is mapped after this.</summary>
    /// <inheritdoc cref="Read"/>
    public static bool Fits(string path, string kind, string key, Action<string>? unfit = null) =>
        Open(path, kind, key, unfit, _ => path) is not null;

    private static T? Open<T>(string path, string kind, string key, Action<string>? unfit, Func<FileStream, T?> read)
        where T : class
    {
        if (!File.Exists(path))
        {
            return null;
        }

        T? result = null;
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
            result = IsWhole(file, kind, key) ? read(file) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            // Not readable is absent.
        }

        if (result is null)
        {
            unfit?.Invoke(path);
        }

        return result;
    }

    /// <summary>Whether an open file fits; its position is anywhere afterwards.</summary>
    /// <inheritdoc cref="Read"/>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static bool IsWhole(FileStream file, string kind, string key)
    {
        byte[] header = new byte[HeaderBytes];
        if (file.Length < HeaderBytes || file.ReadAtLeast(header, HeaderBytes, throwOnEndOfStream: false) < HeaderBytes
            || !header.AsSpan(0, Checked).SequenceEqual(Header(kind, key, file.Length - HeaderBytes).AsSpan(0, Checked)))
        {
            return false;
        }

        var hash = new XxHash128();
        byte[] buffer = new byte[(int)Math.Min(Block, Math.Max(1, file.Length - HeaderBytes))];
        for (int read; (read = file.Read(buffer)) > 0;)
        {
            hash.Append(buffer.AsSpan(0, read));
        }

        hash.Append(header.AsSpan(0, Checked));
        return hash.GetCurrentHash().AsSpan().SequenceEqual(header.AsSpan(Checked));
    }

    private static byte[] Header(string kind, string key, long length)
    {
        byte[] header = new byte[HeaderBytes];
        Span<byte> rest = header;
        Magic.CopyTo(rest);
        rest = rest[Magic.Length..];
        BinaryPrimitives.WriteUInt32LittleEndian(rest, Version);
        rest = rest[sizeof(uint)..];
        Encoding.ASCII.GetBytes(kind, rest[..KindBytes]);
        rest = rest[KindBytes..];
        SHA256.HashData(Encoding.UTF8.GetBytes(key), rest);
        rest = rest[SHA256.HashSizeInBytes..];
        BinaryPrimitives.WriteInt64LittleEndian(rest, length);
        return header;
    }

    /// <summary>Passes on what is written and hashes it.</summary>
    private sealed class HashedStream(FileStream file) : Stream
    {
        private long _length;

        public XxHash128 Hash { get; } = new();

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => _length;

        public override long Position
        {
            get => _length;
            set => throw new NotSupportedException();
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            file.Write(buffer);
            Hash.Append(buffer);
            _length += buffer.Length;
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
