using System.Security.Cryptography;

namespace Zqfp;

/// <summary>
/// The files a run reads, with what they were when it began. Before anything is kept or appears it is confirmed that they still are that:
/// a result of a file that changed meanwhile would be of neither content.
/// </summary>
internal sealed class InputFiles
{
    private const int Block = 1 << 20;

    private readonly OrderedDictionary<string, Entry> _files = new(StringComparer.Ordinal);
    private readonly List<(string Folder, string[] Files)> _folders = [];

    /// <summary>Adds a file, or every file in a folder. What is not there is left to whoever reads it.</summary>
    public void Add(string path, CancellationToken cancellation = default)
    {
        if (!Directory.Exists(path))
        {
            Add(path, FileStamp.Of(path), cancellation);
            return;
        }

        string[] files = Listing(path);
        _folders.Add((path, files));
        foreach (string file in files)
        {
            Add(file, FileStamp.Of(file), cancellation);
        }
    }

    /// <summary>Adds a file whose stamp was taken before it was opened.</summary>
    /// <exception cref="ZqfpException">ZQFP0018: it changed while its content was read.</exception>
    public void Add(string path, FileStamp stamp, CancellationToken cancellation = default)
    {
        path = Path.GetFullPath(path);
        if (_files.ContainsKey(path) || stamp == FileStamp.Missing)
        {
            return;
        }

        _files.Add(path, new Entry(stamp, HashOf(path, stamp, cancellation)));
        RequireStamp(path, cancellation);
    }

    /// <summary>SHA-256 of the content that a file had when it was added.</summary>
    public ReadOnlySpan<byte> HashOf(string path) => _files[Path.GetFullPath(path)].Hash;

    /// <summary>Confirms every file by length, times and number; one of which only the state is newer, by its content.</summary>
    /// <exception cref="ZqfpException">ZQFP0018: one is not what it was.</exception>
    public void RequireUnchanged(CancellationToken cancellation = default)
    {
        foreach (string path in _files.Keys.ToArray())
        {
            RequireStamp(path, cancellation);
        }

        if (_folders.FirstOrDefault(folder => !Listing(folder.Folder).SequenceEqual(folder.Files)).Folder is { } changed)
        {
            throw Changed(changed);
        }
    }

    /// <summary>Confirms every file by its content too.</summary>
    /// <exception cref="ZqfpException">ZQFP0018: one is not what it was.</exception>
    public void RequireUnchangedContent(CancellationToken cancellation = default)
    {
        RequireUnchanged(cancellation);
        foreach ((string path, Entry entry) in _files)
        {
            if (!HashOf(path, entry.Stamp, cancellation).AsSpan().SequenceEqual(entry.Hash))
            {
                throw Changed(path);
            }
        }

        RequireUnchanged(cancellation);
    }

    private void RequireStamp(string path, CancellationToken cancellation)
    {
        Entry entry = _files[path];
        FileStamp now = FileStamp.Of(path);
        if (now == entry.Stamp)
        {
            return;
        }

        if (!now.IsAsWritten(entry.Stamp) || !HashOf(path, now, cancellation).AsSpan().SequenceEqual(entry.Hash))
        {
            throw Changed(path);
        }

        // Another permission or a further name is no other content.
        _files[path] = entry with { Stamp = now };
    }

    private static byte[] HashOf(string path, FileStamp stamp, CancellationToken cancellation)
    {
        // Pipes and devices have no length, and reading one takes its content away.
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        if (stamp.Length > 0)
        {
            try
            {
                using var file = new FileStream(
                    path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
                byte[] buffer = new byte[(int)Math.Min(Block, stamp.Length)];
                long left = stamp.Length;
                for (int read; left > 0 && (read = file.Read(buffer.AsSpan(0, (int)Math.Min(buffer.Length, left)))) > 0; left -= read)
                {
                    cancellation.ThrowIfCancellationRequested();
                    hash.AppendData(buffer.AsSpan(0, read));
                }
            }
            catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
            {
                throw Changed(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Whoever reads it says what is wrong with it.
            }
        }

        return hash.GetHashAndReset();
    }

    private static string[] Listing(string folder)
    {
        try
        {
            return [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>The error about a file that is not what it was.</summary>
    public static ZqfpException Changed(string path) => new("ZQFP0018",
        $"'{path}' changed while it was in use. What was made of it is not kept; run again when the file is finished.", path);

    private readonly record struct Entry(FileStamp Stamp, byte[] Hash);
}
