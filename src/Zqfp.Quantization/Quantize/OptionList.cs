using System.Globalization;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>The options of a run by their names, those of the command line where it has them, for results that people read.</summary>
internal static class OptionList
{
    /// <summary>Every option that decides about the numbers; those about layers only where they are used.</summary>
    public static IReadOnlyDictionary<string, string> Of(QuantizeOptions options)
    {
        QuantizationOptions weights = options.Quantization;
        TextReading usual = new();
        QuantizationOptions plain = new();
        (string Name, string? Value)[] entries =
        [
            ("weights", Recipe.FormatName(weights.Format)),
            ("dense-weights", options.DenseFormat is { } dense ? Recipe.FormatName(dense) : null),
            ("activations", Word(options.Activations)),
            ("method", Word(weights.Method)),
            ("group-size", Group(weights.GroupSize)),
            ("group-rows", weights.GroupRows == 1 ? null : Number(weights.GroupRows)),
            ("constraint", Word(weights.Constraint)),
            ("rounding", weights.Constraint == ScaleConstraint.None ? null : Word(weights.Rounding)),
            ("scale-storage", weights.ScaleStorage == plain.ScaleStorage ? null : Word(weights.ScaleStorage)),
            ("damping", weights.Damping == plain.Damping ? null : weights.Damping.ToString(CultureInfo.InvariantCulture)),
            ("rank", Number(weights.Rank)),
            ("bits", options.Budget?.Bits?.ToString(CultureInfo.InvariantCulture)),
            ("size", options.Budget?.Bytes is { } bytes ? Budget.Megabytes(bytes) : null),
            ("max-increase", options.Budget?.MaxIncrease is { } increase ? SignedPercent.Fixed(increase).TrimStart('+') : null),
            ("head", options.Head == VocabularyFormat.Float ? null : Word(options.Head)),
            ("embedding", options.Embedding == VocabularyFormat.Float ? null : Word(options.Embedding)),
            ("scale-search", Word(weights.ScaleSearch)),
            ("act-order", weights.ActOrder ? "yes" : "no"),
            ("refine-sweeps", Number(weights.RefineSweeps)),
            ("refit-scales", weights.RefitScales ? "yes" : "no"),
            ("low-rank-weighting", weights.Rank == 0 ? null : Word(weights.LowRankWeighting)),
            ("low-rank-refits", weights.Rank == 0 ? null : Number(weights.LowRankRefits)),
            ("spares-branch", weights.Rank == 0 ? null : weights.SparesBranch ? "yes" : "no"),
            ("target", Word(options.LayerTarget)),
            ("bias", options.Bias == LayerBias.Float ? null : Word(options.Bias)),
            ("rotation", options.Rotation switch { QuantizeOptions.NoRotation => "none", QuantizeOptions.AutoRotation =>
                "auto", int block => Number(block) }),
            ("calibration", FileName(options.CalibrationPath)),
            ("tokenizer", FileName(options.TokenizerPath)),
            ("logits", options.Logits),
            ("json-field", options.Reading.JsonField == usual.JsonField ? null : options.Reading.JsonField),
            ("document-marker", options.Reading.DocumentMarker),
            ("document-separator", options.Reading.DocumentSeparator),
            ("window", Number(options.Window)),
            ("window-seed", options.WindowSeed is { } seed ? Number(seed) : null),
            ("bos", options.Reading.Beginning == usual.Beginning ? null : Word(options.Reading.Beginning)),
            ("windows", options.Windows == 0 ? "all" : Number(options.Windows)),
            ("calibrate-on", Word(options.CalibrateOn)),
            ("profile", string.Join(", ", options.Profiles.Select(Word))),
            ("accuracy-level", options.Profiles.Contains(EmissionProfile.Stock) ? Number(options.AccuracyLevel) : null),
            ("fuse", options.Fusion == OperatorFusion.None ? null : Word(options.Fusion)),
            ("include", Patterns(options.Selection.Include)),
            ("exclude", Patterns(options.Selection.Exclude)),
            ("min-size", options.Selection.MinSize == 0 ? null : options.Selection.MinSize.ToString(CultureInfo.InvariantCulture)),
            ("override", Patterns([.. options.Selection.Overrides.Select(Describe)])),
        ];
        return entries.Where(entry => entry.Value is not null).ToDictionary(entry => entry.Name, entry => entry.Value!);
    }

    private static string Word<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();

    private static string Group(int size) => size switch
    {
        QuantizationOptions.WholeRow => "a row",
        QuantizationOptions.WholeTensor => "the layer",
        _ => Number(size),
    };

    private static string Describe(LayerOverride entry)
    {
        string?[] changes =
        [
            entry.KeepFloat ? "format=float" : entry.Format is { } format ? $"format={Recipe.FormatName(format)}" : null,
            entry.Constraint is { } constraint ? $"constraint={Word(constraint)}" : null,
            entry.GroupRows is { } rows and > 1 ? $"group-rows={Number(rows)}" : null,
            entry.GroupSize is { } group ? $"group-size={Number(group)}" : null,
            entry.Rank is { } rank ? $"rank={Number(rank)}" : null,
        ];
        return $"{entry.Pattern}:{string.Join(',', changes.OfType<string>())}";
    }

    private static string? Patterns(IReadOnlyList<string> patterns) => patterns.Count == 0 ? null : string.Join(' ', patterns);

    private static string? FileName(string? path) => string.IsNullOrEmpty(path) ? null : Path.GetFileName(path);

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
