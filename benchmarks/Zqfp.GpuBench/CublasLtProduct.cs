using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>Y [M, N] = X [M, K] * W [N, K]^T for fixed sizes, planned once.</summary>
internal sealed unsafe class CublasLtProduct : IDisposable
{
    private const int ComputeFloat = 68;
    private const int TransposeA = 3;
    private const int ScalePointerA = 17;
    private const int ScalePointerB = 18;
    private const int FastAccumulation = 25;
    private const int ScaleModeA = 31;
    private const int ScaleModeB = 32;
    private const int OuterVector = 3;
    private const int MaxWorkspace = 1;
    private const int BatchCount = 5;
    private const int BatchStride = 6;
    private const int TypeFloat = 0;
    private const int TypeHalf = 2;
    private const int TypeBFloat = 14;
    private const int TypeE4M3 = 28;

    private readonly CublasLt _library;
    private readonly ProductKind _kind;
    private readonly nint _description;
    private readonly nint _layoutW;
    private readonly nint _layoutX;
    private readonly nint _layoutY;
    private readonly CublasLtHeuristic[] _algorithms;
    private bool _disposed;

    /// <summary>Plans a product.</summary>
    /// <param name="library">The library's handle.</param>
    /// <param name="kind">Operand formats.</param>
    /// <param name="tokens">M.</param>
    /// <param name="rows">N.</param>
    /// <param name="columns">K, a multiple of 16.</param>
    /// <param name="output">Element type of Y; of the operands too for <see cref="ProductKind.Half"/>.</param>
    /// <param name="batch">So many products of different W, X and Y, each right behind the one before.</param>
    /// <exception cref="CublasLtException">The library has no algorithm for it.</exception>
    public CublasLtProduct(
        CublasLt library, ProductKind kind, int tokens, int rows, int columns, ElementKind output, int batch = 1)
    {
        ArgumentNullException.ThrowIfNull(library);
        _library = library;
        _kind = kind;
        CublasLtApi api = library.Api;
        int outputType = output switch { ElementKind.Float16 => TypeHalf, ElementKind.BFloat16 => TypeBFloat, _ => TypeFloat };
        int inputType = kind == ProductKind.Half ? outputType : TypeE4M3;
        _description = Create(h => api.DescriptionCreate(h, ComputeFloat, TypeFloat));
        _layoutW = Create(h => api.LayoutCreate(h, inputType, (ulong)columns, (ulong)rows, columns));
        _layoutX = Create(h => api.LayoutCreate(h, inputType, (ulong)columns, (ulong)tokens, columns));
        _layoutY = Create(h => api.LayoutCreate(h, outputType, (ulong)rows, (ulong)tokens, rows));
        if (batch > 1)
        {
            foreach ((nint layout, long stride) in
                ((nint, long)[])[(_layoutW, (long)rows * columns), (_layoutX, (long)tokens * columns), (_layoutY, (long)tokens * rows)])
            {
                long apart = stride;
                CublasLtApi.Check(api.LayoutSet(layout, BatchCount, &batch, sizeof(int)), "Setting the number of products");
                CublasLtApi.Check(api.LayoutSet(layout, BatchStride, &apart, sizeof(long)), "Setting how far apart products are");
            }
        }

        Set(TransposeA, 1);
        if (kind != ProductKind.Half)
        {
            sbyte fast = 1;
            CublasLtApi.Check(api.DescriptionSet(_description, FastAccumulation, &fast, sizeof(sbyte)), "Asking for fast accumulation");
        }

        if (kind == ProductKind.Fp8RowWise)
        {
            Set(ScaleModeA, OuterVector);
            Set(ScaleModeB, OuterVector);
        }

        if (kind != ProductKind.Half)
        {
            // The library refuses to choose an algorithm for scaled operands as long as no scales are set.
            SetScales(library.Workspace, library.Workspace);
        }

        nint preference = Create(h => api.PreferenceCreate(h));
        nuint workspace = library.WorkspaceSize;
        CublasLtApi.Check(api.PreferenceSet(preference, MaxWorkspace, &workspace, (nuint)sizeof(nuint)), "Setting the workspace");
        const int Most = 8;
        CublasLtHeuristic* found = stackalloc CublasLtHeuristic[Most];
        int count;
        int result = api.Heuristic(library.Handle, _description, _layoutW, _layoutX, _layoutY, _layoutY, preference, Most, found, &count);
        api.PreferenceDestroy(preference);
        CublasLtApi.Check(result != 0 ? result : count == 0 ? -1 : 0, $"Choosing an algorithm for {kind} {tokens} x {rows} x {columns}");
        _algorithms = new ReadOnlySpan<CublasLtHeuristic>(found, count).ToArray();
    }

    /// <summary>Algorithms the library proposes, best guess first.</summary>
    public int Algorithms => _algorithms.Length;

    /// <summary>Which of them runs; the first unless set.</summary>
    public int Algorithm { get; set; }

    /// <summary>Puts the product into a stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="w">W.</param>
    /// <param name="x">X.</param>
    /// <param name="y">Y.</param>
    /// <param name="scaleW">Float scale of W: one, or [N] row-wise; unused in 16 bits.</param>
    /// <param name="scaleX">Float scale of X: one, or [M] row-wise; unused in 16 bits.</param>
    public void Run(nint stream, ulong w, ulong x, ulong y, ulong scaleW = 0, ulong scaleX = 0)
    {
        CublasLtApi api = _library.Api;
        if (_kind != ProductKind.Half)
        {
            SetScales(scaleW, scaleX);
        }

        float one = 1, zero = 0;
        fixed (CublasLtHeuristic* algorithm = &_algorithms[Algorithm])
        {
            CublasLtApi.Check(
                api.MatMul(_library.Handle, _description, &one, w, _layoutW, x, _layoutX, &zero, y, _layoutY, y,
                    _layoutY, algorithm->Algorithm, _library.Workspace, _library.WorkspaceSize, stream),
                $"A {_kind} product");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _library.Api.LayoutDestroy(_layoutW);
        _library.Api.LayoutDestroy(_layoutX);
        _library.Api.LayoutDestroy(_layoutY);
        _library.Api.DescriptionDestroy(_description);
    }

    private delegate int Creation(nint* handle);

    private static nint Create(Creation create)
    {
        nint handle;
        CublasLtApi.Check(create(&handle), "Creating a descriptor");
        return handle;
    }

    private void SetScales(ulong scaleW, ulong scaleX)
    {
        CublasLtApi.Check(_library.Api.DescriptionSet(_description, ScalePointerA, &scaleW, sizeof(ulong)), "Setting a scale");
        CublasLtApi.Check(_library.Api.DescriptionSet(_description, ScalePointerB, &scaleX, sizeof(ulong)), "Setting a scale");
    }

    private void Set(int attribute, int value) =>
        CublasLtApi.Check(_library.Api.DescriptionSet(_description, attribute, &value, sizeof(int)), $"Setting attribute {attribute}");
}
