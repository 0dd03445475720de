using Zqfp.Evaluation;

namespace Zqfp.Quantization;

/// <summary>The calibration text's windows: those that layers are fitted to, and those that a plan is measured on.</summary>
/// <param name="Fit">The windows that layers are fitted to.</param>
/// <param name="Held">The windows that nothing is fitted to; none where none are asked for.</param>
/// <param name="Windows">The number of windows that gives <see cref="Fit"/> as an option.</param>
/// <param name="WindowsToName">The same where it is not what the user asked for; else null.</param>
internal sealed record CalibrationSplit(TokenWindowSet Fit, IReadOnlyList<int[]> Held, int Windows, int? WindowsToName)
{
    /// <summary>Windows held out where the text has more than are asked for.</summary>
    private const int Most = 48, Least = 8;

    /// <summary>Where the text has no more windows, a fifth of them is held out.</summary>
    private const int Share = 5;

    /// <summary>Loads the text. The windows behind those that are fitted to are held out, where there are enough.</summary>
    /// <exception cref="ZqfpException">ZQFP0035: one window leaves none to hold out. ZQFP01nn: the text cannot be used.</exception>
    public static CalibrationSplit Load(QuantizeOptions options, ModelLayers model, bool holdsOut, CancellationToken cancellation)
    {
        int asked = options.Windows;
        TokenWindowSet all = TokenWindowSet.Load(
            options.CalibrationPath!, options.TokenizerPath, options.Window, holdsOut && asked > 0 ? asked + Most : asked, model.Facts,
            options.Reading, options.WindowSeed, cancellation);
        int count = all.Windows.Count;
        if (!holdsOut)
        {
            return new CalibrationSplit(all, [], asked, null);
        }

        int fit = asked > 0 && count - asked >= Least ? asked : count - Math.Max(1, count / Share);
        if (fit == 0)
        {
            throw new ZqfpException("ZQFP0035",
                $"The calibration text has one window of {options.Window} tokens, and the increase of the perplexity is measured on "
                + "windows that nothing is fitted to. Use a longer text, or a shorter --window.",
                options.CalibrationPath);
        }

        return new CalibrationSplit(
            all with { Windows = [.. all.Windows.Take(fit)] }, [.. all.Windows.Skip(fit)], fit, fit == asked ? null : fit);
    }
}
