using System.Globalization;

namespace Zqfp.Numerics;

/// <summary>Checks of what a layer's quantization is given.</summary>
internal static class LayerInput
{
    public static void Check(ReadOnlySpan<float> weights, int rows, int columns, Hessian? hessian, Workers workers)
    {
        CheckShape(weights.Length, rows, columns, hessian);
        int bad = VectorMath.IndexOfNonFinite(weights);
        if (bad >= 0)
        {
            throw new ZqfpException(
                DiagnosticCodes.WeightsNotFinite,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The weight at row {bad / columns}, column {bad % columns} is {weights[bad]}. "
                    + $"Repair the model or exclude the layer."));
        }

        if (hessian is not null && !hessian.IsFinite(workers))
        {
            throw new ZqfpException(
                DiagnosticCodes.HessianNotFinite,
                "The Hessian holds NaN or infinity. Look for NaN or overflow in the calibration activations.");
        }
    }

    public static void CheckShape(int length, int rows, int columns, Hessian? hessian)
    {
        if (rows < 1 || columns < 1 || length != (long)rows * columns)
        {
            throw new ZqfpException(
                DiagnosticCodes.ShapeMismatch, $"A weight matrix [{rows}, {columns}] cannot have {length} values.");
        }

        if (hessian is not null && hessian.Size != columns)
        {
            throw new ZqfpException(
                DiagnosticCodes.ShapeMismatch, $"The Hessian's size is {hessian.Size}, but the weights have {columns} columns.");
        }
    }
}
