using System.Runtime.Intrinsics;

namespace Zqfp.Numerics;

/// <summary>
/// Improves a tile that GPTQ has quantized: takes column after column and rounds it anew to what is best given all other columns,
/// with the undamped Hessian. Each step lowers tr(E H E^T) or leaves it, so sweeps never do harm.
/// </summary>
/// <remarks>With g = E H, the best real value of column c is w_c + (g_c - e_c H_cc) / H_cc, and the loss is a parabola around it.</remarks>
internal sealed unsafe class CoordinateDescent : IDisposable
{
    private const int Block = 128;
    private const int SubBlock = 32;
    private readonly Hessian _hessian;
    private readonly NumberFormat _format;
    private readonly int _tileRows;
    private readonly int _stride;
    private readonly AlignedBuffer _errors;
    private readonly AlignedBuffer _gradient;
    private readonly AlignedBuffer _changes;

    public CoordinateDescent(Hessian hessian, NumberFormat format, int tileRows)
    {
        _hessian = hessian;
        _format = format;
        _tileRows = tileRows;
        _stride = TileKernel.Stride(tileRows);
        _errors = new AlignedBuffer((long)hessian.PaddedSize * _stride);
        _gradient = new AlignedBuffer(Block * _stride);
        _changes = new AlignedBuffer(Block * _stride);
    }

    /// <summary>Errors of the tile [columns, rows], in the natural order of the columns; set before the first sweep.</summary>
    public Span<float> Errors(int column) => _errors.Slice((long)column * _stride, _tileRows);

    /// <summary>One sweep over all columns.</summary>
    /// <param name="scaleOf">First of the scales of a column's group, one for each row.</param>
    /// <param name="codesOf">Where a column's codes lie in <paramref name="codes"/>.</param>
    /// <param name="codes">Codes, updated.</param>
    /// <returns>By how much tr(E H E^T) fell.</returns>
    public double Sweep(Func<int, IntPtr> scaleOf, Func<int, int> codesOf, byte[] codes)
    {
        double gain = 0;
        for (int start = 0; start < _hessian.Size; start += Block)
        {
            int width = Math.Min(Block, _hessian.PaddedSize - start);
            Multiply(_errors, start, width, _gradient);
            int end = Math.Min(start + Block, _hessian.Size);
            for (int sub = start; sub < end; sub += SubBlock)
            {
                if (sub > start)
                {
                    TileKernel.MultiplyAdd(
                        Row(start) + sub, _hessian.Stride, _changes.Data, _stride, _gradient.Data + ((sub - start) * _stride),
                        _stride, SubBlock, _tileRows, sub - start);
                }

                for (int c = sub; c < Math.Min(sub + SubBlock, end); c++)
                {
                    gain += Column(start, sub, c, (float*)scaleOf(c), codes.AsSpan(codesOf(c), _tileRows));
                }
            }
        }

        return gain;
    }

    /// <summary>
    /// The factor for each row by which all its scales together fit best, codes as they are: 1 + q H e^T / q H q^T for the row's values q
    /// and error e.
    /// </summary>
    /// <param name="scaleOf">As for <see cref="Sweep"/>.</param>
    /// <param name="codesOf">As for <see cref="Sweep"/>.</param>
    /// <param name="codes">The codes.</param>
    /// <param name="change">Is given the factors, changes the scales, and puts the factors there by which they changed.</param>
    /// <returns>By how much tr(E H E^T) fell.</returns>
    public double FitScales(Func<int, IntPtr> scaleOf, Func<int, int> codesOf, byte[] codes, ScaleChange change)
    {
        using var values = new AlignedBuffer((long)_hessian.PaddedSize * _stride);
        using var products = new AlignedBuffer(Block * _stride);
        for (int c = 0; c < _hessian.Size; c++)
        {
            Decode((float*)scaleOf(c), codes.AsSpan(codesOf(c), _tileRows), values.Data + ((long)c * _stride));
        }

        double[] pull = new double[_tileRows];
        double[] weight = new double[_tileRows];
        for (int start = 0; start < _hessian.Size; start += Block)
        {
            int width = Math.Min(Block, _hessian.PaddedSize - start);
            Multiply(_errors, start, width, _gradient);
            Multiply(values, start, width, products);
            for (int c = 0; c < width; c++)
            {
                float* value = values.Data + ((long)(start + c) * _stride);
                for (int r = 0; r < _tileRows; r++)
                {
                    pull[r] += (double)value[r] * _gradient.Data[(c * _stride) + r];
                    weight[r] += (double)value[r] * products.Data[(c * _stride) + r];
                }
            }
        }

        float[] factors = new float[_tileRows];
        for (int r = 0; r < _tileRows; r++)
        {
            factors[r] = BestFactor(pull[r], weight[r]);
        }

        change(factors);
        double gain = 0;
        for (int r = 0; r < _tileRows; r++)
        {
            gain += Gain(factors[r], pull[r], weight[r]);
        }

        for (int c = 0; c < _hessian.Size; c++)
        {
            float* value = values.Data + ((long)c * _stride);
            float* error = _errors.Data + ((long)c * _stride);
            for (int r = 0; r < _tileRows; r++)
            {
                error[r] -= (factors[r] - 1) * value[r];
            }
        }

        return gain;
    }

