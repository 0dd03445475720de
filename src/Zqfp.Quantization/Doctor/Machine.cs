namespace Zqfp.Quantization;

/// <summary>What the operating system says about this machine.</summary>
internal static class Machine
{
    /// <summary>Bytes of memory this process may use: the machine's, or its container's limit.</summary>
    public static long AvailableMemory => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>Bytes free on the disk that <paramref name="path"/> is on or would be on; null where the system does not tell.</summary>
    public static long? FreeDisk(string path)
    {
        try
        {
            string? folder = Path.GetFullPath(path.Length > 0 ? path : ".");
            while (folder is not null && !Directory.Exists(folder))
            {
                folder = Path.GetDirectoryName(folder);
            }

            return folder is null ? null : new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }
}
