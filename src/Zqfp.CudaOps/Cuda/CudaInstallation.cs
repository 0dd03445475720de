namespace Zqfp.CudaOps;

/// <summary>What of NVIDIA's software and hardware this machine has, found by loading it.</summary>
internal sealed record CudaInstallation
{
    /// <summary>The first device's name, or null where there is none.</summary>
    public string? Device { get; private init; }

    /// <summary>10 * major + minor of the first device, 90 for Hopper; null where there is none.</summary>
    public int? ComputeCapability { get; private init; }

    /// <summary>The CUDA version of the driver, major.minor; null where there is no driver or no device.</summary>
    public string? Driver { get; private init; }

    /// <summary>Why there is no device, as an error would put it; null where there is one.</summary>
    public ZqfpException? DeviceProblem { get; private init; }

    /// <summary>The run-time compiler's version, major.minor; null where it is not found.</summary>
    public string? Nvrtc { get; private init; }

    /// <summary>Looks.</summary>
    public static unsafe CudaInstallation Find()
    {
        var software = new CudaInstallation
        {
            Nvrtc = NvrtcApi.IsAvailable ? NvrtcApi.Instance.Version : null,
        };
        try
        {
            using var context = new CudaContext();
            return software with
            {
                Device = context.Name,
                ComputeCapability = context.ComputeCapability,
                Driver = $"{context.DriverVersion / 1000}.{context.DriverVersion % 1000 / 10}",
            };
        }
        catch (ZqfpException e)
        {
            return software with { DeviceProblem = e };
        }
    }
}
