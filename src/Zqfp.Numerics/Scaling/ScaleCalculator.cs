namespace Zqfp.Numerics;

/// <summary>Computes a layer's scales: max|w| / Fmax for each group or a search around it, the constraint, the storage type.</summary>
internal sealed class ScaleCalculator
{
    private readonly WeightSource _weights;
    private readonly QuantizationOptions _options;
    private readonly ScaleTable _table;
    private readonly ScaleSearcher? _searcher;
    private int _clamped;

    private ScaleCalculator(WeightSource weights, QuantizationOptions options, float[]? columnWeights)
    {
        _weights = weights;
        _options = options;
        _table = ScaleTable.Create(weights.Rows, weights.Columns, options);
        _searcher = options.ScaleSearch == ScaleSearch.None ? null : new ScaleSearcher(options.Format, columnWeights, Store);
    }

    /// <summary>Computes the scales.</summary>
    /// <param name="weights">The weights to be quantized.</param>
    /// <param name="options">The recipe.</param>
    /// <param name="columnWeights">Cost of an error in each column for the search, or null for ones.</param>
    /// <param name="clamped">Receives the number of groups whose exponent was clamped.</param>
    /// <param name="cancellation">Stops between rows.</param>
    /// <exception cref="ZqfpException">ZQFP2006: a scale does not fit float16.</exception>
    public static ScaleTable Compute(
        WeightSource weights, QuantizationOptions options, float[]? columnWeights, out int clamped, CancellationToken cancellation)
    {
        var calculator = new ScaleCalculator(weights, options, columnWeights);
        calculator.Run(cancellation);
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

    private bool OneForTensor => _options.GroupSize == QuantizationOptions.WholeTensor;

    // A unit is the rows whose scales depend on each other: one row, those of a block, or the whole tensor.
    private void Run(CancellationToken cancellation)
    {
        int rowsPerUnit = OneForTensor ? _weights.Rows : _options.GroupRows;
        int units = OneForTensor ? 1 : (_weights.Rows + rowsPerUnit - 1) / rowsPerUnit;
        new Workers(_options.Threads, cancellation).For(
            units, () => new AlignedBuffer(_weights.Columns),
            (unit, row) => ComputeUnit(unit * rowsPerUnit, Math.Min(rowsPerUnit, _weights.Rows - (unit * rowsPerUnit)), row));
    }

    private void ComputeUnit(int firstRow, int rows, AlignedBuffer values)
    {
        float[] free = new float[rows * _table.Groups];
        ForGroups(firstRow, rows, values, (index, start, length) =>
            free[index] = VectorMath.MaxMagnitude(values.Slice(start, length)) / _options.Format.MaxValue);
        if (OneForTensor)
        {
            Array.Fill(free, free.Max());
        }

        if (_options.Constraint == ScaleConstraint.Ue8M0)
        {
            Powers(firstRow, rows, values, free);
        }
        else if (_options.Constraint == ScaleConstraint.M2)
        {
            Anchored(firstRow, rows, values, free);
        }
        else
        {
            Free(firstRow, rows, values, free);
        }
    }

    private void Free(int firstRow, int rows, AlignedBuffer values, float[] free)
    {
        Memory<float> effective = _table.Effective.AsMemory(firstRow * _table.Groups, free.Length);
        if (_searcher is null)
        {
            for (int i = 0; i < free.Length; i++)
            {
                effective.Span[i] = free[i] == 0 ? 1
                    : Store(_options.Constraint == ScaleConstraint.M1
                        ? ScaleSearcher.PowerCandidates(free[i], _options.Rounding)[0]
                        : free[i]);
            }

            return;
        }

        float[] candidates = [];
        double[] costs = [];
        ForGroups(firstRow, rows, values, (index, start, length) =>
        {
            if (free[index] == 0)
            {
                effective.Span[index] = 1;
                return;
            }

            if (!OneForTensor || index == 0)
            {
                candidates = _options.Constraint == ScaleConstraint.M1
                    ? ScaleSearcher.PowerCandidates(free[index], _options.Rounding)
                    : ScaleSearcher.FreeCandidates(free[index]);
                costs = new double[candidates.Length];
            }

            _searcher.AddCosts(values.Slice(start, length), start, candidates, costs);
            effective.Span[index] = _searcher.Best(candidates, costs);
        });
        if (OneForTensor)
        {
            effective.Span.Fill(effective.Span[^1]);
        }
    }

    private void Anchored(int firstRow, int rows, AlignedBuffer values, float[] free)
    {
        float largest = free.Max();
        float anchor = largest == 0 ? 1 : Store(largest);
        int[] exponents = new int[free.Length];
        if (_searcher is null || largest == 0)
        {
            for (int i = 0; i < free.Length; i++)
            {
                exponents[i] = free[i] == 0 ? 0 : Math.Max(0, RoundLog2(anchor, free[i], _options.Rounding));
            }
        }
        else
        {
            anchor = SearchAnchor(firstRow, rows, values, free, exponents);
        }

        Keep(firstRow, rows, anchor, exponents);
    }

    /// <summary>A power of two for each group of columns, the same for all rows; the row's number is the largest of them.</summary>
    private void Powers(int firstRow, int rows, AlignedBuffer values, float[] free)
    {
        float[]?[] candidates = new float[]?[_table.Groups];
        for (int group = 0; group < candidates.Length; group++)
        {
            float largest = Enumerable.Range(0, rows).Max(row => free[(row * candidates.Length) + group]);
            candidates[group] = largest == 0 ? null : ScaleSearcher.PowerCandidates(largest, _options.Rounding);
        }

        double[][] costs = Array.ConvertAll(candidates, tried => new double[tried?.Length ?? 0]);
        if (_searcher is not null)
        {
            ForGroups(firstRow, rows, values, (index, start, length) =>
            {
                int group = index % candidates.Length;
                if (candidates[group] is { } tried)
                {
                    _searcher.AddCosts(values.Slice(start, length), start, tried, costs[group]);
                }
            });
        }

        float[] chosen = [.. candidates.Select((tried, group) =>
            tried is null ? 0 : _searcher?.Best(tried, costs[group]) ?? Store(tried[0]))];
        float anchor = chosen.Max() is > 0 and var top ? top : 1;
        int[] exponents = new int[free.Length];
        for (int i = 0; i < free.Length; i++)
        {
            float scale = chosen[i % chosen.Length];
            exponents[i] = scale == 0 ? 0 : RoundLog2(anchor, scale, PowerRounding.Nearest);
        }

        Keep(firstRow, rows, anchor, exponents);
    }

    private void Keep(int firstRow, int rows, float anchor, int[] exponents)
    {
        _table.RowScales.AsSpan(firstRow, rows).Fill(anchor);
        for (int i = 0; i < exponents.Length; i++)
        {
            if (exponents[i] > _options.MaxExponent)
            {
                exponents[i] = _options.MaxExponent;
                Interlocked.Increment(ref _clamped);
            }

            _table.Exponents![(firstRow * _table.Groups) + i] = (byte)exponents[i];
            _table.Effective[(firstRow * _table.Groups) + i] = anchor * QuantizedMatrix.PowerOfTwo(-exponents[i]);
        }
    }

    private float SearchAnchor(int firstRow, int rows, AlignedBuffer values, float[] free, int[] exponents)
    {
        float[] anchors = _searcher!.Anchors(free.Max());
        double[] costs = new double[anchors.Length];
        int[][] choices = Array.ConvertAll(anchors, _ => new int[free.Length]);
        ForGroups(firstRow, rows, values, (index, start, length) =>
        {
            if (free[index] == 0)
            {
                return;
            }

            for (int a = 0; a < anchors.Length; a++)
            {
                choices[a][index] = _searcher.BestExponent(
                    values.Slice(start, length), start, anchors[a], free[index], _options.MaxExponent, out double cost);
                costs[a] += cost;
            }
        });
        int best = Array.IndexOf(costs, costs.Min());
        choices[best].CopyTo(exponents, 0);

        // The anchor is the largest scale in use: exponents start at 0.
        int lowest = Enumerable.Range(0, free.Length).Where(i => free[i] != 0).Min(i => exponents[i]);
        for (int i = 0; i < exponents.Length; i++)
        {
            exponents[i] = Math.Max(0, exponents[i] - lowest);
        }

        return anchors[best] * QuantizedMatrix.PowerOfTwo(-lowest);
    }

    private void ForGroups(int firstRow, int rows, AlignedBuffer values, Action<int, int, int> body)
    {
        for (int r = 0; r < rows; r++)
        {
            _weights.CopyRow(firstRow + r, values.Slice(0, _weights.Columns));
            for (int g = 0; g < _table.Groups; g++)
            {
                int start = g * _table.GroupSize;
                body((r * _table.Groups) + g, start, Math.Min(_table.GroupSize, _weights.Columns - start));
            }
        }
    }

    private float Store(float scale)
    {
        if (_options.ScaleStorage == ScaleStorage.Float32)
        {
            return scale;
        }

        float stored = (float)(Half)scale;
        return stored > 0 && float.IsFinite(stored)
            ? stored
            : throw new ZqfpException(
                DiagnosticCodes.ScaleOutOfRange,
                FormattableString.Invariant($"A scale of {scale} does not fit float16. Store scales as float32 (ScaleStorage)."));
    }
}
