using System.Text.RegularExpressions;

namespace Zqfp;

/// <summary>
/// A file on its way to a path: written beside it under a name that nobody can foresee, created exclusively so that no link is followed,
/// put on the disk, and moved into place whole. What is disposed before that leaves nothing behind.
/// </summary>
internal sealed partial class NewFile : IDisposable
{
    /// <summary>What stands at the end of the name of a file that is being written; its own name and 32 digits come first.</summary>
    public const string Temporary = ".tmp";

    private const int Digits = 32;
    private const int Attempts = 20;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(25);

    private readonly string _path;
    private readonly string _temporary;
    private bool _isMoved;

    private NewFile(string path, string temporary, FileStream stream) => (_path, _temporary, Content) = (path, temporary, stream);

    /// <summary>Where the content is written. It can also be read and sought.</summary>
    public FileStream Content { get; }

    /// <summary>Begins a file; its folder is made where it is missing.</summary>
    /// <exception cref="IOException">The file cannot be created.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be created.</exception>
    public static NewFile Create(string path)
    {
        string full = Path.GetFullPath(path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        string temporary = TemporaryName(full);
        return new NewFile(full, temporary, new FileStream(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None));
    }

    /// <summary>What an exception says, with the file's own name in the place of a temporary one, which nobody knows.</summary>
    public static string Explain(Exception exception) => exception is FileNotFoundException { FileName: { } file }
        ? $"'{TemporaryEnd().Replace(file, "")}' cannot be created."
        : TemporaryEnd().Replace(exception.Message, "");

    /// <summary>A name for what becomes <paramref name="path"/>, beside it.</summary>
    public static string TemporaryName(string path) => $"{path}.{Guid.NewGuid():N}{Temporary}";

    /// <summary>
    /// Whether a name is one of <see cref="TemporaryName"/>'s, of the file <paramref name="of"/> or, where that is null, of any.
    /// </summary>
    public static bool IsTemporary(ReadOnlySpan<char> name, string? of = null)
    {
        int length = name.Length - Temporary.Length - Digits - 1;
        if (length < 0 || !name.EndsWith(Temporary, StringComparison.Ordinal) || name[length] != '.'
            || (of is not null && !name[..length].SequenceEqual(of)))
        {
            return false;
        }

        foreach (char digit in name.Slice(length + 1, Digits))
        {
            if (!char.IsAsciiHexDigitLower(digit))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Puts the content on the disk; a failing disk fails here, before anything is replaced.</summary>
    /// <exception cref="IOException">There is no room, or the disk fails.</exception>
    public void Finish()
    {
        if (Content.CanWrite)
        {
            Content.Flush(flushToDisk: true);
            Content.Dispose();
        }
    }

    /// <summary>Moves the file into place, over an older one. A link there is replaced, not followed.</summary>
    /// <exception cref="IOException">The file cannot be moved.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be moved.</exception>
    public void Commit()
    {
        Finish();
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                File.Move(_temporary, _path, overwrite: true);
                _isMoved = true;
                return;
            }
            catch (Exception e) when (attempt < Attempts && OperatingSystem.IsWindows()
                && (e is IOException or UnauthorizedAccessException))
            {
                // On Windows a file that somebody reads is not replaced until it is closed.
                Thread.Sleep(Pause);
            }
        }
    }

    [GeneratedRegex(@"\.[0-9a-f]{32}\.tmp\b")]
    private static partial Regex TemporaryEnd();

    public void Dispose()
    {
        try
        {
            Content.Dispose();
        }
        catch (IOException)
        {
            // What was still buffered found no room; the file goes anyway.
        }

        if (!_isMoved)
        {
            Leftovers.TryDelete(_temporary);
        }
    }
}
