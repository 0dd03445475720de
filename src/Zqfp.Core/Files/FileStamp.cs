using System.Runtime.InteropServices;

namespace Zqfp;

/// <summary>What the system says of a file's identity: a file that was altered or replaced has another one.</summary>
/// <param name="Length">Bytes.</param>
/// <param name="Modified">When the content was last written, as told; programs can set it.</param>
/// <param name="Changed">When the file was last written or described otherwise, where the system keeps that; nobody can set it.</param>
/// <param name="Number">The file's number in its file system, where there is one: a file moved over another has another.</param>
internal readonly partial record struct FileStamp(long Length, long Modified, long Changed, ulong Number)
{
    /// <summary>A file that is not there.</summary>
    public static FileStamp Missing { get; } = new(-1, 0, 0, 0);

    /// <summary>
    /// Whether content and name are as they were by everything but <see cref="Changed"/>: a permission or a link may be new.
    /// </summary>
    public bool IsAsWritten(FileStamp other) => this with { Changed = other.Changed } == other;

    /// <summary>The stamp of the file that a path leads to now, links followed.</summary>
    public static FileStamp Of(string path)
    {
        if (OperatingSystem.IsLinux() && OfLinux(path) is { } exact)
        {
            return exact;
        }

        var file = new FileInfo(path);
        try
        {
            if (file.LinkTarget is not null)
            {
                file = file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file;
            }

            return file.Exists
                ? new FileStamp(file.Length, file.LastWriteTimeUtc.Ticks, file.CreationTimeUtc.Ticks, 0)
                : Missing;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Missing;
        }
    }

    private static FileStamp? OfLinux(string path)
    {
        const int CurrentFolder = -100;
        const uint BasicFields = 0x7FF;
        const int NoEntry = 2;
        try
        {
            if (Statx(CurrentFolder, path, 0, BasicFields, out StatxFields fields) != 0)
            {
                return Marshal.GetLastPInvokeError() == NoEntry ? Missing : null;
            }

            return new FileStamp((long)fields.Size, fields.Modified.Nanoseconds, fields.Changed.Nanoseconds, fields.Number);
        }
        catch (EntryPointNotFoundException)
        {
            // A C library from before 2018.
            return null;
        }
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int folder, string path, int flags, uint mask, out StatxFields fields);

    /// <summary>The parts of the kernel's <c>struct statx</c> that are read; it is the same on every architecture.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct StatxFields
    {
        [FieldOffset(32)]
        public ulong Number;

        [FieldOffset(40)]
        public ulong Size;

        [FieldOffset(96)]
        public StatxTime Changed;

        [FieldOffset(112)]
        public StatxTime Modified;
    }

    [StructLayout(LayoutKind.Explicit, Size = 16)]
    private struct StatxTime
    {
        [FieldOffset(0)]
        public long Seconds;

        [FieldOffset(8)]
        public uint Fraction;

        public readonly long Nanoseconds => unchecked((Seconds * 1_000_000_000) + Fraction);
    }
}
