namespace Zqfp.CudaOps;

/// <summary>Puts parts of experts on the device, one expert behind another.</summary>
/// <param name="owned">Owns the memory.</param>
/// <param name="context">The device.</param>
/// <param name="experts">The experts, all of one shape.</param>
internal sealed unsafe class ExpertMemory(OwnedMemory owned, CudaContext context, IReadOnlyList<LinearConstants> experts)
{
    /// <summary>The address of a part of every expert.</summary>
    /// <param name="part">An expert's, as long as every other's.</param>
    /// <exception cref="ZqfpException">ZQFP4104: out of memory.</exception>
    public ulong Join<T>(Func<LinearConstants, ReadOnlyMemory<T>> part)
        where T : unmanaged
    {
        ReadOnlyMemory<T> next = part(experts[0]);
        long bytes = (long)next.Length * sizeof(T);
        DeviceMemory all = owned.Add(new DeviceMemory(context, Math.Max(1, bytes * experts.Count)));
        all.Upload(next.Span);
        for (int e = 1; e < experts.Count; e++)
        {
            all.Upload(part(experts[e]).Span, offset: e * bytes);
        }

        return all.Address;
    }
}
