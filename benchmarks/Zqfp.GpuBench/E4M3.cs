namespace Zqfp.GpuBench;

/// <summary>The format's definition in float64, the judge of the kernels' conversions.</summary>
internal static class E4M3
{
    private const double Largest = 448;

    public static double ToDouble(byte bits)
    {
        int exponent = (bits >> 3) & 15, mantissa = bits & 7;
        double value = exponent == 0 ? mantissa * Math.Pow(2, -9) : (1 + (mantissa / 8.0)) * Math.Pow(2, exponent - 7);
        return bits >= 128 ? -value : value;
    }

    /// <summary>Nearest value, ties to even, saturating; the sign of zero is kept.</summary>
    public static byte FromDouble(double value)
    {
        int sign = double.IsNegative(value) ? 0x80 : 0;
        double magnitude = Math.Min(Math.Abs(value), Largest);
        int power = magnitude == 0 ? -6 : Math.Max(-6, Math.ILogB(magnitude));
        double units = Math.Round(magnitude * Math.Pow(2, 3 - power), MidpointRounding.ToEven);
        // Counted in units of the binade; 16 units carry into the next exponent by themselves.
        int code = power == -6 && units < 8 ? (int)units : ((power + 7) << 3) + ((int)units - 8);
        return (byte)(sign | Math.Min(code, 0x7E));
    }
}
