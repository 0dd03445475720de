namespace Zqfp.Quantization;

/// <summary>
/// Where scratch files lie: each has a name that belongs to the lock of whoever makes it, so that what a killed process leaves goes with
/// the next one that holds the lock.
/// </summary>
/// <param name="path">The path that the lock protects.</param>
internal sealed class ScratchPlace(string path)
{
    /// <summary>Makes a file.</summary>
    /// <exception cref="ZqfpException">ZQFP0007: none can be made.</exception>
    public ScratchFile Create()
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            return new ScratchFile(NewFile.TemporaryName(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP0007",
                $"What calibration does not hold in memory cannot be written: {NewFile.Explain(e)} Choose another --work folder.", path, e);
        }
    }
}
