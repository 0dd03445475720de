using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>Operand formats of a library product.</summary>
internal enum ProductKind
{
    /// <summary>16-bit floating point operands.</summary>
    Half,

    /// <summary>E4M3 operands, one scale each.</summary>
    Fp8PerTensor,

    /// <summary>E4M3 operands, one scale for every row of W and every token.</summary>
    Fp8RowWise,
}

/// <summary>cuBLASLt on one device, loaded when present: the yardstick.</summary>
internal sealed unsafe class CublasLt : IDisposable
{
    private const long WorkspaceBytes = 64L << 20;

    private readonly DeviceMemory _workspace;

    /// <summary>Creates a handle with a workspace of 64 MB.</summary>
    /// <exception cref="CublasLtException">The library is not installed, or refuses.</exception>
    public CublasLt(CudaContext context)
    {
        Api = CublasLtApi.Instance;
        nint handle;
        CublasLtApi.Check(Api.Create(&handle), "Creating a handle");
        Handle = handle;
        _workspace = new DeviceMemory(context, WorkspaceBytes);
    }

    /// <summary>Whether the library can be loaded.</summary>
    public static bool IsAvailable => CublasLtApi.IsAvailable;

    /// <summary>The library's version number.</summary>
    public long Version => (long)Api.GetVersion();

    internal CublasLtApi Api { get; }

    internal nint Handle { get; private set; }

    internal ulong Workspace => _workspace.Address;

    internal nuint WorkspaceSize => (nuint)_workspace.Bytes;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Handle != 0)
        {
            Api.Destroy(Handle);
        }

        Handle = 0;
        _workspace.Dispose();
    }
}
