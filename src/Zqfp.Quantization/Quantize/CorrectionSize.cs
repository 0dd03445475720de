using System.Globalization;

namespace Zqfp.Quantization;

/// <summary>Warns where low-rank corrections make a model larger than plain 8-bit weights would be.</summary>
internal static class CorrectionSize
{
    private const int CorrectionBits = 16;
    private const int LargestBits = 8;

    /// <summary>
    /// ZQFP0017 where the weights and corrections of <paramref name="chosen"/>, heads aside, take more than 8 bits a weight together; else
    /// null.
    /// </summary>
    public static Diagnostic? Warning(IEnumerable<LayerChoice> chosen, string modelPath)
    {
        // A head in FP8 has more than 8 bits with any correction, and is meant to.
        LayerChoice[] body = [.. chosen.Where(choice => !choice.Layer.IsHead)];
        return body.Length == 0 ? null : OfBody(body, modelPath);
    }

    private static Diagnostic? OfBody(LayerChoice[] chosen, string modelPath)
    {
        double weights = chosen.Sum(choice => Weights(choice));
        double codes = chosen.Sum(choice => Weights(choice) * choice.Options.Format.Bits) / weights;
        double corrections =
            chosen.Sum(choice => CorrectionBits * RankOf(choice)
                * (choice.Layer.OutFeatures + (choice.Layer.JoinedTo is null ? choice.Layer.InFeatures : 0))) / weights;
        return corrections == 0 || codes + corrections <= LargestBits
            ? null
            : new Diagnostic("ZQFP0017", DiagnosticSeverity.Warning, string.Create(CultureInfo.InvariantCulture,
                $"The low-rank corrections take {corrections:0.0} bits a weight beside the {codes:0.0} of the weights themselves: more "
                + $"than weights of {LargestBits} bits without a correction. Use a lower --rank (Rank in a project)"
                + $"{(codes < LargestBits ? ", or fp8 weights" : "")}."), modelPath);
    }

    private static double Weights(LayerChoice choice) => (double)choice.Layer.OutFeatures * choice.Layer.InFeatures;

    private static double RankOf(LayerChoice choice) =>
        Math.Min(choice.Options.Rank, Math.Min(choice.Layer.OutFeatures, choice.Layer.InFeatures));
}
