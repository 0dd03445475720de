namespace Zqfp.CudaOps;

/// <summary>A low-rank factor A on the device, float16 [rank, K].</summary>
/// <param name="memory">Its values.</param>
/// <param name="rank">A multiple of 8.</param>
internal sealed class DeviceFactor(DeviceMemory memory, int rank) : IDisposable
{
    /// <summary>Its first value.</summary>
    public ulong Address => memory.Address;

    /// <summary>Rows, a multiple of 8.</summary>
    public int Rank => rank;

    /// <inheritdoc/>
    public void Dispose() => memory.Dispose();
}
