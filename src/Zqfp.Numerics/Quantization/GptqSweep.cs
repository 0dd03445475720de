using System.Runtime.Intrinsics;

namespace Zqfp.Numerics;

/// <summary>
/// GPTQ's sweep over the columns of a tile of rows. Rows are independent, so a tile is transposed to [columns, rows], every step
/// is vectorized across its rows, and the errors passed on between blocks of columns are one matrix product.
/// </summary>
internal sealed unsafe class GptqSweep : IDisposable
{
    private const int SubBlock = 32;
    private readonly TiledFactor _factor;
    private readonly ScaleTable _scales;
    private readonly NumberFormat _format;
    private readonly int[]? _order;
    private readonly int _tileRows;
    private readonly int _stride;
    private readonly AlignedBuffer _errors;
    private readonly AlignedBuffer _adjusted;
    private readonly AlignedBuffer _groupScales;
    private readonly float[] _rows;
    private readonly byte[] _codes;
    private readonly byte[] _rowCodes;
    private readonly CoordinateDescent? _descent;
    private readonly int _refineSweeps;
    private readonly bool _refitsScales;
    private readonly ScaleStorage _scaleStorage;

    private GptqSweep(
        Hessian hessian, TiledFactor factor, DampedHessian damped, ScaleTable scales, QuantizationOptions options, int tileRows)
    {
        _factor = factor;
        _scales = scales;
        _format = options.Format;
        _order = damped.Order;
        _refineSweeps = options.RefineSweeps;
        _refitsScales = options.RefitsScales;
        _scaleStorage = options.ScaleStorage;
        _descent = options.RefineSweeps > 0 ? new CoordinateDescent(hessian, options.Format, tileRows) : null;
        _tileRows = tileRows;
        _stride = TileKernel.Stride(tileRows);
        _errors = new AlignedBuffer((long)factor.Blocks * factor.TileSize * _stride);
        _adjusted = new AlignedBuffer((long)factor.TileSize * _stride);
        _groupScales = new AlignedBuffer((long)scales.Groups * tileRows);
        _rows = new float[Transposing.Lines * factor.Size];
        _codes = new byte[factor.Size * tileRows];
        _rowCodes = new byte[factor.Size * tileRows];
    }

    /// <summary>Quantizes all rows.</summary>
    /// <param name="weights">The matrix.</param>
    /// <param name="hessian">The Hessian.</param>
    /// <param name="factor">The same damped and factored.</param>
    /// <param name="damped">What of it the factor does not say.</param>
    /// <param name="scales">Scales; fixed beforehand, and fitted to the codes where the recipe says so.</param>
    /// <param name="options">The recipe.</param>
    /// <param name="loss">Receives tr(E H E^T) with the undamped Hessian.</param>
    /// <param name="cancellation">Stops between tiles.</param>
    public static byte[] Quantize(
        WeightSource weights,
        Hessian hessian,
        TiledFactor factor,
        DampedHessian damped,
        ScaleTable scales,
        QuantizationOptions options,
        out double loss,
        CancellationToken cancellation)
    {
        int tileRows = weights.Rows >= 512 ? 128 : weights.Rows >= 128 ? 64 : 32;
        int tiles = (weights.Rows + tileRows - 1) / tileRows;
        byte[] packed = new byte[options.Format.PackedLength((long)weights.Rows * weights.Columns)];
        double[] losses = new double[tiles];
        new Workers(options.Threads, cancellation).For(tiles, () => new GptqSweep(hessian, factor, damped, scales, options, tileRows),
            (tile, sweep) => losses[tile] = sweep.Run(weights, tile * tileRows, damped.Damping, packed));
        loss = losses.Sum();
        return packed;
    }

    public void Dispose()
    {
        _errors.Dispose();
        _adjusted.Dispose();
        _groupScales.Dispose();
        _descent?.Dispose();
    }

    private double Run(WeightSource weights, int firstRow, double damping, byte[] packed)
    {
        int rows = Math.Min(_tileRows, weights.Rows - firstRow);
        Load(weights, firstRow, rows);
        double loss = 0;
        for (int block = 0; block < _factor.Blocks; block++)
        {
            loss += SweepBlock(block, damping);
        }

        if (_descent is not null)
        {
            loss -= Refine(firstRow, rows);
        }

        Transposing.CodesToRows(_codes, _tileRows, _rowCodes, rows, _factor.Size, _order);
        RtnRounding.Store(_rowCodes.AsSpan(0, rows * _factor.Size), _format, packed, (long)firstRow * _factor.Size);
        return loss;
    }

    // Rows past the end are zero weights with a scale of one: their codes are dropped and their errors are 0.
    private void Load(WeightSource weights, int firstRow, int rows)
    {
        _errors.Clear();
        int columns = _factor.Size;
        for (int r0 = 0; r0 < rows; r0 += Transposing.Lines)
        {
            int lines = Math.Min(Transposing.Lines, rows - r0);
            for (int r = 0; r < lines; r++)
            {
                weights.CopyRow(firstRow + r0 + r, _rows.AsSpan(r * columns, columns));
            }

            _rows.AsSpan(lines * columns).Clear();
            Transposing.RowsToColumns(_rows, columns, columns, _errors.Data + r0, _stride, _order);
        }

        for (int g = 0; g < _scales.Groups; g++)
        {
            for (int r = 0; r < _tileRows; r++)
            {
                _groupScales.Data[(g * _tileRows) + r] = r < rows ? _scales.Effective[((firstRow + r) * _scales.Groups) + g] : 1;
            }
        }
    }

