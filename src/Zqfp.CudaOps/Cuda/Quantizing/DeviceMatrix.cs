namespace Zqfp.CudaOps;

/// <summary>A float32 matrix on the device, row-major, in whole tiles of 128 x 128; what lies outside its rows and columns is 0.</summary>
internal sealed unsafe class DeviceMatrix : IDisposable
{
    /// <summary>Side of a tile.</summary>
    public const int Tile = 128;

    private readonly DriverApi _driver;
    private readonly DeviceMemory _memory;
    private readonly int _columns;
    private readonly int _rows;

    /// <summary>A matrix of zeros.</summary>
    /// <param name="context">The device.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="stream">What orders the filling.</param>
    public DeviceMatrix(CudaContext context, int rows, int columns, CudaStream stream)
    {
        _driver = context.Driver;
        _rows = rows;
        _columns = columns;
        PaddedRows = Pad(rows);
        Stride = Pad(columns);
        _memory = new DeviceMemory(context, (long)PaddedRows * Stride * sizeof(float));
        _memory.Fill(0, stream.Handle);
    }

    /// <summary>Rows with the zeros that follow.</summary>
    public int PaddedRows { get; }

    /// <summary>Elements between two rows: columns with the zeros that follow.</summary>
    public int Stride { get; }

    /// <summary>Device address of the first element.</summary>
    public ulong Address => _memory.Address;

    /// <summary>The whole memory.</summary>
    public DeviceMemory Memory => _memory;

    /// <summary>Device address of an element.</summary>
    public ulong At(int row, int column) => Address + ((((ulong)row * (ulong)Stride) + (ulong)column) * sizeof(float));

    /// <summary>Whole tiles.</summary>
    public static int Pad(int size) => (size + Tile - 1) / Tile * Tile;

    /// <summary>Copies all rows to the device; returns when that has ended.</summary>
    /// <param name="source">First element.</param>
    /// <param name="stride">Elements between two rows there.</param>
    /// <param name="stream">What orders it.</param>
    public void Upload(float* source, int stride, CudaStream stream)
    {
        RowCopy copy = Copy(stride, _rows, _columns);
        copy.SourceType = RowCopy.Host;
        copy.SourceHost = source;
        copy.TargetType = RowCopy.Device;
        copy.TargetDevice = Address;
        (copy.SourcePitch, copy.TargetPitch) = (copy.TargetPitch, copy.SourcePitch);
        _driver.Check(_driver.CopyRows(&copy, stream.Handle), "Copy to the device");
        stream.Synchronize();
    }

    /// <summary>Copies rows to the host, after all earlier work of the stream.</summary>
    /// <param name="target">First element.</param>
    /// <param name="stride">Elements between two rows there.</param>
    /// <param name="stream">What orders it.</param>
    public void Download(float* target, int stride, CudaStream stream)
    {
        RowCopy copy = Copy(stride, _rows, _columns);
        copy.SourceType = RowCopy.Device;
        copy.SourceDevice = Address;
        copy.TargetType = RowCopy.Host;
        copy.TargetHost = target;
        _driver.Check(_driver.CopyRows(&copy, stream.Handle), "Copy to the host");
        stream.Synchronize();
    }

    public void Dispose() => _memory.Dispose();

    private RowCopy Copy(int hostStride, int rows, int columns) => new()
    {
        SourcePitch = (nuint)Stride * sizeof(float),
        TargetPitch = (nuint)hostStride * sizeof(float),
        Width = (nuint)columns * sizeof(float),
        Height = (nuint)rows,
    };
}
