using System.Globalization;

namespace Zqfp.Quantization;

/// <summary>What a quantized model may take or lose; which layer gets what is chosen within it. One of the three is given.</summary>
internal sealed record Budget
{
    /// <summary>Bits stored for a weight of the quantized layers, on average.</summary>
    public double? Bits { get; init; }

    /// <summary>Bytes of the model's files, in the first profile.</summary>
    public long? Bytes { get; init; }

    /// <summary>Increase of the perplexity over the float model's, a fraction, on calibration windows that nothing is fitted to.</summary>
    public double? MaxIncrease { get; init; }

    /// <summary>The budget as it was asked for, such as <c>4.5 bits a weight</c>.</summary>
    public string Describe() => this switch
    {
        { Bits: { } bits } => string.Create(CultureInfo.InvariantCulture, $"{bits:0.###} bits a weight"),
        { Bytes: { } bytes } => Megabytes(bytes),
        _ => string.Create(CultureInfo.InvariantCulture, $"at most +{100 * MaxIncrease!.Value:0.###} % perplexity"),
    };

    /// <summary>An amount of bytes as people read it.</summary>
    public static string Megabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.0##} MB");
}