    /// <summary>The factor by which a row's values fit best.</summary>
    /// <param name="pull">q H e^T.</param>
    /// <param name="weight">q H q^T.</param>
    public static float BestFactor(double pull, double weight)
    {
        double factor = weight > 0 ? 1 + (pull / weight) : 1;
        return factor is > 0.5 and < 2 ? (float)factor : 1;
    }

    /// <summary>By how much a row's loss falls with a factor.</summary>
    public static double Gain(float factor, double pull, double weight)
    {
        double step = factor - 1.0;
        return (2 * step * pull) - (step * step * weight);
    }

    public void Dispose()
    {
        _errors.Dispose();
        _gradient.Dispose();
        _changes.Dispose();
    }

    private void Decode(float* scales, Span<byte> codes, float* values)
    {
        for (int r = 0; r < _tileRows; r += Vector256<float>.Count)
        {
            (Codes.Decode(_format, codes.Slice(r, Vector256<float>.Count)) * Vector256.Load(scales + r)).Store(values + r);
        }
    }

    // product = H[start .. start + width, :] times the tile.
    private void Multiply(AlignedBuffer tile, int start, int width, AlignedBuffer product)
    {
        product.Clear();
        for (int k = 0; k < _hessian.PaddedSize; k += Block)
        {
            int depth = Math.Min(Block, _hessian.PaddedSize - k);
            TileKernel.MultiplyAdd(
                Row(k) + start, _hessian.Stride, tile.Data + ((long)k * _stride), _stride, product.Data,
                _stride, width, _tileRows, depth);
        }
    }

    private float* Row(int index) => _hessian.Data + ((long)index * _hessian.Stride);

    // A column that was never active has no best value: it stays as it is.
    private double Column(int start, int sub, int c, float* scales, Span<byte> codes)
    {
        float diagonal = Row(c)[c];
        if (diagonal > 0)
        {
            PassOnChanges(start, sub, c);
            return Round(start, c, diagonal, scales, codes);
        }

        new Span<float>(_changes.Data + ((c - start) * _stride), _tileRows).Clear();
        return 0;
    }

    // gradient[c] += sum of H[c, k] changes[k] over the columns k of the sub-block before c.
    private void PassOnChanges(int start, int sub, int c)
    {
        float* row = Row(c);
        float* target = _gradient.Data + ((c - start) * _stride);
        for (int r = 0; r < _tileRows; r += 32)
        {
            Vector256<float> s0 = Vector256.Load(target + r);
            Vector256<float> s1 = Vector256.Load(target + r + 8);
            Vector256<float> s2 = Vector256.Load(target + r + 16);
            Vector256<float> s3 = Vector256.Load(target + r + 24);
            for (int k = sub; k < c; k++)
            {
                Vector256<float> h = Vector256.Create(row[k]);
                float* change = _changes.Data + ((k - start) * _stride) + r;
                s0 = Vector256.FusedMultiplyAdd(h, Vector256.Load(change), s0);
                s1 = Vector256.FusedMultiplyAdd(h, Vector256.Load(change + 8), s1);
                s2 = Vector256.FusedMultiplyAdd(h, Vector256.Load(change + 16), s2);
                s3 = Vector256.FusedMultiplyAdd(h, Vector256.Load(change + 24), s3);
            }

            s0.Store(target + r);
            s1.Store(target + r + 8);
            s2.Store(target + r + 16);
            s3.Store(target + r + 24);
        }
    }

    private double Round(int start, int c, float diagonal, float* scales, Span<byte> codes)
    {
        float* errors = _errors.Data + ((long)c * _stride);
        float* gradient = _gradient.Data + ((c - start) * _stride);
        float* changes = _changes.Data + ((c - start) * _stride);
        Vector256<float> inverse = Vector256.Create(1 / diagonal);
        Vector256<double> gain = Vector256<double>.Zero;
        for (int r = 0; r < _tileRows; r += Vector256<float>.Count)
        {
            // A change d of the error costs H_cc (d^2 + 2 d g_c / H_cc): the best one is -g_c / H_cc, and q changes by -d.
            Vector256<float> scale = Vector256.Load(scales + r);
            Vector256<float> error = Vector256.Load(errors + r);
            Vector256<float> pull = Vector256.Load(gradient + r) * inverse;
            Vector256<float> rounded = Codes.Decode(_format, codes.Slice(r, Vector256<float>.Count)) * scale;
            (Vector256<int> newCodes, Vector256<float> grid) = _format.RoundFinite((rounded + pull) / scale);
            Vector256<float> change = rounded - (grid * scale);
            Vector256<float> cost = change * (change + pull + pull);
            Vector256<float> better = Vector256.LessThan(cost, Vector256<float>.Zero);
            change &= better;
            (error + change).Store(errors + r);
            change.Store(changes + r);
            Codes.Store(Vector256.ConditionalSelect(better.AsInt32(), newCodes, Codes.Load(codes.Slice(r, Vector256<float>.Count))),
                codes[r..]);
            (Vector256<double> low, Vector256<double> high) = Vector256.Widen(cost & better);
            gain += low + high;
        }

        return -Vector256.Sum(gain) * diagonal;
    }
}

/// <summary>Changes the scales of a tile's rows.</summary>
/// <param name="factors">For each row: the factor wanted; receives the one that was possible.</param>
internal delegate void ScaleChange(Span<float> factors);
