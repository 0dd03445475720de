using System.Globalization;

namespace Zqfp.Evaluation;

/// <summary>Says what cannot be right of a measurement: results of models in the wrong roles, and results worse than guessing.</summary>
internal static class Plausibility
{
    /// <summary>
    /// Warns (ZQFP1019) where perplexity is above the number of tokens that the model knows, which guessing each of them alike would give.
    /// </summary>
    public static EvaluationResult Checked(EvaluationResult result, ModelFacts facts, IJobObserver observer)
    {
        if (facts.Vocabulary is { } vocabulary && result.Perplexity > vocabulary)
        {
            observer.Warn(new Diagnostic(
                "ZQFP1019",
                DiagnosticSeverity.Warning,
                string.Create(CultureInfo.InvariantCulture,
                    $"Perplexity {result.Perplexity:F1} is above the vocabulary of {vocabulary}: guessing would do better. The tokenizer "
                    + $"or the text is probably another model's, or '{facts.Logits}' does not hold the logits."),
                facts.Path));
        }

        return result;
    }

    /// <summary>Refuses a gate whose models are not a quantized one and another that it could be compared with.</summary>
    /// <exception cref="ZqfpException">
    /// ZQFP1017: the gated model has no quantized layer, or both are the same. ZQFP1018: the float model has them instead.
    /// </exception>
    public static void RequireRoles(ModelFacts reference, ModelFacts gated, IJobObserver observer, CancellationToken cancellation)
    {
        (string floatPath, string quantizedPath) = (reference.Path, gated.Path);
        if (!gated.IsQuantized && reference.IsQuantized)
        {
            throw new ZqfpException("ZQFP1018",
                $"The model that is gated has no quantized layer, and the float model '{floatPath}' has: the two seem to be swapped.",
                quantizedPath);
        }

        if (RealPath.AreSame(floatPath, quantizedPath)
            || (reference.IsQuantized && gated.IsQuantized && AreEqual(floatPath, quantizedPath, cancellation)))
        {
            throw new ZqfpException("ZQFP1017",
                $"The model is gated against itself, or a copy of itself ('{floatPath}'), so there is no loss to measure. Name the float "
                + "model that it was made from as the one to compare with.",
                quantizedPath);
        }

        if (!gated.IsQuantized)
        {
            throw new ZqfpException("ZQFP1017",
                "The model that is gated has no quantized layer, so there is no loss to measure. Name the model that quantizing wrote.",
                quantizedPath);
        }

        if (reference.IsQuantized)
        {
            observer.Warn(new Diagnostic("ZQFP1023", DiagnosticSeverity.Warning,
                "The model compared with is quantized too, so the increase is what this model loses beyond that one, not beyond the float "
                + "model.",
                floatPath));
        }
    }

    /// <summary>Whether two models have the same bytes in all their files.</summary>
    private static bool AreEqual(string one, string other, CancellationToken cancellation)
    {
        IReadOnlyList<string> left = ModelFiles.Of(one);
        IReadOnlyList<string> right = ModelFiles.Of(other);
        return left.Count == right.Count
            && left.Zip(right).All(pair => new FileInfo(pair.First).Length == new FileInfo(pair.Second).Length)
            && ContentHash.OfModel(one, new InputFiles(), cancellation).SequenceEqual(
                ContentHash.OfModel(other, new InputFiles(), cancellation));
    }
}
