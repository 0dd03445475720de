namespace Zqfp.Numerics;

/// <summary>Computes a layer's scales: max|w| / Fmax for each group, then the constraint, then the storage type.</summary>
internal sealed class ScaleCalculator
{
    private readonly WeightSource _weights;
    private readonly QuantizationOptions _options;
    private readonly ScaleTable _table;
    private int _clamped;

    private ScaleCalculator(WeightSource weights, QuantizationOptions options)
    {
        _weights = weights;
        _options = options;
        _table = ScaleTable.Create(weights.Rows, weights.Columns, options);
    }

    /// <summary>Computes the scales.</summary>
    /// <param name="weights">The weights to be quantized.</param>
    /// <param name="options">The recipe.</param>
    /// <param name="clamped">Receives the number of groups whose exponent was clamped.</param>
    /// <param name="cancellationToken">Stops between rows.</param>
    /// <exception cref="QuantizationException">ZQFP2006: a scale does not fit float16.</exception>
    public static ScaleTable Compute(
        WeightSource weights, QuantizationOptions options, out int clamped, CancellationToken cancellationToken)
    {
        var calculator = new ScaleCalculator(weights, options);
        calculator.Run(cancellationToken);
        clamped = calculator._clamped;
        return calculator._table;
    }

    /// <summary>The integer that log2(numerator / denominator) rounds to; exact, also where the ratio is a power of two.</summary>
    public static int RoundLog2(double numerator, double denominator, PowerRounding rounding)
    {
        double ratio = numerator / denominator;
        int floor = Math.ILogB(ratio);
        double mantissa = Math.ScaleB(ratio, -floor);
        return rounding switch
        {
            PowerRounding.Floor => floor,
            PowerRounding.Ceil => mantissa > 1 ? floor + 1 : floor,
            _ => mantissa > Math.Sqrt(2) ? floor + 1 : floor,
        };
    }

    private void Run(CancellationToken cancellationToken)
    {
        int rowsPerUnit = _options.GroupSize == QuantizationOptions.WholeTensor ? _weights.Rows
            : _options.Constraint == ScaleConstraint.M2 ? Math.Min(_options.RowsPerAnchor, _weights.Rows)
            : 1;
        int units = (_weights.Rows + rowsPerUnit - 1) / rowsPerUnit;
        new Workers(_options.Threads, cancellationToken).For(units, unit =>
        {
            int first = unit * rowsPerUnit;
            ComputeUnit(first, Math.Min(rowsPerUnit, _weights.Rows - first));
        });
    }

    // A unit is the rows whose scales depend on each other: those of one anchor, or the whole tensor.
    private void ComputeUnit(int firstRow, int rows)
    {
        int groups = _table.Groups;
        float[] values = new float[_weights.Columns];
        float[] free = new float[rows * groups];
        for (int r = 0; r < rows; r++)
        {
            _weights.CopyRow(firstRow + r, values);
            for (int g = 0; g < groups; g++)
            {
                free[(r * groups) + g] = VectorMath.MaxMagnitude(Group(values, g)) / _options.Format.MaxValue;
            }
        }

        if (_options.GroupSize == QuantizationOptions.WholeTensor)
        {
            Array.Fill(free, free.Max());
        }

        Span<float> effective = _table.Effective.AsSpan(firstRow * groups, rows * groups);
        if (_options.Constraint != ScaleConstraint.M2)
        {
            for (int i = 0; i < free.Length; i++)
            {
                effective[i] = FreeScale(free[i]);
            }

            return;
        }

        float anchor = Store(free.Max());
        _table.RowScales.AsSpan(firstRow, rows).Fill(anchor);
        for (int i = 0; i < free.Length; i++)
        {
            int exponent = free[i] == 0 ? 0 : Math.Max(0, RoundLog2(anchor, free[i], _options.Rounding));
            if (exponent > _options.MaxExponent)
            {
                exponent = _options.MaxExponent;
                Interlocked.Increment(ref _clamped);
            }

            _table.Exponents![(firstRow * groups) + i] = (byte)exponent;
            effective[i] = anchor * QuantizedMatrix.PowerOfTwo(-exponent);
        }
    }

    private float FreeScale(float scale) => scale == 0
        ? 1
        : Store(_options.Constraint == ScaleConstraint.M1 ? MathF.ScaleB(1, RoundLog2(scale, 1, _options.Rounding)) : scale);

    private Span<float> Group(float[] row, int group)
    {
        int start = group * _table.GroupSize;
        return row.AsSpan(start, Math.Min(_table.GroupSize, row.Length - start));
    }

    private float Store(float scale)
    {
        if (scale == 0)
        {
            return 1;
        }

        if (_options.ScaleStorage == ScaleStorage.Float32)
        {
            return scale;
        }

        float stored = (float)(Half)scale;
        return stored > 0 && float.IsFinite(stored)
            ? stored
            : throw new QuantizationException(
                DiagnosticCodes.ScaleOutOfRange,
                FormattableString.Invariant($"A scale of {scale} does not fit float16. Store scales as float32 (ScaleStorage)."));
    }
}
