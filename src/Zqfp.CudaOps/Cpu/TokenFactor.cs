namespace Zqfp.CudaOps;

/// <summary>The factor A of a low-rank branch, its columns laid out as a token's values are when it is multiplied.</summary>
internal sealed unsafe class TokenFactor : IDisposable
{
    private readonly GroupLayout _layout;
    private readonly NativeBuffer _a;

    /// <param name="a">[rank, K].</param>
    /// <param name="rank">r, at least 1.</param>
    /// <param name="layout">The columns.</param>
    public TokenFactor(NativeBuffer a, int rank, GroupLayout layout)
    {
        _layout = layout;
        ResultLength = (rank + 7) / 8 * 8;
        _a = new NativeBuffer((long)ResultLength * layout.RowStride * sizeof(float));
        for (int column = 0; column < layout.Columns; column++)
        {
            int laidOut = layout.GroupStart(column / layout.GroupSize) + (column % layout.GroupSize);
            for (int i = 0; i < rank; i++)
            {
                _a.Floats[((long)i * layout.RowStride) + laidOut] = a.Floats[((long)i * layout.Columns) + column];
            }
        }
    }

    /// <summary>Floats that <see cref="Project"/> writes.</summary>
    public int ResultLength { get; }

    /// <summary>Floats of a laid-out token.</summary>
    public int RowLength => _layout.RowStride;

    /// <summary>A x for one laid-out token; of the results the first r count.</summary>
    public void Project(PanelMath math, float* x, float* results) => math.Project(x, _a.Floats, _layout.RowStride, ResultLength, results);

    /// <summary>A x for a token's codes, all columns of which are one group.</summary>
    /// <param name="math">Inner loops.</param>
    /// <param name="codes">The codes.</param>
    /// <param name="place">Room for <see cref="RowLength"/> floats.</param>
    /// <param name="results">Receives <see cref="ResultLength"/> results.</param>
    public void ProjectCodes(PanelMath math, byte* codes, float* place, float* results)
    {
        TokenQuantizer.Decode(codes, place, _layout.Columns);
        new Span<float>(place + _layout.Columns, _layout.RowStride - _layout.Columns).Clear();
        Project(math, place, results);
    }

    /// <inheritdoc/>
    public void Dispose() => _a.Dispose();
}