    // _errors holds errors of finished columns and weights of the others; _adjusted holds the weights of the block plus what the
    // columns before pass on to them.
    private double SweepBlock(int block, double damping)
    {
        int size = _factor.TileSize;
        long blockStart = (long)block * size * _stride;
        new Span<float>(_errors.Data + blockStart, size * _stride).CopyTo(new Span<float>(_adjusted.Data, size * _stride));
        for (int k = 0; k < block; k++)
        {
            TileKernel.MultiplyAdd(
                _factor.Tile(k, block), _factor.Stride, _errors.Data + ((long)k * size * _stride), _stride, _adjusted.Data,
                _stride, size, _tileRows, size);
        }

        float* upper = _factor.Tile(block, block);
        float* errors = _errors.Data + blockStart;
        int columns = Math.Min(size, _factor.Size - (block * size));
        double loss = 0;
        for (int start = 0; start < columns; start += SubBlock)
        {
            if (start > 0)
            {
                TileKernel.MultiplyAdd(upper + start, _factor.Stride, errors, _stride, _adjusted.Data + (start * _stride),
                    _stride, SubBlock, _tileRows, start);
            }

            int end = Math.Min(start + SubBlock, columns);
            for (int c = start; c < end; c++)
            {
                Column(upper, errors, start, c);
                loss += Round((block * size) + c, errors + (c * _stride), _adjusted.Data + (c * _stride), damping);
            }
        }

        return loss;
    }

    // adjusted[c] += sum of U[k, c] errors[k] over the columns k of the sub-block before c.
    private void Column(float* upper, float* errors, int start, int c)
    {
        float* target = _adjusted.Data + (c * _stride);
        for (int r = 0; r < _tileRows; r += 32)
        {
            Vector256<float> s0 = Vector256.Load(target + r);
            Vector256<float> s1 = Vector256.Load(target + r + 8);
            Vector256<float> s2 = Vector256.Load(target + r + 16);
            Vector256<float> s3 = Vector256.Load(target + r + 24);
            for (int k = start; k < c; k++)
            {
                Vector256<float> u = Vector256.Create(upper[(k * _factor.Stride) + c]);
                float* error = errors + (k * _stride) + r;
                s0 = Vector256.FusedMultiplyAdd(u, Vector256.Load(error), s0);
                s1 = Vector256.FusedMultiplyAdd(u, Vector256.Load(error + 8), s1);
                s2 = Vector256.FusedMultiplyAdd(u, Vector256.Load(error + 16), s2);
                s3 = Vector256.FusedMultiplyAdd(u, Vector256.Load(error + 24), s3);
            }

            s0.Store(target + r);
            s1.Store(target + r + 8);
            s2.Store(target + r + 16);
            s3.Store(target + r + 24);
        }
    }

    // Rounds one column: weights become errors. With E (I + U) = adjusted - rounded, the damped loss of the column is
    // pivot * |adjusted - rounded|^2, and the damping's share of it is damping * |E|^2.
    private double Round(int step, float* weights, float* adjusted, double damping)
    {
        int column = _order?[step] ?? step;
        float* scales = GroupScales(column);
        Vector256<double> damped = Vector256<double>.Zero, plain = damped;
        for (int r = 0; r < _tileRows; r += Vector256<float>.Count)
        {
            Vector256<float> value = Vector256.Load(adjusted + r);
            Vector256<float> scale = Vector256.Load(scales + r);
            (Vector256<int> codes, Vector256<float> grid) = _format.RoundFinite(value / scale);
            Vector256<float> rounded = grid * scale;
            Vector256<float> error = Vector256.Load(weights + r) - rounded;
            error.Store(weights + r);
            Codes.Store(codes, _codes.AsSpan((step * _tileRows) + r));
            (Vector256<double> low, Vector256<double> high) = Vector256.Widen(value - rounded);
            damped += (low * low) + (high * high);
            (low, high) = Vector256.Widen(error);
            plain += (low * low) + (high * high);
        }

        return (Vector256.Sum(damped) * _factor.Pivots[step]) - (Vector256.Sum(plain) * damping);
    }

    // The descent works in the natural order of the columns, on the Hessian as it is.
    private double Refine(int firstRow, int rows)
    {
        int[] steps = new int[_factor.Size];
        for (int step = 0; step < steps.Length; step++)
        {
            int column = _order?[step] ?? step;
            steps[column] = step;
            _errors.Slice((long)step * _stride, _tileRows).CopyTo(_descent!.Errors(column));
        }

        IntPtr ScalesOf(int column) => (IntPtr)GroupScales(column);
        int CodesOf(int column) => steps[column] * _tileRows;
        double gain = 0;
        for (int i = 0; i < _refineSweeps; i++)
        {
            if (i == 1 && _refitsScales)
            {
                gain += _descent!.FitScales(ScalesOf, CodesOf, _codes, factors => MultiplyScales(firstRow, rows, factors));
            }

            gain += _descent!.Sweep(ScalesOf, CodesOf, _codes);
        }

        return gain;
    }

    // Of a row past the end nothing is kept.
    private void MultiplyScales(int firstRow, int rows, Span<float> factors)
    {
        factors[rows..].Fill(1);
        for (int r = 0; r < rows; r++)
        {
            factors[r] = _scales.MultiplyRow(firstRow + r, factors[r], _scaleStorage);
            for (int g = 0; g < _scales.Groups; g++)
            {
                _groupScales.Data[(g * _tileRows) + r] = _scales.Effective[((firstRow + r) * _scales.Groups) + g];
            }
        }
    }

    private float* GroupScales(int column) => _groupScales.Data + ((long)(column / _scales.GroupSize) * _tileRows);
}
